"""Write changed data into a mapping's text and keep everything else of it: layout, order and comments.

Only what has changed is written anew, as deep in the document as can be. The result is read again before it is
given; where it does not say what it should, the whole document is written anew, without its comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from mappings.conditions import TESTS
from mappings.directives import MODIFIERS, SOURCES
from mappings.problem import InvalidMapping
from mappings.source import dump_json, dump_yaml, load

_LONG: Final = {"_": "x" * 200}
_ONE_OR_MANY: Final = frozenset({"from", "as", "match"})
_WORDS: Final = frozenset(
    [
        *("version", "event", "when", "approve", "steps", "urgency_at_least", "confidence_below"),
        *("id", "object", "match", "set", "field", "any", "all"),
        *(*SOURCES, *MODIFIERS, *TESTS),
    ]
)
_COMMENT: Final = re.compile(r"(?:^|\s)#(.*)$")


def rewrite(text: str, data: dict[str, Any]) -> str:
    """Give the text with this data in it; in JSON where the text was JSON."""
    try:
        old = load(text)
    except InvalidMapping:
        return dump_yaml(data)
    if _says(old, data):
        return text
    if text.lstrip()[:1] == "{":
        return dump_json(data)
    try:
        # First every part where it stands, then fields that moved, then steps: so all keep their comments.
        changed = text
        for stage in (_staged(old, data), _staged(old, data, is_moved=True), data):
            changed = _Patch(changed).changed(load(changed), stage)
        if _says(load(changed), data):
            return changed
    except (InvalidMapping, yaml.YAMLError, _Unfitting):
        pass
    return dump_yaml(data)


def lost_comments(old: str, new: str) -> list[str]:
    """List the comments of a text that another does not have any more."""
    left = list(_comments(new))
    lost = []
    for comment in _comments(old):
        if comment in left:
            left.remove(comment)
        else:
            lost.append(comment)
    return lost


def with_comments(text: str, comments: list[str]) -> str:
    """Put comments above a text."""
    return "".join(f"# {comment}\n" for comment in comments) + text


def _comments(text: str) -> Iterator[str]:
    """Find comments: what stands between the tokens of a YAML text after ``#``."""
    try:
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        tokens = []
    spans = [(one.start_mark.index, one.end_mark.index) for one in tokens]
    end = 0
    for start, stop in [*spans, (len(text), len(text))]:
        for line in text[end : max(end, start)].split("\n"):
            if (found := _COMMENT.search(line)) and found[1].strip():
                yield found[1].strip()
        end = max(end, stop)


class _Unfitting(Exception):
    """The text is laid out so that a part of it cannot be replaced alone."""


def _says(one: Any, other: Any) -> bool:
    """Tell whether two pieces of a mapping say the same; the order of fields counts, that of directives does not."""
    return json.dumps(_canonical(one)) == json.dumps(_canonical(other))


def _canonical(data: Any) -> Any:
    if isinstance(data, list):
        return [_canonical(one) for one in data]
    if not isinstance(data, dict):
        return data
    made = {
        key: _canonical(one[0] if key in _ONE_OR_MANY and _is_single(one) else one)
        for key, one in data.items()
    }
    return {key: made[key] for key in sorted(made)} if made.keys() <= _WORDS else made


def _is_single(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 1


def _staged(old: Any, new: Any, *, is_moved: bool = False) -> Any:
    """Give the new data with the old steps, and, unless ``is_moved``, with fields in the old order."""
    if isinstance(old, dict) and isinstance(new, dict):
        order = new if is_moved else [*(key for key in old if key in new), *new]
        return {
            key: _staged(old[key], new[key], is_moved=is_moved) if key in old else new[key]
            for key in order
        }
    if not (isinstance(old, list) and isinstance(new, list)):
        return new
    by_id = {_id(one): one for one in new if isinstance(one, dict) and "id" in one}
    if not by_id or len({_id(one) for one in old}) != len(old):
        return new
    return [_staged(one, by_id.get(_id(one), one), is_moved=is_moved) for one in old]


class _Patch:
    """Replaces parts of a text by where its nodes stand; the last replaced first."""

    def __init__(self, text: str) -> None:
        self.text = text if text.endswith("\n") else text + "\n"
        self.edits: list[tuple[int, int, str]] = []

    def changed(self, old: Any, new: Any) -> str:
        node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        self._compare(node, old, new)
        made = self.text
        for start, end, words in sorted(self.edits, reverse=True):
            made = made[:start] + words + made[end:]
        return made

    def _compare(self, node: Any, old: Any, new: Any) -> None:
        if _says(old, new):
            return
        is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        if is_block and isinstance(old, dict) and isinstance(new, dict) and old and new:
            self._table(node, old, new)
        elif is_block and isinstance(old, list) and isinstance(new, list) and old and new:
            self._list(node, old, new)
        else:
            raise _Unfitting

    def _table(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        keys = [str(key.value) for key, _ in node.value]
        lines = self._lines([key for key, _ in node.value], [value for _, value in node.value])
        if [key for key in new if key in old] != [key for key in keys if key in new]:
            self._move(keys, list(new), lines)
            return
        for key, (_, inner), (start, end) in zip(keys, node.value, lines.spans, strict=True):
            if key not in new:
                if lines.is_behind_dash and start == lines.start:
                    raise _Unfitting
                self.edits.append((start, end, ""))
            elif not _says(old[key], new[key]):
                head = self.text[start : start + lines.indent]
                written = head + _block({key: new[key]}, lines.indent)[lines.indent :]
                self._inside_or_whole(inner, old[key], new[key], (start, end, written))
        self._add(old, new, keys, lines)

    def _add(
        self, old: dict[str, Any], new: dict[str, Any], keys: list[str], lines: _Lines
    ) -> None:
        """Put new entries behind the one that they follow."""
        place = lines.start
        for key, value in new.items():
            if key in old:
                place = lines.spans[keys.index(key)][1]
            elif place == lines.start and lines.is_behind_dash:
                raise _Unfitting
            else:
                self.edits.append((place, place, _block({key: value}, lines.indent)))

    def _move(self, keys: list[str], wanted: list[str], lines: _Lines) -> None:
        """Put entries that are the same into another order, each with the comments above it."""
        if sorted(keys) != sorted(wanted) or lines.is_behind_dash:
            raise _Unfitting
        texts = dict(zip(keys, self._pieces(lines), strict=True))
        self.edits.append((lines.start, lines.end, "".join(texts[key] for key in wanted)))

    def _list(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> None:
        dash = node.start_mark.column
        lines = self._lines(node.value, node.value)
        if len(old) == len(new) and not _is_moved(old, new):
            found = zip(node.value, old, new, lines.spans, strict=True)
            for item, was, now, (start, end) in found:
                if not _says(was, now):
                    self._inside_or_whole(item, was, now, (start, end, _block([now], dash)))
            return
        # Entries were added, taken out or moved: those that are still there take their text along.
        texts = list(zip(old, self._pieces(lines), strict=True))
        made = ""
        for one in new:
            at = next((at for at, (was, _) in enumerate(texts) if _says(was, one)), None)
            made += _block([one], dash) if at is None else texts.pop(at)[1]
        self.edits.append((lines.start, lines.end, made))

    def _inside_or_whole(self, node: Any, old: Any, new: Any, whole: tuple[int, int, str]) -> None:
        """Change a part inside where that is possible, else write it anew."""
        before = len(self.edits)
        try:
            self._compare(node, old, new)
        except _Unfitting:
            del self.edits[before:]
            self.edits.append(whole)

    def _pieces(self, lines: _Lines) -> list[str]:
        """Give the text of each entry with the comments above it; those above the first stay there."""
        ends = [end for _, end in lines.spans]
        return [self.text[a:b] for a, b in zip([lines.start, *ends[:-1]], ends, strict=True)]

    def _lines(self, heads: list[Any], values: list[Any]) -> _Lines:
        """Find the lines of each entry, with what is written behind it there."""
        starts = [self.text.rfind("\n", 0, one.start_mark.index) + 1 for one in heads]
        spans = []
        for start, limit, value in zip(starts, [*starts[1:], len(self.text)], values, strict=True):
            last = _last_index(value)
            end = self.text.find("\n", max(last - 1, 0)) + 1
            if not start < end <= limit:
                raise _Unfitting  # two entries share a line
            spans.append((start, end))
        indent = heads[0].start_mark.column
        return _Lines(spans, indent, bool(self.text[starts[0] : starts[0] + indent].strip()))


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the entries of a table or list stand, as lines; the first may stand behind the dash of a list."""

    spans: list[tuple[int, int]]
    indent: int
    is_behind_dash: bool

    @property
    def start(self) -> int:
        return self.spans[0][0]

    @property
    def end(self) -> int:
        return self.spans[-1][1]


def _last_index(node: Any) -> int:
    """Give where the last character of a node stands; blocks end where their last entry does."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_index(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _is_moved(old: list[Any], new: list[Any]) -> bool:
    """Tell whether entries stand at other places, by their id where they have one."""
    return [_id(one) for one in old] != [_id(one) for one in new] and sorted(
        map(_id, old)
    ) == sorted(map(_id, new))


def _id(entry: Any) -> str:
    name = entry.get("id") if isinstance(entry, dict) else None
    return json.dumps(name if name is not None else entry)


def _block(data: Any, indent: int) -> str:
    """Write the one entry of a table or list as lines at a depth."""
    if isinstance(data, list) and not isinstance(data[0], dict):
        raise _Unfitting
    # Beside a long line no table is short enough to stand in braces.
    whole = {"list": data} | _LONG if isinstance(data, list) else data | _LONG
    lines = dump_yaml(whole).rstrip("\n").split("\n")[:-1]
    lines = lines[1:] if isinstance(data, list) else lines
    depth = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"{' ' * indent}{line[depth:]}\n" if line.strip() else "\n" for line in lines)
