"""The form of the mapping editor: the same document as the text, with both sides, problems and values in place."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from hub.context import Hub
from hub.db import mappings as kept
from hub.db.audit import AuditRow
from hub.db.mappings import MappingVersion
from hub.db.people import Role
from hub.db.tenants import Tenant
from mappings.document import dump_yaml, load, parse
from mappings.filled import read as read_form
from mappings.presets import presets
from tests.delivery.connected import LEAD, LEAD_AND_TASK, MATCHED_LEAD, Connected, voicemail
from tests.mappings import strategies
from tests.web.visitor import Visitor, signed_in


class Fields(HTMLParser):
    """What a browser would send of the editor's form, its buttons left out."""

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self._is_inside = False
        self._area: str | None = None
        self._select: str | None = None
        self._first: str | None = None
        self._text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note fields as they begin."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = found.get("id") == "mapping"
        if not self._is_inside:
            return
        name = found.get("name", "")
        if tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._first = name, None
        elif tag == "option" and self._select:
            if self._first is None:
                self._first = found.get("value", "")
                self.pairs.append((self._select, self._first))
            if "selected" in found:
                self.pairs[-1] = (self._select, found.get("value", ""))
        elif tag == "input" and name and (found.get("type") != "checkbox" or "checked" in found):
            self.pairs.append((name, found.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        """Close what may hold text or options."""
        if tag == "textarea" and self._area:
            # A browser leaves out the line break after the tag.
            self.pairs.append((self._area, self._text.removeprefix("\n")))
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._is_inside = False

    def handle_data(self, data: str) -> None:
        """Note what stands in a text field."""
        if self._area is not None:
            self._text += data


@pytest.fixture
def owner(app: Flask, hub: Hub, connected: Connected) -> Visitor:
    """The owner of the connected company."""
    return signed_in(app, hub, connected.company)


def fields(html: str, **changes: str) -> dict[str, Any]:
    """Give what the page's form would send, with changes; several values of one name as a list."""
    found: dict[str, Any] = {}
    for name, value in Fields(html).pairs:
        found.setdefault(name, []).append(value)
    return found | changes


def act(visitor: Visitor, path: str, html: str, do: str, **changes: str) -> str:
    """Press a button of the form; gives the page that follows."""
    answer = visitor.post(path, fields(html, do=do, **changes))
    assert answer.status_code == 200, answer.status_code
    return answer.text


def document(html: str) -> dict[str, Any]:
    """Give the mapping that the page's form says."""
    return read_form(Fields(html).pairs).data


def opened(connected: Connected, owner: Visitor, text: str = LEAD_AND_TASK) -> tuple[str, str]:
    """Publish a mapping, with the account's fields known, and open it; gives address and page."""
    path = f"/mappings/{connected.publish(text)}"
    return path, act(owner, path, owner.get(path).text, "check")


def test_form_says_what_the_text_says(owner: Visitor, connected: Connected) -> None:
    """The form of a mapping holds the same document."""
    _, page = opened(connected, owner)

    assert document(page) == load(LEAD_AND_TASK)


def test_presets_pass_through_the_page(owner: Visitor, connected: Connected) -> None:
    """Every preset that ships for the account says the same in the form."""
    for preset in presets("salesforce"):
        page = owner.get(f"/mappings/new?connection={connected.connection.id}&preset={preset.name}")
        assert parse(document(page.text)) == parse(load(preset.text)), preset.name


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=strategies.mappings())
def test_any_mapping_passes_through_the_page(
    owner: Visitor, connected: Connected, data: dict[str, Any]
) -> None:
    """Whatever the language can say stands in the page's form and comes back from it."""
    import json

    form = {"connection": connected.connection.id, "text": json.dumps(data), "view": "yaml"}
    page = owner.post("/mappings/new", form | {"do": "to-form"}).text

    try:
        wanted = parse(data)
    except ValueError:
        return
    assert parse(document(page)) == wanted


def test_switching_back_changes_nothing(owner: Visitor, connected: Connected) -> None:
    """Form and text are switched between without a change to the text, its comments too."""
    text = LEAD.replace("when:", "# who it is for\nwhen:")
    path, page = opened(connected, owner, text)

    page = act(owner, path, page, "to-yaml")

    assert ("text", text) in Fields(page).pairs


def test_changed_field_keeps_the_comments(owner: Visitor, connected: Connected) -> None:
    """A change in the form changes its line of the text only."""
    text = LEAD.replace("when:", "# who it is for\nwhen:")
    path, page = opened(connected, owner, text)

    page = act(owner, path, page, "to-yaml", **{"s0-f1.or": "none"})

    written = dict(Fields(page).pairs)["text"]
    assert "# who it is for" in written
    assert "Company: {from: caller.company, or: none}" in written


def test_comment_without_a_place_is_asked_about(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """Before a comment is lost a person says what becomes of it."""
    text = LEAD.replace("as: e164}", "as: e164}  # as agreed")
    path, page = opened(connected, owner, text)
    page = act(owner, path, page, "remove:s0-f2")

    page = act(owner, path, page, "save")
    assert "has no place any more" in page
    assert "# as agreed" in page
    answer = owner.post(path, fields(page, do="save--top"))

    assert answer.status_code == 303
    with hub.tenant(connected.company.tenant_id) as session:
        sources = session.scalars(
            select(MappingVersion.source).order_by(MappingVersion.number)
        ).all()
    assert sources[-1].startswith("# as agreed\n")
    assert "e164" not in sources[-1]


def test_account_side_shows_what_the_account_has(owner: Visitor, connected: Connected) -> None:
    """Fields stand with label, type, length, whether they are required, and their values."""
    _, page = opened(connected, owner)

    assert "Last Name · text · 80 characters" in page
    assert '<option value="LastName" data-kind="text, required" data-mark="set already">' in page
    assert '<option value="Title" data-kind="text">Title</option>' in page
    assert "fields of Lead not mapped" in page
    assert re.search(r"list of values · .*Hot", page)


def test_voicemail_side_has_real_examples(owner: Visitor, connected: Connected) -> None:
    """What a voicemail gives stands with an example of the latest real one."""
    connected.accept(voicemail(7))

    _, page = opened(connected, owner)

    assert 'data-example="Dana W7: water through the ceiling"' in page
    assert "Dana W7" in page


def test_fields_are_added_moved_and_removed(owner: Visitor, connected: Connected) -> None:
    """Buttons add, move and remove fields; the form keeps all else."""
    path, page = opened(connected, owner, LEAD)
    assert "moves the field or step that you are in" in page

    page = act(owner, path, page, "down:s0-f0")
    assert re.search(r'value="down:s0-f1"[^>]* autofocus', page)
    assert list(document(page)["steps"][0]["set"])[:2] == ["Company", "LastName"]
    page = act(owner, path, page, "remove:s0-f3")
    page = act(owner, path, page, "add-field:s0/Title")
    table = document(page)["steps"][0]["set"]
    assert list(table) == ["Company", "LastName", "Phone", "Title"]
    assert table["Title"]["from"] == "summary"


def test_steps_are_added_moved_and_removed(owner: Visitor, connected: Connected) -> None:
    """So do steps."""
    path, page = opened(connected, owner)

    page = act(owner, path, page, "add-step:")
    page = act(owner, path, page, "up:s1")
    assert [one["id"] for one in document(page)["steps"]] == ["callback", "lead", "step3"]
    assert "is a later step; move it above this one" in page
    page = act(owner, path, page, "remove:s2")

    assert len(document(page)["steps"]) == 2


def test_conditions_nest(owner: Visitor, connected: Connected) -> None:
    """Conditions and groups of them are added and taken out."""
    path, page = opened(connected, owner, LEAD)

    page = act(owner, path, page, "add-group:")
    page = act(owner, path, page, "add-test:w1")
    page = act(
        owner,
        path,
        page,
        "swap-group:w1",
        **{
            "w1-0.field": "escalate",
            "w1-0.value": "true",
            "w1-1.field": "urgency.score",
            "w1-1.test": "at_least",
            "w1-1.value": "60",
        },
    )
    assert document(page)["when"][1] == {
        "all": [{"field": "escalate", "is": True}, {"field": "urgency.score", "at_least": 60}]
    }
    page = act(owner, path, act(owner, path, page, "remove:w1-1"), "remove:w1-0")

    assert len(document(page)["when"]) == 1


def test_match_says_what_it_would_find(owner: Visitor, connected: Connected) -> None:
    """A way to find the record that is there shows what it would look for in a real voicemail."""
    connected.accept(voicemail(3))

    path, page = opened(connected, owner, MATCHED_LEAD)
    assert "Would find" in page
    assert "Phone = +14155550003" in page
    page = act(owner, path, page, "add-way:s0")

    assert [list(way) for way in document(page)["steps"][0]["match"]] == [["Phone"], [""]]
    page = act(owner, path, page, "remove:s0-m1-k0")
    assert document(page)["steps"][0]["match"] == load(MATCHED_LEAD)["steps"][0]["match"]


def test_way_of_filling_carries_over(owner: Visitor, connected: Connected) -> None:
    """A field that turns into text keeps its path as a chip, and back."""
    path, page = opened(connected, owner, LEAD)

    page = act(owner, path, page, "show", **{"s0-f1.kind": "text"})
    assert document(page)["steps"][0]["set"]["Company"] == {
        "text": "{caller.company}",
        "or": "[not given]",
    }
    page = act(owner, path, page, "show", **{"s0-f1.kind": "from"})
    assert document(page)["steps"][0]["set"]["Company"]["from"] == "caller.company"


def test_fields_in_a_text_are_chips(owner: Visitor, connected: Connected) -> None:
    """Each is named as people call it, once, with an example; one that no voicemail has is marked."""
    text = LEAD.replace(
        '"{summary}"', '"{caller.name.full}: {summary} {caller.name.full} {caller.shoe}"'
    )
    path, page = opened(connected, owner, text)

    chips = re.findall(r'data-find="({[^"]+})" data-in="x-s0-f3" title="([^"]+)">([^<]+)<', page)
    assert [(find, label) for find, _, label in chips] == [
        ("{caller.name.full}", "Caller name: full"),
        ("{summary}", "Summary"),
        ("{caller.shoe}", "caller.shoe"),
    ]
    assert chips[0][1].startswith("caller.name.full: ")
    page = act(owner, path, page, "check", **{"s0-f3.text": "Nothing of theirs"})
    assert "data-find" not in page


def test_values_stand_beside_the_picklist(owner: Visitor, connected: Connected) -> None:
    """A value table offers the account's own values; what is not matched yet is marked."""
    text = LEAD + "      Rating: {from: urgency.level, choose: {critical: Hot, high: Lukewarm}}\n"

    _, page = opened(connected, owner, text)

    assert "Lukewarm – not in the list" in page
    assert page.count("not listed yet, for Rating") == 2
    assert "does not list low, normal" in page


def test_suggestions_are_taken_over_together(owner: Visitor, connected: Connected) -> None:
    """All suggestions of a step are taken over at once, with their reasons shown before."""
    path, page = opened(connected, owner, LEAD)
    assert "is called &#34;email&#34; by name" in page

    page = act(owner, path, page, "add-all:s0")

    table = document(page)["steps"][0]["set"]
    assert table["Email"]["from"] == "caller.email"
    assert table["Company"] == {"from": "caller.company", "or": "[not given]"}


def test_problems_stand_in_place_and_in_the_list(owner: Visitor, connected: Connected) -> None:
    """A problem stands in its row, and the list leads there; the values of other rows are still shown."""
    path, page = opened(connected, owner, LEAD)

    page = act(owner, path, page, "show", **{"s0-f2.from": "caller.fone"})

    row = page.split('id="t-s0-f2"')[1].split("</div>")[0]
    assert "caller.fone" in row
    assert '<a href="#s0-f2">steps[0].set.Phone' in page
    assert re.search(r'id="t-s0-f0">\s*<p class="gives">', page)


def test_vendor_that_is_down_leaves_the_last_known(owner: Visitor, connected: Connected) -> None:
    """When the account does not answer, its last known fields are shown with the time, and nothing is lost."""
    path, page = opened(connected, owner, LEAD)
    connected.sandbox.fault(kind="status", status=503, path="/sobjects", next=20)

    page = act(owner, path, page, "refresh")

    connected.sandbox.clear_faults()
    assert "could not be read anew" in page
    assert "These are the fields as of" in page
    assert "Last Name · text" in page
    assert document(page) == load(LEAD)


def test_unread_account_is_asked_once_the_page_is_there(
    owner: Visitor, connected: Connected
) -> None:
    """Opening a mapping asks nothing of the account: the page is there at once and says that it reads."""
    path = f"/mappings/{connected.publish(LEAD)}"
    connected.sandbox.fault(kind="status", status=503, path="/sobjects", next=20)
    page = owner.get(path).text
    connected.sandbox.clear_faults()

    assert "Reading the fields of Lead" in page
    assert "could not be read" not in page
    assert "Last Name · text" in act(owner, path, page, "check")


def test_objects_of_a_new_account_are_read(owner: Visitor, connected: Connected) -> None:
    """An empty mapping asks for the account's kinds of record, once."""
    path = "/mappings/new"
    page = owner.get(f"{path}?connection={connected.connection.id}&preset=blank").text
    assert "Reading what" in page

    page = act(owner, path, page, "check")

    assert "Reading what" not in page
    assert '<option value="Lead">Lead</option>' in page


def test_new_rows_say_what_is_missing(owner: Visitor, connected: Connected) -> None:
    """A row that was just added asks for what it lacks in the form's own words, and has the focus."""
    path, page = opened(connected, owner, LEAD)

    page = act(owner, path, page, "add-field:s0")

    assert "choose a field of the account" in page
    assert re.search(r'name="s0-f4.name" value=""[^>]* autofocus', page)


def test_comparison_shows_what_the_account_has(owner: Visitor, connected: Connected) -> None:
    """On request the account is asked once, and each field stands beside what is there."""
    from tests.browser.seeding import drain

    mapping_id = connected.publish(MATCHED_LEAD)
    (one,) = connected.accept(voicemail(41))
    drain(connected)
    path = f"/mappings/{mapping_id}"
    page = owner.get(path).text

    page = act(owner, path, page, "look", event=one.id, **{"s0-f1.or": "Nobody"})

    assert "changes a record" in page
    assert "<del>[not given]</del> <ins>Nobody</ins>" in page
    assert "the same" in page


def test_preview_goes_along_with_what_is_typed(owner: Visitor, connected: Connected) -> None:
    """A preview that is looked at shows each edit and each other voicemail; what is wrong stands there meanwhile."""
    first, second = connected.accept(voicemail(42), voicemail(43))
    path, page = opened(connected, owner, MATCHED_LEAD)
    page = act(owner, path, page, "preview", event=first.id)

    page = act(owner, path, page, "live", event=second.id, **{"s0-f1.or": "Nobody"})
    assert "What step lead would write" in page
    assert '<dd dir="auto">Nobody' in page
    assert 'id="would-s0"><p class="hint">Would find <bdi>Phone = +14155550043' in page

    page = act(owner, path, page, "live", event=second.id, **{"s0-f1.name": "Nothing"})
    assert "2 errors" in page
    assert "What step lead would write" in page
    page = act(owner, path, page, "live", event=second.id, **{"s0-f1.from": ""})
    assert "What step lead would write" not in page
    page = act(owner, path, page, "live", event=second.id, **{"s0-f1.from": "caller.company"})
    assert "What step lead would write" in page
    page = act(owner, path, page, "check", event=second.id)
    assert "What step lead would write" not in act(owner, path, page, "live", event=second.id)


def test_comparison_without_an_answer_says_so(owner: Visitor, connected: Connected) -> None:
    """When the account does not answer, what would be sent is shown all the same."""
    path, page = opened(connected, owner, MATCHED_LEAD)
    connected.sandbox.fault(kind="status", status=503, path="/", next=20)

    page = act(owner, path, page, "look", event="example")

    connected.sandbox.clear_faults()
    assert "The account could not be asked" in page
    assert "What step lead would write" in page


def test_dry_run_counts_without_sending(owner: Visitor, connected: Connected) -> None:
    """The dry run counts what would match, wait and change, and sends nothing."""
    path, page = opened(connected, owner, LEAD)
    *mine, _ = connected.accept(voicemail(1), voicemail(2), voicemail(3, bucket="billing"))

    text = LEAD + "      Rating: {from: urgency.level, choose: {high: Hot}}\n"
    page = act(owner, path, page, "to-yaml")
    page = act(owner, path, page, "rehearse", text=text)

    found = re.search(r'written otherwise, <a class="small" href="/voicemails/([^"]+)"', page)
    assert found is not None
    assert found[1] in {one.id for one in mine}
    text = " ".join(re.sub(r"<[^>]+>", " ", page.split('id="rehearsal"')[1]).split())
    assert "Dry run over 3 voicemails" in text
    assert "This mapping is for, such as this one 2" in text
    assert "would wait for a person, such as this one 2" in text
    assert "written otherwise, such as this one 2" in text
    assert "steps[0].set.Rating" in text


def test_who_saves_second_chooses(hub: Hub, owner: Visitor, connected: Connected) -> None:
    """A stale save shows what each changed; merged, the text holds both changes."""
    path, page = opened(connected, owner, LEAD)
    theirs = LEAD.replace("or: Unknown", "or: Somebody")
    with hub.tenant(connected.company.tenant_id) as session:
        kept.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(theirs),
            source=theirs,
            author=f"person:{connected.company.person_id}",
            note="Polite",
            mapping_id=path.rsplit("/", 1)[-1],
        )

    answer = owner.post(path, fields(page, do="save", **{"s0-f1.or": "none"}))
    assert answer.status_code == 409
    assert "steps.lead.set.LastName.or" in answer.text
    assert "steps.lead.set.Company.or" in answer.text
    assert "Polite" in answer.text
    page = act(owner, path, answer.text, "merge")
    merged = dict(Fields(page).pairs)["text"]
    assert "or: Somebody" in merged
    assert "or: none" in merged
    assert owner.post(path, fields(page, do="save")).status_code == 303


def test_who_takes_theirs_keeps_mine_in_sight(
    hub: Hub, owner: Visitor, connected: Connected
) -> None:
    """Taking the other's version leaves one's own text on the page; touching the same line leaves marks."""
    path, page = opened(connected, owner, LEAD)
    owner.post(path, fields(page, do="save", **{"s0-f1.or": "theirs"}))
    answer = owner.post(path, fields(page, do="save", **{"s0-f1.or": "mine"}))

    taken = act(owner, path, answer.text, "theirs")
    merged = act(owner, path, answer.text, "merge")

    assert document(taken)["steps"][0]["set"]["Company"]["or"] == "theirs"
    assert "or: mine" in taken
    assert "1 place to decide" in merged
    assert "&lt;&lt;&lt;&lt;&lt;&lt;&lt; yours" in merged


def test_health_data_is_not_shown_unasked(hub: Hub, app: Flask, connected: Connected) -> None:
    """Where callers are patients, rows show a made-up voicemail; a real one is read on request and noted."""
    with hub.everyone("a test makes a company one with health data") as session:
        tenant = session.scalars(
            select(Tenant).where(Tenant.id == connected.company.tenant_id)
        ).one()
        tenant.is_phi = True
    owner = signed_in(app, hub, connected.company)
    (one,) = connected.accept(
        voicemail(5, caller={"phone": "+14155550555", "company": "Secret Ltd"})
    )
    path, page = opened(connected, owner, LEAD)
    assert "Secret Ltd" not in page

    page = act(owner, path, page, "preview", event=one.id)

    assert "Secret Ltd" in page
    assert "Secret Ltd" not in act(owner, path, page, "live", event=one.id)
    with hub.tenant(connected.company.tenant_id) as session:
        actions = session.execute(select(AuditRow.action, AuditRow.target)).all()
    assert ("voicemail.read", one.id) in [tuple(row) for row in actions]


def test_files_go_out_and_come_in(owner: Visitor, connected: Connected) -> None:
    """A mapping is written to a file as it was written, or as JSON; a file opens as a new mapping."""
    from io import BytesIO

    path, _ = opened(connected, owner, LEAD)
    yaml_file, json_file = owner.get(f"{path}/file"), owner.get(f"{path}/file?as=json")
    assert yaml_file.text == LEAD
    assert json_file.json == load(LEAD)
    assert 'filename="Lead-v1.json"' in json_file.headers["Content-Disposition"]

    form = {"connection": connected.connection.id}
    answer = owner.post(
        "/mappings/file", form | {"file": (BytesIO(json_file.data), "Leads-v3.json")}
    )
    assert parse(document(answer.text)) == parse(load(LEAD))
    assert ("name", "Leads") in Fields(answer.text).pairs
    for content in (b"", b"\xff\xfe", b"a\x00b", b"x" * 70_000):
        wrong = owner.post("/mappings/file", form | {"file": (BytesIO(content), "x.yaml")})
        assert wrong.status_code == 303


def test_text_that_is_no_mapping_stays_text(owner: Visitor, connected: Connected) -> None:
    """What cannot be shown as a form is said, and the text stays as it is."""
    form = {"connection": connected.connection.id, "text": "steps: [", "view": "yaml", "name": "x"}

    page = owner.post("/mappings/new", form | {"do": "to-form"}).text

    assert "cannot be read as it stands" in page
    assert ("text", "steps: [") in Fields(page).pairs


def test_viewers_look_and_change_nothing(app: Flask, hub: Hub, connected: Connected) -> None:
    """A viewer sees the form switched off, and may not send it."""
    path = f"/mappings/{connected.publish(LEAD)}"
    from tests.conftest import new_company

    reader = signed_in(app, hub, new_company(hub, role=Role.VIEWER))
    assert reader.get(path).status_code == 404
    assert reader.post(path, {"do": "save"}).status_code == 403


def test_large_mapping_is_quick_and_small(owner: Visitor, connected: Connected) -> None:
    """A form of many fields is below 150 KB on the way, and does not take long."""
    import gzip

    rows = "".join(f"      Field{n}__c: {{from: summary, max: 80}}\n" for n in range(120))
    _, page = opened(connected, owner, LEAD_AND_TASK + rows)
    start = time.perf_counter()
    page = act(owner, "/mappings/new", page, "show")

    assert len(gzip.compress(page.encode())) < 60_000
    assert time.perf_counter() - start < 5


def test_yaml_of_a_form_is_written_as_people_do(owner: Visitor, connected: Connected) -> None:
    """A mapping made in the form alone becomes YAML in the usual layout."""
    page = owner.get(f"/mappings/new?connection={connected.connection.id}&preset=blank").text
    page = act(owner, "/mappings/new", page, "check", **{"s0.object": "Lead", "s0.id": "lead"})
    page = act(owner, "/mappings/new", page, "add-field:s0/LastName")
    page = act(owner, "/mappings/new", page, "to-yaml")

    text = dict(Fields(page).pairs)["text"]
    assert load(text)["steps"][0]["set"]["LastName"]["or"] == "Unknown"
    assert dump_yaml(parse(load(text))).count("\n") <= text.count("\n") + 1
