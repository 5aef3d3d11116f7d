"""What holds for every mapping and every event, tried on made-up ones."""

from __future__ import annotations

import copy
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mappings import source
from mappings.check import check
from mappings.clip import clip, clip_html
from mappings.convert import CONVERSIONS, Unfit, converter
from mappings.diff import diff
from mappings.document import data_of, dump_json, dump_yaml, load, parse
from mappings.problem import InvalidMapping
from mappings.render import Rendered, RenderProblem, apply_update_modes, compile_mapping
from mappings.untrusted import clean
from tests.mappings.account import schema
from tests.mappings.strategies import JSON, LITERALS, NAMES, events, mappings

QUICK = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ZONE = ZoneInfo("America/Los_Angeles")


def _accepted(data):
    assume(not any(problem.severity == "error" for problem in check(data)))
    return parse(data)


def _render(step, facts):
    """Give what rendering does: the record, or the problem's words."""
    ids = dict.fromkeys(step.depends_on, "id")
    try:
        return step.render(facts, ids=ids, timezone=ZONE)
    except RenderProblem as problem:
        return str(problem)


@QUICK
@given(mappings())
def test_yaml_and_json_are_the_same_document(data):
    """What check accepts survives YAML and JSON without a loss."""
    document = _accepted(data)

    expected = json.dumps(data_of(document))
    assert json.dumps(data_of(parse(load(dump_yaml(document))))) == expected
    assert json.dumps(data_of(parse(load(dump_json(document))))) == expected
    assert diff(document, parse(load(dump_yaml(document)))) == []


@QUICK
@given(st.dictionaries(NAMES, LITERALS | st.lists(LITERALS, max_size=3), max_size=5))
def test_yaml_writer_and_reader_agree_on_any_text(data):
    """Text that looks like something else is still the same text after YAML."""
    data = json.loads(json.dumps(data), parse_int=int)
    assume(all(text == clean(text) for text in _texts(data)))

    assert source.load(source.dump_yaml(data)) == data


@pytest.mark.parametrize(
    "text", ["\x85", "a\x85b", "\u2028", "a\n\u2029b", "\x85\n", "a\r\nb", "\ufeff"]
)
def test_odd_ends_of_lines_are_written_so_that_they_stay(text: str) -> None:
    """YAML takes more than one character for the end of a line, and folds those that are not escaped."""
    data = {"note": text, "short": {"a": [text]}}

    assert source.load(source.dump_yaml(data)) == data


def _texts(data):
    if isinstance(data, str):
        return [data]
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for one in inner for text in _texts(one)]


@QUICK
@given(JSON | mappings(), JSON)
def test_check_never_raises(data, extra):
    """Any JSON at all gets a list of problems, each with a path and words."""
    if isinstance(data, dict) and "steps" in data:
        data["steps"][0]["set"]["Odd"] = extra
        data["steps"][0]["match"] = extra
        data["when"] = extra

    problems = check(data, schema)

    assert all(problem.message and clean(str(problem)) == str(problem) for problem in problems)


@QUICK
@given(st.text(max_size=200) | st.from_regex(r"[\[\]{}:,&*!|>'\"\n\ta-c0-9 -]*", fullmatch=True))
def test_load_never_raises_anything_else(text):
    """Any text at all is a table of JSON values or an InvalidMapping."""
    problems = ()
    try:
        json.dumps(load(text), allow_nan=False)
    except InvalidMapping as error:
        problems = error.problems
    assert all(problem.severity == "error" for problem in problems)


@QUICK
@given(mappings(), events())
def test_render_is_pure_and_total(data, facts):
    """What check accepts compiles; rendering gives the same twice and changes nothing."""
    compiled = compile_mapping(_accepted(data))
    before = copy.deepcopy(facts)

    first = [_render(step, facts) for step in compiled.steps]
    compiled.matches(facts)
    compiled.needs_approval(facts)

    assert [_render(step, facts) for step in compiled.steps] == first
    assert repr(facts) == repr(before)


@QUICK
@given(mappings(), events())
def test_what_is_rendered_can_be_sent(data, facts):
    """Fields are JSON of known sizes without control characters; max is never exceeded."""
    document = _accepted(data)
    for step, written in zip(compile_mapping(document).steps, document.steps, strict=True):
        rendered = _render(step, facts)
        if isinstance(rendered, str):
            continue
        json.dumps(rendered.fields, allow_nan=False).encode()
        for target in written.targets:
            value = rendered.fields.get(target.name)
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    assert clean(text) == text
                    assert len(text) <= (target.directive.max_chars or len(text))


@QUICK
@given(st.sampled_from(sorted(CONVERSIONS)), JSON)
def test_conversions_are_total(name, value):
    """Any value is converted or unfit, whatever it is."""
    try:
        converted = converter((name,))(_cleaned(value), ZONE)
    except Unfit as error:
        converted = str(error)
    json.dumps(converted, allow_nan=False)


def _cleaned(value):
    if isinstance(value, str):
        return clean(value)
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


@QUICK
@given(st.text(max_size=60), st.integers(1, 40))
def test_clip_never_exceeds_its_length(text, most):
    """Clipped text fits, plain or as HTML, and is untouched where it already fitted."""
    clipped = clip(text, most)

    assert len(clipped) <= most
    assert len(clip_html(text, most)) <= most
    assert clipped == text if len(text) <= most else clipped.endswith("…")


@QUICK
@given(
    st.dictionaries(st.sampled_from("ABCD"), LITERALS),
    st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["never", "if_empty"])),
    st.none() | st.dictionaries(st.sampled_from("ABCD"), LITERALS),
)
def test_update_modes(fields, modes, existing):
    """New records take all fields; existing ones keep what the modes protect."""
    sent = apply_update_modes(Rendered(fields, None, modes), existing)

    for name, value in fields.items():
        has_value = existing is not None and existing.get(name) not in (None, "")
        is_kept = existing is not None and (
            modes.get(name) == "never" or (modes.get(name) == "if_empty" and has_value)
        )
        assert (name in sent) is not is_kept
        assert is_kept or sent[name] is value


@pytest.mark.parametrize(
    "piece", ["{", "[", "? ", "- ", "{a: ", "[1, ", "&a ", '{"a": ', "'", "!a "]
)
def test_load_refuses_endless_nesting(piece):
    """However deep or broken a text is, it is refused as a document, not by an accident."""
    with pytest.raises(InvalidMapping):
        load(piece * (60_000 // len(piece)))
