"""The mapping language by example: each file of ``cases/`` states one fact about it."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mappings.check import check
from mappings.document import dump_json, dump_yaml, load, parse
from mappings.problem import InvalidMapping
from mappings.render import RenderProblem, compile_mapping
from tests.mappings.account import schema

CASES = Path(__file__).parent / "cases"


def _cases(folder):
    return [pytest.param(path, id=path.stem) for path in sorted((CASES / folder).glob("*.yaml"))]


def _read(path):
    return load(path.read_text("utf-8"))


def _problems(case):
    try:
        data = load(case["text"]) if "text" in case else case["mapping"]
    except InvalidMapping as error:
        return [f"{problem.severity} {problem}" for problem in error.problems]
    found = check(data, schema if case.get("account") else None)
    return [f"{problem.severity} {problem}" for problem in found]


@pytest.mark.parametrize("path", _cases("valid"))
def test_valid_mappings_have_no_problems_and_round_trip(path):
    """A valid mapping is accepted, compiles, and is the same after YAML and after JSON."""
    case = _read(path)

    document = parse(load(case["text"]) if "text" in case else case["mapping"])

    assert _problems(case) == []
    assert parse(load(dump_yaml(document))) == document
    assert parse(load(dump_json(document))) == document
    assert compile_mapping(document).steps


@pytest.mark.parametrize("path", _cases("invalid"))
def test_invalid_mappings_name_every_problem(path):
    """A mapping with problems gets exactly these, with path and words, errors first."""
    case = _read(path)

    assert _problems(case) == case["problems"]


@pytest.mark.parametrize("path", _cases("render"))
def test_mappings_render(path):
    """A voicemail rendered through a mapping gives exactly these fields, or this problem."""
    case = _read(path)
    mapping = case.get("mapping") or {
        "version": 1,
        "event": "com.afterbeep.voicemail.completed.v1",
        "steps": [{"id": "lead", "object": "Lead", "set": case["set"]}],
    }
    compiled = compile_mapping(parse(mapping))
    step = next(one for one in compiled.steps if one.id == case.get("step", "lead"))
    facts = json.loads(case["facts_json"]) if "facts_json" in case else case.get("facts", {})
    zone = ZoneInfo(case.get("timezone", "UTC"))

    if "problem" in case:
        with pytest.raises(RenderProblem) as caught:
            step.render(facts, ids=case.get("ids", {}), timezone=zone)
        assert str(caught.value) == case["problem"]
        return
    rendered = step.render(facts, ids=case.get("ids", {}), timezone=zone)
    assert json.dumps(rendered.fields) == json.dumps(case["fields"])
    assert list(rendered.matches) == case.get("matches", [])
    assert rendered.match == (case["matches"][0] if "matches" in case else None)
    assert rendered.update_modes == case.get("update_modes", {})
