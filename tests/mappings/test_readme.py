"""The language reference is true: its examples run, its tables are those of the code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import mappings
from mappings import limits, source
from mappings.catalogue import example_facts
from mappings.check import check
from mappings.conditions import TESTS
from mappings.convert import CONVERSIONS
from mappings.directives import MODIFIERS, SOURCES, UNFITS, UPDATES
from mappings.document import load, parse
from mappings.event import EVENT_TYPE
from mappings.render import compile_mapping

FOLDER = Path(mappings.__file__).parent
README = (FOLDER / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+) (\w+)\n(.*?)```", README, re.DOTALL)
SETS = [
    pytest.param(text, BLOCKS[place + 1][2], id=str(place))
    for place, (_, kind, text) in enumerate(BLOCKS)
    if kind == "set"
]
HEAD = {"version": 1, "event": EVENT_TYPE, "when": [{"field": "bucket", "not_in": ["spam"]}]}


def _mapping(**parts):
    step = {"id": "record", "object": "Record", "set": {"X": {"value": 1}}}
    steps = parts.pop("steps", [step | parts])
    return {**HEAD, "steps": steps}


def _errors(data):
    return [str(problem) for problem in check(data) if problem.severity == "error"]


@pytest.mark.parametrize(("text", "expected"), SETS)
def test_examples_give_what_the_page_says(text, expected, zone):
    """An example of fields renders the example voicemail to the fields beside it."""
    data = _mapping(set=load(text))
    step = compile_mapping(parse(data)).steps[0]

    rendered = step.render(example_facts(), ids={}, timezone=zone)

    assert _errors(data) == []
    assert rendered.fields == json.loads(expected)


def test_the_other_examples_are_accepted():
    """The whole document, match, steps and when examples have no errors."""
    checked = []
    for _, kind, text in BLOCKS:
        if kind in {"match", "steps", "when"}:
            inner = source.load(f"{kind}:\n{text}")
            data = {**_mapping(), **inner} if kind == "when" else _mapping(**inner)
            assert _errors(data) == []
            checked.append(kind)
        elif kind == "mapping":
            assert check(load(text)) == []
            broken = load(text.replace("critical: Hot", "urgent: Hot"))
            told = next(words for _, other, words in BLOCKS if other == "problem")
            assert _errors(broken) == [told.strip()]
            checked.append(kind)

    assert sorted(checked) == ["mapping", "match", "steps", "when"]


def test_every_word_of_the_language_is_explained():
    """Each directive, modifier, test and mode stands on the page as code."""
    approvals = ("urgency_at_least", "confidence_below", "any", "all")
    for word in (*SOURCES, *MODIFIERS, *TESTS, *UPDATES, *UNFITS, *approvals):
        assert re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", README), word


def conversions_table():
    """Give the page's table of conversions, from the code."""
    lines = ["| name | gives | what it does | example |", "|---|---|---|---|"]
    for one in CONVERSIONS.values():
        given, found = (json.dumps(value, ensure_ascii=False) for value in one.example)
        lines.append(f"| `{one.name}` | {one.gives} | {one.description} | `{given}` → `{found}` |")
    return "\n".join(lines)


def limits_table():
    """Give the page's table of limits, from the code and its comments."""
    text = Path(limits.__file__).read_text("utf-8")
    lines = ["| limit | value | of what |", "|---|---|---|"]
    for comment, name in re.findall(r"#: (.*)\n(\w+): Final", text):
        lines.append(f"| `{name}` | {getattr(limits, name):,} | {comment} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "table"), [("conversions", conversions_table), ("limits", limits_table)]
)
def test_tables_are_those_of_the_code(name, table):
    """The page lists every conversion and every limit as the code has them."""
    found = re.search(rf"<!-- {name}: .*? -->\n(.*?)\n<!-- /{name} -->", README, re.DOTALL)

    assert found is not None
    assert found[1] == table()


def test_every_limit_is_a_commented_constant():
    """No limit of the code is missing from the table for want of a comment."""
    tree = ast.parse(Path(limits.__file__).read_text("utf-8"))
    names = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}

    assert names == set(re.findall(r"`(MAX_\w+)`", limits_table()))


def test_every_module_is_listed():
    """The page's first table names all public modules."""
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    inner = {"clip", "kinds", "paths", "problem", "untrusted"}

    assert modules - inner <= set(re.findall(r"`(\w+)`", README.split("## A document")[0]))
