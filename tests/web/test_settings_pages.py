"""Settings: company, people, keys, the audit log and one's own account, each for whom it is."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask
from sqlalchemy import select

from hub.context import Hub
from hub.db import audit, invitations, people
from hub.db.audit import AuditRow
from hub.db.base import new_id, now
from hub.db.keys import ApiKey, find, hash_secret
from hub.db.people import Membership, Person, Role
from hub.db.tenants import Tenant
from tests.conftest import Company, new_company
from tests.web.visitor import PASSWORD, Visitor, signed_in

WHERE = "/settings/people"


def send(visitor: Visitor, page: str, action: str, **fields: str | list[str]):
    """Send a form that stands on a page."""
    form = next(one for one in visitor.page(page).forms if one["action"].endswith(action))
    return visitor.client.post(form["action"] or page, data={**form["fields"], **fields})


def colleague(app: Flask, hub: Hub, company: Company, role: Role) -> Visitor:
    """Give the browser of somebody else in the company."""
    person_id = new_id("per")
    with hub.everyone("a test makes a colleague") as session:
        session.add(Person(id=person_id, email=f"{person_id}@harbor.example", name="Sam Reed"))
        session.flush()
        session.add(Membership(tenant_id=company.tenant_id, person_id=person_id, role=role.value))
    return signed_in(app, hub, Company(company.tenant_id, person_id))


def facts(hub: Hub, company: Company, action: str) -> list[dict]:
    """Give what the audit log knows of an action."""
    with hub.tenant(company.tenant_id) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == action)).all()
        return [row.facts for row in rows]


def link_of(answer) -> str:
    """Read the invitation's link out of the page."""
    found = re.search(r"/join/[\w-]+", answer.text)
    assert found
    return found[0]


def test_the_company_is_changed_and_written_down(
    visitor: Visitor, hub: Hub, company: Company
) -> None:
    """Name, zone, trade and what is dropped; the audit log names what changed."""
    answer = send(
        visitor,
        "/settings/company",
        "/settings/company",
        name="Lakeside Realty",
        timezone="Europe/Berlin",
        vertical="real_estate",
        drop=["spam", "other"],
    )

    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(Tenant).where(Tenant.id == company.tenant_id)).one()
        assert (row.name, row.timezone, row.vertical) == (
            "Lakeside Realty",
            "Europe/Berlin",
            "real_estate",
        )
        assert row.dropped_buckets == {"spam", "other"}
        assert row.plan_revision == 1
    assert answer.status_code == 303
    assert facts(hub, company, "tenant.changed") == [
        {"settings": ["name", "timezone", "vertical", "drop_buckets"]}
    ]


def test_what_is_wrong_changes_nothing(visitor: Visitor, hub: Hub, company: Company) -> None:
    """The form comes back with what was typed."""
    answer = send(
        visitor,
        "/settings/company",
        "/settings/company",
        name="Lakeside",
        timezone="Mars/Base",
        vertical="sales",
    )

    assert answer.status_code == 422
    assert "There is no such time zone" in answer.text
    assert 'value="Lakeside"' in answer.text
    assert facts(hub, company, "tenant.changed") == []


def test_an_invitation_makes_a_member_once(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """The link is shown once, leads a new person in with the role, and opens nothing afterwards."""
    answer = send(visitor, WHERE, "/invite", email="Nina@Harbor.example", role="mapper")
    link = link_of(answer)
    guest = app.test_client()
    form = re.search(r'name="csrf" value="([^"]+)"', guest.get(link).text)[1]
    joined = guest.post(link, data={"csrf": form, "name": "Nina", "password": "a long enough one"})

    assert joined.status_code == 303
    assert guest.get("/").status_code == 200
    assert guest.get(WHERE).status_code == 403
    assert app.test_client().get(link).status_code == 404
    with hub.tenant(company.tenant_id) as session:
        roles = session.scalars(select(Membership.role).order_by(Membership.role)).all()
    assert roles == ["mapper", "owner"]
    assert link.removeprefix("/join/") not in visitor.page(WHERE).text


def test_a_short_password_joins_nobody(
    app: Flask, visitor: Visitor, hub: Hub, company: Company
) -> None:
    """The invitation stays open, and what was typed stays too."""
    link = link_of(send(visitor, WHERE, "/invite", email="nina2@harbor.example", role="viewer"))
    guest = app.test_client()
    form = re.search(r'name="csrf" value="([^"]+)"', guest.get(link).text)[1]

    answer = guest.post(link, data={"csrf": form, "name": "Nina", "password": "short"})

    assert answer.status_code == 422
    assert 'value="Nina"' in answer.text
    assert guest.get(link).status_code == 200


def test_an_account_joins_with_its_own_password(app: Flask, hub: Hub, visitor: Visitor) -> None:
    """Whoever has an account cannot be given another password by an invitation."""
    with hub.everyone("a person") as session:
        people.create_person(session, email="old@harbor.example", name="Old", password=PASSWORD)
    link = link_of(send(visitor, WHERE, "/invite", email="old@harbor.example", role="viewer"))
    guest = app.test_client()
    form = re.search(r'name="csrf" value="([^"]+)"', guest.get(link).text)[1]

    wrong = guest.post(link, data={"csrf": form, "password": "another long password"})
    right = guest.post(link, data={"csrf": form, "password": PASSWORD})

    assert (wrong.status_code, right.status_code) == (401, 303)


def test_a_new_invitation_ends_the_earlier_one(app: Flask, visitor: Visitor) -> None:
    """Of two links to one address only the later one works; one that was taken back does not either."""
    first = link_of(send(visitor, WHERE, "/invite", email="twice@harbor.example", role="viewer"))
    second = link_of(send(visitor, WHERE, "/invite", email="twice@harbor.example", role="admin"))
    both = [app.test_client().get(link).status_code for link in (first, second)]
    send(visitor, WHERE, "/revoke")

    assert both == [404, 200]
    assert app.test_client().get(second).status_code == 404


def test_an_invitation_is_over_after_a_week(app: Flask, hub: Hub, company: Company) -> None:
    """A link that is found in an old mail opens nothing."""
    with hub.tenant(company.tenant_id) as session:
        made = invitations.invite(session, email="late@x.example", role=Role.VIEWER, by="command")
        row = session.get(invitations.Invitation, made.id)
        row.expires_at = now()

    assert app.test_client().get(f"/join/{made.token}").status_code == 404


def test_an_admin_decides_about_no_owner(app: Flask, hub: Hub, company: Company) -> None:
    """Neither their role nor their place; and no invitation makes an owner."""
    admin = colleague(app, hub, company, Role.ADMIN)
    token = admin.page(WHERE).forms[-1]["fields"]["csrf"]

    answers = [
        admin.client.post(
            f"{WHERE}/{company.person_id}/role", data={"csrf": token, "role": "viewer"}
        ),
        admin.client.post(f"{WHERE}/{company.person_id}/remove", data={"csrf": token}),
    ]
    invited = admin.client.post(
        f"{WHERE}/invite", data={"csrf": token, "email": "a@b.example", "role": "owner"}
    )

    assert [one.status_code for one in answers] == [303, 303]
    assert invited.text.count("Only an owner may decide about an owner") == 2
    assert invited.status_code == 422
    with hub.tenant(company.tenant_id) as session:
        owner = session.scalars(
            select(Membership.role).where(Membership.person_id == company.person_id)
        ).one()
    assert owner == "owner"


def test_a_company_keeps_an_owner(visitor: Visitor, company: Company, hub: Hub) -> None:
    """The last owner can neither go nor become less."""
    token = visitor.page(WHERE).forms[-1]["fields"]["csrf"]
    for action in ("role", "remove"):
        visitor.client.post(
            f"{WHERE}/{company.person_id}/{action}", data={"csrf": token, "role": "viewer"}
        )

    assert "A company needs an owner" in visitor.page(WHERE).text


def test_who_is_removed_is_signed_out(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """At once, and the audit log keeps who it was."""
    other = colleague(app, hub, company, Role.MAPPER)
    assert other.get("/").status_code == 200
    action = next(
        one["action"] for one in visitor.page(WHERE).forms if one["action"].endswith("/remove")
    )

    send(visitor, WHERE, action)

    assert other.get("/").status_code == 303
    assert facts(hub, company, "person.removed") == [{"role": "mapper"}]


@pytest.mark.parametrize("page", ["company", "people", "keys", "audit"])
def test_settings_are_for_admins(app: Flask, hub: Hub, company: Company, page: str) -> None:
    """A mapper has no business there, and sees no way to them."""
    mapper = colleague(app, hub, company, Role.MAPPER)

    assert mapper.get(f"/settings/{page}").status_code == 403
    assert f"/settings/{page}" not in mapper.client.get("/settings/account").text


def test_a_key_is_shown_once(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Its secret opens the API, and stands on no page afterwards."""
    answer = send(
        visitor,
        "/settings/keys",
        "/settings/keys",
        name="Zapier",
        scope=["events:read", "nonsense"],
    )
    secret = re.search(r"ab_live_[\w-]+", answer.text)[0]

    with hub.everyone("a test asks") as session:
        holder = find(session, hash_secret(secret))
    assert holder.tenant_id == company.tenant_id
    assert holder.scopes == {"events:read"}
    assert secret not in visitor.client.get("/settings/keys").text
    assert "Zapier" in visitor.page("/settings/keys").text


def test_a_revoked_key_opens_nothing(visitor: Visitor, hub: Hub, company: Company) -> None:
    """And stays on the list, so that one knows what it was."""
    send(visitor, "/settings/keys", "/settings/keys", name="Old", scope=["events:read"])
    send(visitor, "/settings/keys", "/revoke")

    with hub.tenant(company.tenant_id) as session:
        assert session.scalars(select(ApiKey)).one().revoked_at is not None
    assert "Revoked" in visitor.page("/settings/keys").text
    assert len(facts(hub, company, "key.revoked")) == 1


def test_a_key_without_name_or_scope_is_not_made(
    visitor: Visitor, hub: Hub, company: Company
) -> None:
    """The form says what is missing."""
    no_name = send(visitor, "/settings/keys", "/settings/keys", name=" ", scope=["events:read"])
    no_scope = send(visitor, "/settings/keys", "/settings/keys", name="Zapier", scope=[])

    assert (no_name.status_code, no_scope.status_code) == (422, 422)
    assert 'value="events:read" checked' in no_name.text
    assert 'value="events:write" checked' in visitor.client.get("/settings/keys").text
    assert "Choose at least one thing" in no_scope.text


def test_the_audit_log_is_filtered_and_paged(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Newest first, fifty a page, by what was done."""
    with hub.tenant(company.tenant_id) as session:
        for number in range(60):
            audit.record(session, actor="command", action="test.done", target=f"thing_{number}")

    first = visitor.page("/settings/audit?action=test.done")
    older = next(
        one["href"]
        for tag, one in first.elements
        if tag == "a" and "before=" in one.get("href", "")
    )

    assert "thing_59" in first.text
    assert "thing_5 " not in f"{first.text} "
    assert "thing_0" in visitor.page(older).text
    assert "Nothing fits" in visitor.page("/settings/audit?until=2001-01-01").text
    assert "The newest rows are a whole chain" in visitor.page("/settings/audit").text
    about = visitor.page("/settings/audit?target=thing_7")
    assert "thing_8" not in about.text
    assert ("input", "thing_7") in [(tag, one.get("value")) for tag, one in about.elements]
    assert re.search(r"\d{2}:\d{2}:\d{2} UTC", about.text)


@pytest.mark.parametrize("page", ["/notifications", "/mappings/approval", "/settings/people"])
def test_every_page_of_the_settings_leads_to_the_others(visitor: Visitor, page: str) -> None:
    """Whoever looks through the settings is never out of them by a press of a tab."""
    found = visitor.page(page).elements
    here = [one["href"] for tag, one in found if tag == "a" and one.get("aria-current") == "page"]

    assert {page, "/settings"} <= set(here)
    assert {"/settings/keys", "/settings/audit"} <= {one.get("href") for _, one in found}


def test_a_changed_row_breaks_the_chain(visitor: Visitor, hub: Hub, company: Company) -> None:
    """Whoever changes history is seen."""
    with hub.tenant(company.tenant_id) as session:
        audit.record(session, actor="command", action="test.done", target="thing")
        audit.record(session, actor="command", action="test.done", target="thing")
    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(select(AuditRow).order_by(AuditRow.number)).first()
        row.target = "another"

    assert "The chain is broken" in visitor.page("/settings/audit").text


def test_the_audit_log_is_exported(visitor: Visitor, hub: Hub, company: Company) -> None:
    """As a table that runs no formula, and as JSON Lines; the export is written down too."""
    with hub.tenant(company.tenant_id) as session:
        audit.record(session, actor="command", action="test.done", target="=1+1", facts={"n": 1})

    table = visitor.client.get("/settings/audit/export?action=test.done").text.splitlines()
    lines = visitor.client.get("/settings/audit/export?as=jsonl&action=test.done").text.splitlines()

    assert table[0] == "number,at,actor,action,target,facts,hash"
    assert ",'=1+1," in table[1]
    assert [json.loads(one)["facts"] for one in lines] == [{"n": 1}]
    assert len(facts(hub, company, "audit.exported")) == 2


def test_the_audit_log_is_one_company_s(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """Neither the page nor the file shows another's rows."""
    with hub.tenant(company.tenant_id) as session:
        audit.record(session, actor="command", action="test.done", target="secret_thing")
    stranger = signed_in(app, hub, new_company(hub))

    assert "secret_thing" not in stranger.client.get("/settings/audit").text
    assert "secret_thing" not in stranger.client.get("/settings/audit/export").text


def test_other_browsers_are_signed_out(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """One by one, or all at once; this one stays."""
    with hub.tenant(company.tenant_id) as session:
        from datetime import timedelta

        windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0"
        for agent in ("Phone", "Tablet", windows):
            people.start_sign_in(
                session, person_id=company.person_id, lasts=timedelta(hours=1), user_agent=agent
            )
    all_of_them = visitor.page("/settings/account").text
    send(visitor, "/settings/account", "/end")
    one_less = visitor.page("/settings/account").text
    assert "Firefox on Windows" in all_of_them
    send(visitor, "/settings/account", "/end-others")

    assert [one in one_less for one in ("Phone", "Tablet", "Firefox")].count(False) == 1
    text = visitor.page("/settings/account").text
    assert "Phone" not in text
    assert "Tablet" not in text


def test_a_password_is_changed_only_with_the_present_one(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """A wrong one changes nothing; the right one signs every browser out."""
    with hub.everyone("a test sets a password") as session:
        person = session.get(Person, company.person_id)
        person.password_hash = people.hash_password(PASSWORD)
    wrong = send(
        visitor,
        "/settings/account",
        "/password",
        old_password="no",
        new_password="a fine new password",
    )
    weak = send(
        visitor, "/settings/account", "/password", old_password=PASSWORD, new_password="short"
    )
    right = send(
        visitor,
        "/settings/account",
        "/password",
        old_password=PASSWORD,
        new_password="a fine new password",
    )

    assert (wrong.status_code, weak.status_code, right.status_code) == (401, 422, 303)
    assert visitor.get("/").status_code == 303
