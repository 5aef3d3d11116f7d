"""Differences between versions, and suggestions for fields."""

from __future__ import annotations

import copy

from mappings.catalogue import catalogue
from mappings.check import check
from mappings.diff import diff
from mappings.document import data_of, load, parse
from mappings.presets import presets
from mappings.suggest import suggest
from tests.mappings.account import schema


def _preset():
    return parse(load(next(p for p in presets("salesforce") if p.name == "lead_and_task").text))


def test_a_mapping_does_not_differ_from_itself():
    """The same document has no changes."""
    assert diff(_preset(), _preset()) == []


def test_every_kind_of_change_is_told_by_path():
    """What was added, removed, changed and moved is told, steps by their id."""
    data = data_of(_preset())
    lead, callback = data["steps"]
    lead["set"]["LeadSource"]["value"] = "Web"
    lead["set"]["Rating"]["choose"]["low"] = "Warm"
    del lead["set"]["Phone"]
    lead["set"]["Title"] = {"value": "x"}
    del callback["set"]["WhoId"]
    data["steps"] = [callback, lead]
    data["when"].pop()

    changes = [str(change) for change in diff(_preset(), parse(data))]

    assert changes == [
        '- when[1]: {"any": [{"field": "caller.phone", "present": true}, {"fiel…',
        '- steps.lead.set.Phone: {"from": "caller.phone", "as": "e164"}',
        '~ steps.lead.set.LeadSource.value: "Phone Inquiry" → "Web"',
        '~ steps.lead.set.Rating.choose.low: "Cold" → "Warm"',
        '+ steps.lead.set.Title: {"value": "x"}',
        '- steps.callback.set.WhoId: {"id_of": "lead"}',
        "> steps.callback: from place 1 to 0",
        "> steps.lead: from place 0 to 1",
    ]


def test_true_and_one_differ():
    """A value that became another type has changed."""
    one = data_of(_preset())
    one["steps"][0]["set"]["X"] = {"value": 1}
    other = copy.deepcopy(one)
    other["steps"][0]["set"]["X"] = {"value": True}

    assert [change.path for change in diff(parse(one), parse(other))] == ["steps.lead.set.X.value"]


def test_suggestions_pass_the_check():
    """What is suggested for an account can be saved as it is."""
    found = suggest(schema("Lead"), catalogue())

    by_field = {one.field: one.directive for one in found}
    mapping = data_of(_preset())
    mapping["steps"] = [{"id": "lead", "object": "Lead", "set": by_field}]
    errors = [str(one) for one in check(mapping, schema) if one.severity == "error"]

    assert errors == []
    assert by_field["LastName"] == {
        "from": ["caller.name.family", "caller.name.full"],
        "or": "Unknown",
        "max": 80,
    }
    assert by_field["Rating"]["choose"]["critical"] == "Hot"
    assert by_field["Email"] == {
        "from": "caller.email",
        "as": "email",
        "unfit": "leave_out",
        "max": 80,
    }
    assert "Id" not in by_field
    assert all(0 < one.confidence <= 1 and one.reason for one in found)
