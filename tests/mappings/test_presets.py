"""Presets pass the checks of accounts as the vendors' sandboxes describe them."""

from __future__ import annotations

from functools import cache

import pytest

from connectors.google_calendar.describing import fields_of as calendar_fields
from connectors.google_calendar.naming import LABELS as CALENDAR_OBJECTS
from connectors.hubspot.associating import association_fields
from connectors.hubspot.describing import _field
from connectors.hubspot.sandbox_schema import _STANDARD, REQUIRED, standard_properties
from connectors.pagerduty.describing import incident_fields, note_fields
from connectors.pipedrive import sandbox_schema as pipedrive_schema
from connectors.pipedrive.describing import fields_of as pipedrive_fields
from connectors.pipedrive.objects import KINDS as PIPEDRIVE_KINDS
from connectors.record import Choice
from connectors.salesforce.fields import fields_of
from connectors.salesforce.sandbox_objects import OBJECTS
from connectors.twilio_sms.describing import Numbers, message_fields
from connectors.twilio_sms.rules import Rules
from connectors.zendesk import describing as zendesk_describing
from connectors.zendesk import sandbox_setup as zendesk_setup
from mappings.catalogue import example_facts
from mappings.check import check
from mappings.document import load, parse
from mappings.event import Bucket
from mappings.presets import VERTICALS, presets
from mappings.render import compile_mapping


@cache
def _salesforce(object_name):
    found = OBJECTS.get(object_name)
    if found is None:
        return None
    return fields_of({"fields": [one.described() for one in found.fields]}, without=frozenset())


@cache
def _hubspot(object_name):
    if object_name not in _STANDARD:
        return None
    required = frozenset(REQUIRED.get(object_name, ()))
    fields = [
        _field(one.document(), required=required, object_name=object_name)
        for one in standard_properties(object_name).values()
    ]
    return [*fields, *association_fields(object_name)]


@cache
def _twilio_sms(object_name):
    if object_name != "message":
        return None
    return message_fields(Numbers(("+14155550100",), ("Front desk",)), (), Rules())


def _google_calendar(object_name):
    if object_name not in CALENDAR_OBJECTS:
        return None
    return calendar_fields(object_name, (Choice("primary", "Whitfield Plumbing"),))


def _pagerduty(object_name):
    if object_name == "note":
        return note_fields()
    if object_name != "incident":
        return None
    # The smallest plan: no priorities, no types, no custom fields.
    return incident_fields(services=(Choice("PSBXSV1", "Emergency line"),))


@cache
def _pipedrive(object_name):
    kind = PIPEDRIVE_KINDS.get(object_name)
    if kind is None:
        return None
    rows = pipedrive_schema.standard_fields("7301", kind.fields) if kind.fields else []
    types = [one["key_string"] for one in pipedrive_schema.ACTIVITY_TYPES]
    choices = {"type": types, "status": ["open", "won", "lost"]}
    return pipedrive_fields(
        kind,
        rows,
        {name: tuple(Choice(one, one) for one in given) for name, given in choices.items()},
    )


@cache
def _zendesk(object_name):
    groups = zendesk_setup.groups_of("whitfield")
    return {
        "Ticket": zendesk_describing.ticket_fields(zendesk_setup.ticket_fields(), groups),
        "User": zendesk_describing.user_fields(zendesk_setup.user_fields()),
    }.get(object_name)


SCHEMAS = {
    "salesforce": _salesforce,
    "hubspot": _hubspot,
    "pagerduty": _pagerduty,
    "pipedrive": _pipedrive,
    "twilio_sms": _twilio_sms,
    "google_calendar": _google_calendar,
    "zendesk": _zendesk,
}
ALL = [
    pytest.param(connector, preset, id=f"{connector}-{preset.name}")
    for connector in SCHEMAS
    for preset in presets(connector)
]


@pytest.mark.parametrize(("connector", "preset"), ALL)
def test_presets_pass_the_checks_of_the_account(connector, preset):
    """A preset has no errors, and no custom field in it."""
    problems = check(load(preset.text), SCHEMAS[connector])

    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    assert "__c" not in preset.text


@pytest.mark.parametrize(("connector", "preset"), ALL)
def test_presets_render_the_voicemails_they_are_for(connector, preset, zone):
    """Every bucket that a preset is for renders, with all fields and with next to none."""
    compiled = compile_mapping(parse(load(preset.text)))
    full = example_facts()
    bare = {"urgency": {"level": "low", "score": 0}, "call": full["call"], "lead_score": 60}
    bare["caller"] = {"phone": "+14155550132"}
    # A text goes only to callers who agreed to texts.
    bare["callback"] = {"sms_consent": True}
    count = 0
    unknown = [facts | {"caller": {}} for facts in (full, bare)]
    for facts in (full, bare, *unknown):
        for bucket in Bucket:
            facts["bucket"] = bucket.value
            if compiled.matches(facts):
                for step in compiled.steps:
                    ids = dict.fromkeys(step.depends_on, "id")
                    assert step.render(facts, ids=ids, timezone=zone).fields
                    count += 1

    assert count >= 2 * len(compiled.steps)
    facts["bucket"] = "spam"
    assert not compiled.matches(facts)


def test_every_preset_file_is_listed_and_every_vertical_is_served():
    """The index of a vendor lists its files; each vertical has a preset at each vendor."""
    from pathlib import Path

    import mappings.presets as package

    for connector in SCHEMAS:
        files = {path.stem for path in (Path(package.__file__).parent / connector).glob("*.yaml")}
        assert files - {"index"} == {preset.name for preset in presets(connector)}
        served = {vertical for preset in presets(connector) for vertical in preset.verticals}
        assert served == set(VERTICALS)


def test_an_unknown_connector_has_no_presets():
    """Asking for another connector, or for a path, gives nothing."""
    assert presets("nobody") == ()
    assert presets("../presets/hubspot") == ()


#: What of a healthcare record is seen on a lock screen, and what it then says.
NOTICED = {
    "google_calendar": ("summary", "Appointment request"),
    "salesforce": ("Subject", "Call back a new patient"),
    "hubspot": ("hs_task_subject", "Call back a new patient"),
    "pagerduty": ("title", "Urgent voicemail of a new patient"),
    "pipedrive": ("subject", "Call back a new patient"),
    "twilio_sms": (
        "Body",
        """We have your message and will call you back. Please do not answer this text with anything personal.
Reply STOP to get no more texts.""",
    ),
    "zendesk": ("subject", "Call back a new patient"),
}


@pytest.mark.parametrize("preset", presets("twilio_sms"), ids=lambda preset: preset.name)
def test_texts_repeat_no_words_of_the_caller(preset, zone):
    """Whoever calls can name any number to text: our words and times go there, never theirs."""
    facts = example_facts()
    facts["extra"] = {"business": "Whitfield Plumbing"}
    facts["bucket"] = "appointment"
    said = {facts["reason"], facts["summary"], facts["appointment"]["service"], "Dana"}

    (step,) = compile_mapping(parse(load(preset.text))).steps
    body = step.render(facts, ids={}, timezone=zone).fields["Body"]

    assert [words for words in said if words in body] == []
    assert "STOP" in body


@pytest.mark.parametrize("preset", presets("twilio_sms"), ids=lambda preset: preset.name)
def test_texts_go_only_to_callers_who_agreed(preset):
    """Without consent no row is made, so that nothing waits for a person."""
    compiled = compile_mapping(parse(load(preset.text)))
    facts = {**example_facts(), "callback": {"sms_consent": False}}

    assert not any(compiled.matches({**facts, "bucket": bucket.value}) for bucket in Bucket)


@pytest.mark.parametrize("connector", SCHEMAS)
def test_healthcare_titles_hold_nothing_of_the_caller(connector, zone):
    """What travels in notices names no patient and repeats no word of theirs."""
    preset = next(one for one in presets(connector) if "healthcare" in one.verticals)
    name, title = NOTICED[connector]
    steps = compile_mapping(parse(load(preset.text))).steps

    rendered = [
        step.render(example_facts(), ids=dict.fromkeys(step.depends_on, "1"), timezone=zone).fields
        for step in steps
    ]

    assert [fields[name] for fields in rendered if name in fields] == [title]


def test_a_page_about_a_patient_repeats_none_of_their_words(zone):
    """Why it is urgent is health data too, and pages are texted, pushed and read out."""
    preset = next(one for one in presets("pagerduty") if "healthcare" in one.verticals)
    facts = example_facts()
    said = [facts["summary"], facts["reason"], facts["caller"]["phone"], "Whitfield", "escaping"]

    for step in compile_mapping(parse(load(preset.text))).steps:
        fields = step.render(facts, ids={"page": "Q1"}, timezone=zone).fields
        texts = " ".join(str(value) for value in fields.values())
        assert [words for words in said if words in texts] == []


@pytest.mark.parametrize("preset", presets("pagerduty"), ids=lambda preset: preset.name)
def test_pages_lead_to_the_recording(preset, zone):
    """The note on the incident holds the link, and refers to the incident that the page opened."""
    page, note = compile_mapping(parse(load(preset.text))).steps

    written = note.render(example_facts(), ids={page.id: "Q1"}, timezone=zone).fields

    assert (page.object, note.object, written["incident"]) == ("incident", "note", "Q1")
    assert example_facts()["call"]["recording"]["url"] in written["content"]
