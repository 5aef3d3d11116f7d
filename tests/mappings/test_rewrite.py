"""Changing a mapping's data changes only those lines of its text."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.document import dump_json, dump_yaml, load, parse
from mappings.filled import read as read_form
from mappings.form import is_same, show
from mappings.presets import presets
from mappings.rewrite import lost_comments, rewrite, with_comments
from tests.mappings import strategies

TEXT = """\
version: 1
# Who may be a customer
event: com.afterbeep.voicemail.completed.v1
when:
  - {field: bucket, in: [new_lead]}   # only these
  # and with a number
  - {field: caller.phone, present: true}
steps:
  # The lead comes first.
  - id: lead
    object: Lead
    match: {Phone: {from: caller.phone, as: e164}}
    set:
      # Salesforce wants a name.
      LastName: {from: [caller.name.family, caller.name.full], or: Unknown}
      Company:
        from: caller.company     # as they said it
        or: "[not given]"
      Description:
        text: |-
          {summary}

          # no comment, but text
  - id: callback   # a task
    object: Task
    set:
      Subject: {text: "Call back {caller.name.full}"}
"""


def changed(change) -> str:
    """Rewrite the text with its data changed."""
    data = load(TEXT)
    change(data)
    made = rewrite(TEXT, data)
    assert json.dumps(load(made)) == json.dumps(data)
    return made


def differing(made: str) -> set[str]:
    """Give the lines of which one text has more than the other."""
    return set(TEXT.split("\n")) ^ set(made.split("\n"))


def test_same_data_leaves_the_text_alone() -> None:
    """Nothing is written anew when nothing changed."""
    assert rewrite(TEXT, load(TEXT)) == TEXT


def test_one_value_changes_its_line_only() -> None:
    """A changed field is one changed line."""
    made = changed(lambda data: data["steps"][0]["set"]["LastName"].update(max=80))

    assert len(differing(made)) == 2
    assert lost_comments(TEXT, made) == []


def test_part_of_a_longer_field_keeps_its_neighbours_comment() -> None:
    """What is spread over lines is changed inside."""
    made = changed(lambda data: data["steps"][0]["set"]["Company"].update({"or": "none"}))

    assert "# as they said it" in made
    assert "or: none" in made


def test_added_and_removed_fields_leave_the_others() -> None:
    """A new field stands behind the one it follows; a removed one takes only its own lines."""

    def change(data: dict) -> None:
        table = data["steps"][0]["set"]
        del table["Company"]
        table["Title"] = {"value": "Caller"}

    made = changed(change)

    assert lost_comments(TEXT, made) == ["as they said it"]
    assert "      Title: {value: Caller}\n  - id: callback" in made


def test_moved_steps_take_their_comments_along() -> None:
    """Steps in another order are the same lines in another order."""
    made = changed(lambda data: data["steps"].reverse())

    assert "# a task" in made
    assert "# Salesforce wants a name." in made


def test_moved_and_changed_fields_keep_their_comments() -> None:
    """A field that moved and another that changed, in a step with a new neighbour: all comments stay."""

    def change(data: dict) -> None:
        table = data["steps"][0]["set"]
        table["LastName"]["max"] = 40
        table["LastName"] = table.pop("LastName")
        data["steps"].append({"id": "third", "object": "Task", "set": {"Subject": {"value": "x"}}})

    assert lost_comments(TEXT, changed(change)) == []


def test_new_condition_and_new_part() -> None:
    """Conditions and parts that were not there are added in place."""

    def change(data: dict) -> None:
        data["when"].append({"field": "escalate", "is": True})
        data["steps"][1]["match"] = {"Subject": {"from": "summary"}}

    made = changed(change)

    assert lost_comments(TEXT, made) == []
    assert "- {field: escalate, is: true}" in made


def test_lost_comments_can_be_kept_above() -> None:
    """What has no place any more is told, and can stand at the top."""
    made = changed(lambda data: data.update(steps=[data["steps"][1]], when=[]))
    lost = lost_comments(TEXT, made)

    assert "Salesforce wants a name." in lost
    assert "no comment, but text" not in lost
    assert lost_comments(TEXT, with_comments(made, lost)) == []
    assert load(with_comments(made, lost)) == load(made)


def test_json_stays_json() -> None:
    """A document in JSON is written in JSON."""
    text = dump_json(parse(load(TEXT)))
    data = load(text) | {"approve": {"urgency_at_least": 80}}

    assert json.loads(rewrite(text, data)) == data


def test_text_that_cannot_be_read_is_written_anew() -> None:
    """Without a readable text the data is all there is."""
    assert load(rewrite("a: [", load(TEXT))) == load(TEXT)


@settings(max_examples=100, deadline=None)
@given(strategies.mappings(), strategies.mappings(), st.booleans())
def test_any_change_says_what_it_should(one: dict, other: dict, is_small: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever changes, the new text holds exactly the new data."""
    new = copy.deepcopy(one) if is_small else other
    if is_small:
        new["steps"][0]["set"]["Zed"] = {"value": "z"}
    text = dump_yaml(parse(one)) if _is_valid(one) else json.dumps(one)

    made = load(rewrite(text, new))

    assert is_same(read_form(show(made).pairs()).data, read_form(show(new).pairs()).data)
    assert [list(step["set"]) for step in made["steps"]] == [
        list(step["set"]) for step in new["steps"]
    ]


def _is_valid(data: dict) -> bool:
    try:
        parse(data)
    except ValueError:
        return False
    return True


def test_presets_take_a_change_without_losing_a_comment() -> None:
    """In every preset that ships, a new field costs no comment."""
    for vendor in ("salesforce", "hubspot", "zendesk"):
        for preset in presets(vendor):
            data = load(preset.text)
            data["steps"][-1]["set"]["Zed"] = {"value": "z"}
            made = rewrite(preset.text, data)
            assert json.dumps(load(made)) == json.dumps(data)
            assert lost_comments(preset.text, made) == [], preset.name
