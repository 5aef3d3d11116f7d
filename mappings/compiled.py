"""Compile a directive to one function of facts, record ids and time zone.

A compiled directive gives a value, None (clear the field) or ABSENT (leave the field out), or raises
``Unfit``. The functions are nested in the order of work: source, ``as``, ``choose``, ``or``, ``max``;
only the modifiers that are there cost time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, Final

from mappings import quick
from mappings.catalogue import find_field
from mappings.clip import clip, clip_html
from mappings.convert import HUGE, Convert, Unfit, converter, in_zone, shown
from mappings.directives import UNSET, Directive, From, IdOf, Items, Text, Value
from mappings.paths import Get, getter
from mappings.quick import Fill
from mappings.templates import Chip, Template
from mappings.untrusted import clean

ABSENT: Final = object()
_Chip = Callable[[dict[str, Any], tzinfo], str]


def compile_directive(directive: Directive) -> Fill:
    """Give the function that fills a target field."""
    fill = _quicker(directive, _plainly(directive))
    if directive.max_chars is not None:
        fill = _clipped(fill, directive.max_chars)
    return fill


def _plainly(directive: Directive) -> Fill:
    """Nest the functions of a directive, all but ``max``, in the order of work."""
    fill = _source(directive)
    if directive.convert:
        fill = _converted(fill, directive)
    if directive.choose is not None:
        fill = _chosen(fill, directive)
    if directive.fallback is not UNSET:
        fill = _with_fallback(fill, directive.fallback)
    return fill


def _quicker(directive: Directive, slow: Fill) -> Fill:
    """Give a function for the commonest directives that does the same in one call."""
    if not isinstance(directive.source, From):
        return slow
    first, *others = directive.source.paths
    absent = ABSENT if directive.fallback is UNSET else directive.fallback
    if directive.convert and (directive.choose is not None or others):
        return slow
    if directive.convert:
        return quick.convert(first, directive.convert, absent, slow)
    if directive.choose is not None:
        return slow if others else quick.choose(first, dict(directive.choose), slow)
    return _read_first_quickly(first, slow) if others else quick.read(first, absent, slow)


def _read_first_quickly(path: str, slow: Fill) -> Fill:
    """Read the first of several paths, which mostly has a value, or hand over."""
    read = quick.read(path, ABSENT, _absent)

    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = read(facts, ids, timezone)
        return slow(facts, ids, timezone) if value is ABSENT else value

    return fill


def _absent(_facts: dict[str, Any], _ids: Mapping[str, str], _timezone: tzinfo) -> Any:
    return ABSENT


def _source(directive: Directive) -> Fill:
    source = directive.source
    if isinstance(source, Value):
        return _constant(source.value)
    if isinstance(source, From):
        return _read_first(source.paths)
    if isinstance(source, Text):
        return _text(source.template)
    if isinstance(source, IdOf):
        return _id_of(source.step)
    return _items(source)


def _constant(value: Any) -> Fill:
    if isinstance(value, tuple):
        # A new list each time: what one caller does to it, no other sees.
        return lambda _facts, _ids, _timezone: list(value)
    return lambda _facts, _ids, _timezone: value


def _read_first(paths: tuple[str, ...]) -> Fill:
    gets = tuple(getter(path) for path in paths)

    def fill(facts: dict[str, Any], _ids: Mapping[str, str], _timezone: tzinfo) -> Any:
        for get in gets:
            value = get(facts)
            if value.__class__ is str and value.isprintable():
                return value
            if value is not None and (value := _tidied(value)) is not ABSENT:
                return value
        return ABSENT

    return fill


def _tidied(value: Any) -> Any:
    """Give a value of the event as it may be sent: text cleaned, lists copied."""
    if isinstance(value, (int, float)):
        # This also refuses what is infinite or not a number.
        if -HUGE < value < HUGE:
            return value
        raise Unfit("is a number out of range")
    if isinstance(value, str):
        text = clean(value)
        return text if text and not text.isspace() else ABSENT
    if isinstance(value, list):
        return _tidied_list(value)
    raise Unfit("is a group of fields, not a value")


def _tidied_list(entries: list[Any]) -> Any:
    if any(isinstance(entry, (list, dict)) for entry in entries):
        raise Unfit("is a list of groups of fields, not of values")
    tidied = [_tidied(entry) for entry in entries if entry is not None]
    return [entry for entry in tidied if entry is not ABSENT] or ABSENT


def _id_of(step: str) -> Fill:
    def fill(_facts: dict[str, Any], ids: Mapping[str, str], _timezone: tzinfo) -> Any:
        found = ids.get(step)
        if not found:
            raise Unfit(f'waits for step "{step}", which has written no record yet')
        return found

    return fill


def _items(source: Items) -> Fill:
    fills = tuple(compile_directive(item) for item in source.items)

    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        made: list[Any] = []
        for one in fills:
            value = one(facts, ids, timezone)
            if isinstance(value, list):
                made += value
            elif value is not ABSENT and value is not None:
                made.append(value)
        return made or ABSENT

    return fill


def _converted(inner: Fill, directive: Directive) -> Fill:
    names, most = directive.convert, directive.max_chars
    if names[-1] == "html_text" and most is not None:
        # Escaped text must not be cut inside an entity: its length is minded while it is escaped.
        convert = _then_clipped_html(converter(names[:-1]) if names[:-1] else None, most)
    else:
        convert = converter(names)
    leaves_out = directive.leaves_out_unfit

    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = inner(facts, ids, timezone)
        if value is ABSENT:
            return ABSENT
        try:
            value = convert(value, timezone)
        except Unfit:
            if leaves_out:
                return ABSENT
            raise
        return value if value or value.__class__ is not str else ABSENT

    return fill


def _then_clipped_html(before: Convert | None, most: int) -> Convert:
    def convert(value: Any, timezone: tzinfo) -> str:
        return clip_html(shown(value if before is None else before(value, timezone)), most)

    return convert


def _chosen(inner: Fill, directive: Directive) -> Fill:
    table = dict(directive.choose or ())
    otherwise, leaves_out = directive.otherwise, directive.leaves_out_unfit

    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = inner(facts, ids, timezone)
        if value is ABSENT:
            return ABSENT
        key = value if value.__class__ is str else _key_of(value)
        if key in table:
            return table[key]
        if otherwise is not UNSET:
            return otherwise
        if leaves_out:
            return ABSENT
        raise Unfit("is a value that choose does not list; add it, or give else")

    return fill


def _key_of(value: Any) -> str:
    """Give a value as the keys of choose are written: as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(value)


def _with_fallback(inner: Fill, fallback: Any) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = inner(facts, ids, timezone)
        return fallback if value is ABSENT else value

    return fill


def _clipped(inner: Fill, max_chars: int) -> Fill:
    def fill(facts: dict[str, Any], ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = inner(facts, ids, timezone)
        if value.__class__ is str and len(value) > max_chars:
            return clip(value, max_chars)
        if value.__class__ is list:
            return [clip(one, max_chars) if isinstance(one, str) else one for one in value]
        return value

    return fill


# Text templates. All chips having a value is the common case and one string operation; else each
# line is put together by itself, so that nothing is left of the chips that are absent.

_SPACES: Final = re.compile(r"[ \t]{2,}")
_EMPTY_BRACKETS: Final = re.compile(r"\(\s*\)|\[\s*\]")
_SPACE_BEFORE: Final = re.compile(r"[ \t]+(?=[,.;:!?](?:\s|\Z))")
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def _text(template: Template) -> Fill:
    chips = tuple(_chip(part.path) for part in template.parts if isinstance(part, Chip))
    whole = _format_of(template.parts)
    lines = _lines_of(template)
    if not chips:
        return _constant(whole % ())
    if len(chips) == 1:
        return _text_of_one_chip(chips[0], whole, lines)
    if len(chips) == 2:  # noqa: PLR2004 - the word two says it best
        return _text_of_two_chips(*chips, whole, lines)

    def fill(facts: dict[str, Any], _ids: Mapping[str, str], timezone: tzinfo) -> Any:
        values = [chip(facts, timezone) for chip in chips]
        if "" in values:
            return _put_together(lines, values) or ABSENT
        return whole % tuple(values)

    return fill


def _text_of_one_chip(chip: _Chip, whole: str, lines: tuple[tuple[str, int], ...]) -> Fill:
    def fill(facts: dict[str, Any], _ids: Mapping[str, str], timezone: tzinfo) -> Any:
        value = chip(facts, timezone)
        return whole % value if value else _put_together(lines, [value]) or ABSENT

    return fill


def _text_of_two_chips(
    first: _Chip, second: _Chip, whole: str, lines: tuple[tuple[str, int], ...]
) -> Fill:
    def fill(facts: dict[str, Any], _ids: Mapping[str, str], timezone: tzinfo) -> Any:
        one, two = first(facts, timezone), second(facts, timezone)
        return whole % (one, two) if one and two else _put_together(lines, [one, two]) or ABSENT

    return fill


def _format_of(parts: tuple[str | Chip, ...]) -> str:
    return "".join("%s" if isinstance(part, Chip) else part.replace("%", "%%") for part in parts)


def _lines_of(template: Template) -> tuple[tuple[str, int], ...]:
    """Give each line of a template as a format and the number of its chips."""
    lines = _format_of(template.parts).split("\n")
    return tuple((line, line.replace("%%", "").count("%s")) for line in lines)


def _put_together(lines: tuple[tuple[str, int], ...], values: list[str]) -> str:
    """Fill a template of which some chips are absent.

    A line loses the space around an absent chip; in a template of several lines, a line whose chips
    are all absent goes, its words too.
    """
    made: list[str] = []
    place = 0
    for line, count in lines:
        here = tuple(values[place : place + count])
        place += count
        if count and len(lines) > 1 and not any(here):
            continue
        filled = line % here
        made.append(_tidied_line(filled) if "" in here else filled)
    return _BLANK_LINES.sub("\n\n", "\n".join(made)).strip()


def _tidied_line(line: str) -> str:
    line = _EMPTY_BRACKETS.sub("", line)
    return _SPACE_BEFORE.sub("", _SPACES.sub(" ", line)).strip()


def _chip(path: str) -> _Chip:
    get = getter(path)
    field = find_field(path)
    if field is not None and field.type == "datetime":
        return _time_chip(get)

    def chip(facts: dict[str, Any], _timezone: tzinfo) -> str:
        value = get(facts)
        if value.__class__ is str:
            return value if value.isprintable() else clean(value)
        return "" if value is None else shown(value)

    return chip


def _time_chip(get: Get) -> _Chip:
    """Give times as people write them, in the tenant's zone, with the zone."""

    def chip(facts: dict[str, Any], timezone: tzinfo) -> str:
        value = get(facts)
        try:
            local = in_zone(value, timezone)
        except Unfit:
            return shown(value)
        return f"{local:%Y-%m-%d %H:%M} {local.tzname() or ''}".rstrip()

    return chip
