"""Presets pass the checks of accounts as the vendors' sandboxes describe them."""

from __future__ import annotations

from functools import cache

import pytest

from connectors.hubspot.associating import association_fields
from connectors.hubspot.describing import _field
from connectors.hubspot.sandbox_schema import _STANDARD, REQUIRED, standard_properties
from connectors.salesforce.fields import fields_of
from connectors.salesforce.sandbox_objects import OBJECTS
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


SCHEMAS = {"salesforce": _salesforce, "hubspot": _hubspot}
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
    count = 0
    for facts in (full, bare):
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


@pytest.mark.parametrize("connector", SCHEMAS)
def test_healthcare_titles_hold_nothing_of_the_caller(connector, zone):
    """What travels in notices names no patient and repeats no word of theirs."""
    preset = next(one for one in presets(connector) if one.name == "healthcare_callback")
    step = compile_mapping(parse(load(preset.text))).steps[-1]

    rendered = step.render(example_facts(), ids={"contact": "1"}, timezone=zone)

    title = rendered.fields.get("Subject") or rendered.fields["hs_task_subject"]
    assert title == "Call back a new patient"
