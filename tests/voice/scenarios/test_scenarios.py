"""The scenarios that ship are the suite of the product: each call comes out as its file says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mappings.event import Bucket
from voice.profile import LineKind
from voice.scenario import document
from voice.scenario.document import BadScenario, load, shipped
from voice.scenario.judge import problems
from voice.scenario.play import play

FILES = shipped()
_README = document.FOLDER / "README.md"
#: Calls that any line can hold.
_ANYWHERE = ("lead_all_at_once", "support_outage", "billing_charged_twice", "number_corrected")
_PARTS = ("Scenario", "Caller", "Act", "Person", "Trouble", "HubTrouble", "Expected", "Captured")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_call_comes_out_as_written(scenario_redis: str, file: Path) -> None:
    """What is heard, captured, kept and told: nothing is other than the file expects."""
    assert problems(play(load(file), redis_url=scenario_redis)) == []


@pytest.mark.parametrize("name", _ANYWHERE)
@pytest.mark.parametrize("line", list(LineKind))
def test_any_line_takes_the_same_message(scenario_redis: str, name: str, line: LineKind) -> None:
    """Name, number, bucket and summary do not depend on who listens and speaks."""
    scenario = load(document.FOLDER / f"{name}.yaml")

    played = play(scenario, redis_url=scenario_redis, line=line)

    assert problems(played) == []
    assert played.session is not None
    assert played.session.line is line


def test_the_same_call_is_the_same_to_the_microsecond(scenario_redis: str) -> None:
    """Virtual time makes calls exact: a second one is heard at the same moments."""
    scenario = load(document.FOLDER / "barge_in.yaml")
    heard = [
        [(one.text, one.start_s, one.end_s) for one in played.report.heard]
        for played in (play(scenario, redis_url=scenario_redis) for _ in range(2))
    ]
    assert heard[0] == heard[1]


def test_the_set_covers_what_calls_are_about() -> None:
    """All buckets, trades, lines and kinds of trouble; at least forty calls in ten languages."""
    scenarios = [load(file) for file in FILES]
    about = {word for one in scenarios for word in one.about}
    trades = {
        "healthcare",
        "real_estate",
        "salon_hospitality",
        "home_services",
        "it_helpdesk",
        "sales",
    }

    assert len(scenarios) >= 40
    assert {bucket.value for bucket in Bucket} <= about
    assert trades <= about
    assert {one.profile().line for one in scenarios} == {
        LineKind.CONVERSATION_RELAY,
        LineKind.OPENAI,
        LineKind.ELEVENLABS,
        LineKind.RECORD,
    }
    assert {"refuse", "disconnect", "stall", "stop", "error", "duplicate"} <= {
        trouble.do for one in scenarios for trouble in one.faults
    }
    assert {trouble.at.split(".")[0] for one in scenarios for trouble in one.faults} >= {
        "twilio",
        "anthropic",
        "openai",
        "elevenlabs",
    }
    assert any(one.hub for one in scenarios)
    assert any(one.profile().is_phi for one in scenarios)
    assert len({one.caller.language.split("-")[0] for one in scenarios}) >= 9


def test_a_bad_file_is_told_with_every_wrong_place(tmp_path: Path) -> None:
    """Unknown fields, acts that are two, patterns that are none, tenants that have no such setting."""
    file = tmp_path / "bad.yaml"
    file.write_text(
        "title: A call that cannot be\n"
        "about: [other]\n"
        "tenant: {colour: red}\n"
        "caller:\n"
        "  does:\n"
        '    - {says: "Hello", hangs_up: true}\n'
        '    - {says: "Hello", hears: "("}\n'
        "expect: {captured: {bucket: lead}, hears: [a]}\n"
        "wether: fine\n",
        encoding="utf-8",
    )
    with pytest.raises(BadScenario) as told:
        load(file)

    text = str(told.value)
    assert text.startswith("bad.yaml: ")
    for place in (
        "tenant: ",
        "caller.does.0: ",
        "caller.does.1.hears: ",
        "expect.captured.bucket",
        "expect.hears: ",
        "wether: ",
    ):
        assert place in text


@pytest.mark.parametrize("content", ["", "just words", "[1, 2]", "title: [", "\x00"])
def test_what_is_no_scenario_is_told_in_a_sentence(tmp_path: Path, content: str) -> None:
    """Nothing but a mapping can be one."""
    file = tmp_path / "none.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(BadScenario, match=r"^none\.yaml: "):
        load(file)


def test_the_format_is_documented_whole() -> None:
    """Each field of each part stands in a table of the README under its own heading, and nothing else does."""
    sections = re.split(r"^### ", _README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = {part.partition("\n")[0]: part for part in sections[1:]}
    assert tuple(tables) == _PARTS
    for name in _PARTS:
        fields = getattr(document, name).model_fields
        known = {field.alias or own for own, field in fields.items()}
        first_cells = re.findall(r"^\| (`.*?) \|", tables[name].partition("\n## ")[0], re.MULTILINE)
        told = {word for cell in first_cells for word in re.findall(r"`(\w+)`", cell)}
        assert told == known, name
