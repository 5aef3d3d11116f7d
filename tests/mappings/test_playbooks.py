"""The usual mappings: for every trade and every set of vendors no gap, no overlap, and nothing that fails its check."""

from __future__ import annotations

from itertools import product

import pytest
from test_presets import SCHEMAS

from mappings.catalogue import example_facts
from mappings.check import check
from mappings.document import load, parse
from mappings.playbooks import BUCKETS, Account, jobs, narrowed, plan, roles_of
from mappings.presets import VERTICALS, presets
from mappings.render import compile_mapping

CRMS = (None, "salesforce", "hubspot", "pipedrive")
OTHERS = ("zendesk", "google_calendar", "pagerduty", "twilio_sms")
#: What only hangs on another record, or is about nobody new.
HELPERS = {
    "Contact",
    "contacts",
    "Person",
    "User",
    "Task",
    "tasks",
    "Activity",
    "Note",
    "notes",
    "note",
}
PAGES_AND_TEXTS = {"incident", "message"}


def every_set() -> list[tuple[str, ...]]:
    """List all sets of vendors with at most one CRM, and some with two."""
    found = []
    for crm, *rest in product(CRMS, *[(None, name) for name in OTHERS]):
        names = tuple(name for name in (crm, *rest) if name)
        if names:
            found.append(names)
    return [
        *found,
        ("hubspot", "salesforce"),
        ("pipedrive", "hubspot", "zendesk", "google_calendar"),
    ]


def calls() -> dict[str, dict]:
    """Give callers of every kind: all is known, only a number, nothing at all, only a name."""
    full = example_facts()
    full["callback"]["sms_consent"] = True
    bare = {"urgency": {"level": "low", "score": 0}, "call": full["call"], "caller": {}}
    named = bare | {"caller": {"name": {"full": "Dana Whitfield"}}}
    numbered = bare | {"caller": {"phone": "+14155550132"}}
    critical = full | {"urgency": {"level": "critical", "score": 95}}
    return {
        "full": full,
        "number": numbered,
        "nothing": bare,
        "name": named,
        "critical": critical,
    }


def landed(vertical: str, names: tuple[str, ...], facts: dict, compiled: dict) -> list[tuple]:
    """Give (connector, object) of every record that a voicemail leads to."""
    found = []
    for one in plan(vertical, accounts(names)).mappings:
        if one.text not in compiled:
            compiled[one.text] = compile_mapping(parse(load(one.text)))
        if compiled[one.text].matches(facts):
            found += [(one.account.connector, step.object) for step in compiled[one.text].steps]
    return found


def accounts(names: tuple[str, ...]) -> list[Account]:
    """Give an account of each vendor, connected in this order."""
    return [Account(f"con_{name}", name) for name in names]


@pytest.fixture(scope="module")
def compiled() -> dict:
    """Mappings by their text: the same ones come again and again."""
    return {}


@pytest.mark.parametrize("names", every_set(), ids="+".join)
@pytest.mark.parametrize("vertical", sorted(VERTICALS))
def test_no_gap_and_no_overlap(vertical, names, compiled):
    """Every bucket leads to a record unless it is told as a gap; none to two leads or tickets; spam to nothing."""
    found = plan(vertical, accounts(names))
    has_records = bool({"crm", "help_desk"} & {role for name in names for role in roles_of(name)})

    if has_records:
        assert found.gaps == ()
    for who, facts in calls().items():
        for bucket in BUCKETS:
            places = landed(vertical, names, facts | {"bucket": bucket}, compiled)
            records = [one for one in places if one[1] not in PAGES_AND_TEXTS | {"note"}]
            assert bool(records) == (bucket not in found.gaps), (who, bucket, places)
            main = [one for one in places if one[1] not in HELPERS]
            assert len(main) == len(set(main)), (who, bucket, places)
            assert len(records) == len(set(records)), (who, bucket, places)
            pages = [one for one in places if one[1] == "incident"]
            if who == "critical":
                assert len(pages) == ("pagerduty" in names), (bucket, places)
            texts = [one for one in places if one[1] == "message"]
            agreed = who in {"full", "critical"}
            assert len(texts) == (agreed and "twilio_sms" in names), (who, bucket, places)
        assert landed(vertical, names, facts | {"bucket": "spam"}, compiled) == []


def test_every_usual_mapping_passes_the_check_of_its_account():
    """Narrowed or merged, a preset has no errors."""
    checked = set()
    for vertical in VERTICALS:
        for names in every_set():
            for one in plan(vertical, accounts(names)).mappings:
                if one.text in checked:
                    continue
                checked.add(one.text)
                problems = check(load(one.text), SCHEMAS[one.account.connector])
                wrong = [str(each) for each in problems if each.severity == "error"]
                assert wrong == [], (vertical, one.account.connector, one.preset.name)
    assert len(checked) > 50


def test_of_two_of_a_role_the_first_has_it_unless_the_other_is_asked_for():
    """The second CRM gets nothing and is told why; planned without the first, it gets the same jobs."""
    both = accounts(("hubspot", "salesforce", "google_calendar"))

    found = plan("sales", both)
    asked = plan("sales", both, without={"con_hubspot"})

    assert found.of("con_salesforce") == ()
    assert found.taken == {"con_salesforce": "con_hubspot"}
    assert {one.preset.name for one in asked.of("con_salesforce")} >= {
        "lead_and_task",
        "support_case",
    }


def test_who_does_what():
    """The roles of the design: lead, note, hold and text, ticket, page; each by its own vendor."""
    found = plan("sales", accounts(("salesforce", *OTHERS)))
    by_job = {
        (job, one.account.connector, one.preset.name) for one in found.mappings for job in one.jobs
    }

    assert by_job >= {
        ("A new caller", "salesforce", "lead_and_task"),
        ("An existing customer", "salesforce", "existing_customer_note"),
        ("A wish for an appointment", "google_calendar", "appointment_hold"),
        ("A text with the time that is held", "twilio_sms", "appointment_offer"),
        ("Support, and bills", "zendesk", "support_ticket"),
        ("Somebody must be woken", "pagerduty", "page_on_call"),
    }


def test_nobody_promises_a_time_that_is_not_held():
    """Without a calendar a caller who wants an appointment is told that somebody calls back."""
    found = plan("sales", accounts(("salesforce", "twilio_sms")))
    texts = {one.preset.name: one.buckets for one in found.of("con_twilio_sms")}

    assert "appointment_offer" not in texts
    assert "appointment" in texts["callback_confirmation"]


def test_every_preset_can_be_narrowed():
    """Each names its buckets in one line, which is what narrowing replaces."""
    for connector in SCHEMAS:
        for preset in presets(connector):
            document = load(narrowed(preset.text, ("billing", "other")))
            assert {"field": "bucket", "in": ["billing", "other"]} in document["when"], preset.name


def test_a_text_without_buckets_cannot_be_narrowed():
    """A mapping that does not name its buckets is refused, and not taken as it is."""
    with pytest.raises(ValueError, match="one line"):
        narrowed("version: 1\n", ("billing",))


def test_every_trade_has_its_jobs():
    """No trade falls back to another's; a name that is no trade does."""
    assert len({str(jobs(vertical)) for vertical in VERTICALS}) == len(VERTICALS)
    assert jobs("../secrets") == jobs("roles") == jobs("sales")
