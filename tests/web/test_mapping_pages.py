"""The mapping editor: checked, previewed, saved in versions, and nothing typed is ever lost."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from hub.context import Hub
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.tenants import Tenant
from mappings.presets import presets
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Visitor, signed_in


@pytest.fixture
def owner(app: Flask, hub: Hub, connected: Connected) -> Visitor:
    """The owner of the connected company."""
    return signed_in(app, hub, connected.company)


def form(connected: Connected, text: str, do: str, **more: str) -> dict[str, str]:
    """Fill in the editor's form."""
    return {
        "connection": connected.connection.id,
        "name": "Lead",
        "text": text.replace("\n", "\r\n"),
        "do": do,
    } | more


def test_preset_opens_checks_and_saves(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """A preset is free of errors in a real account, and becomes version 1."""
    preset = presets("salesforce")[0]
    path = f"/mappings/new?connection={connected.connection.id}&preset={preset.name}"
    text = owner.page(path).forms[-1]["fields"]["text"]
    assert text.strip() == preset.text.strip()

    answer = owner.post("/mappings/new", form(connected, text, "save"), follow_redirects=True)

    assert "Version 1 of Lead is in use" in answer.text


def test_every_problem_is_told_with_its_place(owner: Visitor, connected: Connected) -> None:
    """Unknown paths and fields that the account does not have are listed together."""
    text = LEAD.replace("caller.phone", "caller.fone").replace("Company:", "Compani:")

    page = owner.post("/mappings/new", form(connected, text, "check")).text

    assert "steps[0].set.Phone" in page
    assert "steps[0].set.Compani" in page
    assert "2 errors" in page or "3 errors" in page


def test_text_that_is_no_yaml_is_told(owner: Visitor, connected: Connected) -> None:
    """A text that cannot be read at all gives a problem, not an error page, in check and preview."""
    for do in ("check", "preview"):
        answer = owner.post("/mappings/new", form(connected, "a: [", do, event="example"))
        assert answer.status_code == 200
        assert 'class="error"' in answer.text


def test_refused_text_is_given_back(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """A text with errors is not saved, and stands in the editor as it was typed."""
    text = LEAD.replace("version: 1", "version: 7") + "# my notes\n"

    answer = owner.post("/mappings/new", form(connected, text, "save", note="why"))

    assert answer.status_code == 422
    assert "# my notes" in answer.text
    assert 'value="why"' in answer.text
    with hub.tenant(connected.company.tenant_id) as session:
        assert session.scalars(select(FieldMapping)).all() == []


def test_preview_shows_what_would_be_sent(owner: Visitor, connected: Connected) -> None:
    """The fields for a real voicemail are shown, whether ``when`` holds or not, and nothing is sent."""
    lead, bill = connected.accept(voicemail(1), voicemail(2, bucket="billing"))

    yes = owner.post("/mappings/new", form(connected, LEAD, "preview", event=lead.id)).text
    no = owner.post("/mappings/new", form(connected, LEAD, "preview", event=bill.id)).text

    assert "This mapping applies" in yes
    assert "+14155550001" in yes
    assert "does not apply" in no


def test_preview_tells_where_a_value_does_not_fit(owner: Visitor, connected: Connected) -> None:
    """A value that cannot be made is told with its place in the mapping."""
    (one,) = connected.accept(voicemail(1))
    text = LEAD + "      Rating: {from: urgency.level, choose: {low: Cold}}\n"

    page = owner.post("/mappings/new", form(connected, text, "preview", event=one.id)).text

    assert "steps[0].set.Rating" in page


def test_who_saves_second_loses_nothing(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """A save on top of an older version shows both texts; sent once more, it becomes the next version."""
    mapping_id = connected.publish(LEAD)
    path = f"/mappings/{mapping_id}"
    owner.post(path, form(connected, LEAD + "# theirs\n", "save", expected_version="1"))

    mine = form(connected, LEAD + "# mine\n", "save", expected_version="1", note="my note")
    answer = owner.post(path, mine)

    assert answer.status_code == 409
    assert "-# theirs" in answer.text
    assert "+# mine" in answer.text
    assert 'name="expected_version" value="2"' in answer.text
    assert 'value="my note"' in answer.text
    assert owner.post(path, mine | {"expected_version": "2"}).status_code == 303
    with hub.tenant(connected.company.tenant_id) as session:
        texts = session.scalars(select(MappingVersion.source).order_by(MappingVersion.number)).all()
    assert [text.rsplit("# ", 1)[-1].strip() for text in texts[1:]] == ["theirs", "mine"]


def test_taken_name_keeps_the_text(owner: Visitor, connected: Connected) -> None:
    """A name that is in use is refused with the text kept."""
    connected.publish(LEAD)

    answer = owner.post("/mappings/new", form(connected, LEAD + "# mine\n", "save"))

    assert answer.status_code == 409
    assert "# mine" in answer.text
    assert "Choose another name" in answer.text


def test_versions_are_compared_and_gone_back_to(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """An older version can be looked at, compared, and used again as a new one; no version is lost."""
    mapping_id = connected.publish(LEAD)
    path = f"/mappings/{mapping_id}"
    owner.post(path, form(connected, LEAD + "# newer\n", "save", expected_version="1"))

    assert "+# newer" in owner.page(f"{path}/versions/2").text
    answer = owner.post(f"{path}/versions/1/use", follow_redirects=True)

    assert "Version 3 of Lead, as version 1 was, is in use" in answer.text
    assert "As version 1 was" in answer.text
    assert "Version 2" in answer.text
    assert "version 3" in owner.page(path).text
    assert "# newer" not in owner.get(f"{path}/file").text
    assert owner.get(f"{path}/versions/9").status_code == 404
    assert owner.post(f"{path}/versions/9/use").status_code == 404


def test_turning_off_changes_the_plan(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """A mapping that is off plans nothing from the next event on."""
    mapping_id = connected.publish(LEAD)

    def revision() -> int:
        with hub.everyone("a test reads the plan's revision") as session:
            return session.scalars(
                select(Tenant.plan_revision).where(Tenant.id == connected.company.tenant_id)
            ).one()

    before = revision()
    owner.post(f"/mappings/{mapping_id}/active", {"active": "no"})
    (accepted,) = connected.accept(voicemail(1))

    assert revision() > before
    assert "No mapping applies" in owner.page(f"/voicemails/{accepted.id}").text


def test_mapping_that_is_off_is_removed(owner: Visitor, connected: Connected) -> None:
    """One in use stays; one that is off is gone from the list, its name is free, and its records stay."""
    mapping_id = connected.publish(LEAD, name="First try")
    (accepted,) = connected.accept(voicemail(1))
    path = f"/mappings/{mapping_id}"

    refused = owner.post(f"{path}/remove", follow_redirects=True)
    owner.post(f"{path}/active", {"active": "no"})
    form = next(one for one in owner.page("/mappings").forms if one["action"] == f"{path}/remove")
    owner.post(form["action"], form["fields"])

    assert "Turn it off first" in refused.text
    assert "First try is removed" in owner.page("/mappings").text
    assert "First try" not in owner.page("/mappings").text
    assert owner.get(path).status_code == 404
    voicemail_page = owner.page(f"/voicemails/{accepted.id}")
    assert "First try (archived" in voicemail_page.text
    assert path not in str(voicemail_page.elements)
    assert connected.publish(LEAD, name="First try") != mapping_id


def test_account_that_is_silent_is_said_so(owner: Visitor, connected: Connected) -> None:
    """When the account does not answer, the rest is checked and the reason told."""
    connected.sandbox.fault(kind="status", status=503, path="/sobjects", next=20)

    page = owner.post("/mappings/new", form(connected, LEAD, "check")).text

    connected.sandbox.clear_faults()
    assert "fields could not be read" in page
