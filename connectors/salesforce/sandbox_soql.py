"""The part of SOQL that the sandbox understands: a small parser and its evaluation.

``SELECT fields FROM object [WHERE conditions] [ORDER BY field [ASC|DESC]] [LIMIT n]`` with
``= != < > <= >= IN NOT IN``, AND, OR, NOT and brackets. Comparisons of text ignore case.
Source: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/
(2026-11-22)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<when>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d))?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|<>|[=<>(),]))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class MalformedQuery(ValueError):
    """The query is not one that we understand; the message says where."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. ``equals`` are values of which a field must have one, for using an index."""

    fields: tuple[str, ...]
    object: str
    test: Test
    used: tuple[str, ...]
    equals: Mapping[str, tuple[Any, ...]]
    order_by: str | None
    is_descending: bool
    limit: int | None


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition with the fields it uses, and what it demands of one field if it does."""

    test: Test
    fields: tuple[str, ...]
    equals: Mapping[str, tuple[Any, ...]]


def parse(text: str) -> Query:
    """Give the parsed query; raises MalformedQuery."""
    return _Parser(text).query()


class _Parser:
    """A recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise MalformedQuery(f"unexpected token: '{text[at : at + 20]}'")
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self._at = 0

    def query(self) -> Query:
        self._expect("SELECT")
        fields = [self._word()]
        while self._take(","):
            fields.append(self._word())
        self._expect("FROM")
        name = self._word()
        condition = _Condition(lambda _row: True, (), {})
        if self._take("WHERE"):
            condition = self._any()
        order_by, is_descending = None, False
        if self._take("ORDER"):
            self._expect("BY")
            order_by = self._word()
            is_descending = self._take("DESC")
            if not is_descending:
                self._take("ASC")
        limit = int(self._next("number")) if self._take("LIMIT") else None
        if self._at < len(self._tokens):
            raise MalformedQuery(f"unexpected token: '{self._tokens[self._at][1]}'")
        return Query(
            fields=tuple(fields),
            object=name,
            test=condition.test,
            used=(*condition.fields, *([order_by] if order_by else [])),
            equals=condition.equals,
            order_by=order_by,
            is_descending=is_descending,
            limit=limit,
        )

    def _any(self) -> _Condition:
        parts = [self._all()]
        while self._take("OR"):
            parts.append(self._all())
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        used = tuple(name for part in parts for name in part.fields)
        # An index serves an OR only when every branch demands something of the same field.
        shared = set(parts[0].equals).intersection(*(part.equals for part in parts))
        equals = {name: sum((part.equals[name] for part in parts), ()) for name in shared}
        return _Condition(lambda row: any(test(row) for test in tests), used, equals)

    def _all(self) -> _Condition:
        parts = [self._one()]
        while self._take("AND"):
            parts.append(self._one())
        if len(parts) == 1:
            return parts[0]
        tests = [part.test for part in parts]
        equals: dict[str, tuple[Any, ...]] = {}
        for part in parts:
            equals.update(part.equals)
        used = tuple(name for part in parts for name in part.fields)
        return _Condition(lambda row: all(test(row) for test in tests), used, equals)

    def _one(self) -> _Condition:
        if self._take("NOT"):
            inner = self._one()
            return _Condition(lambda row: not inner.test(row), inner.fields, {})
        if self._take("("):
            inner = self._any()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> _Condition:
        field = self._word()
        if self._take("NOT"):
            self._expect("IN")
            values = tuple(_folded(value) for value in self._list())
            return _Condition(lambda row: _folded(row.get(field)) not in values, (field,), {})
        if self._take("IN"):
            listed = self._list()
            folded = {_folded(value) for value in listed}
            return _Condition(
                lambda row: _folded(row.get(field)) in folded, (field,), {field: tuple(listed)}
            )
        sign = self._next("sign")
        value = self._value()
        test = _comparing(field, sign, value)
        return _Condition(test, (field,), {field: (value,)} if sign == "=" and value else {})

    def _list(self) -> list[Any]:
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> Any:
        kind, text = self._token()
        if kind == "text":
            return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), text[1:-1])
        if kind == "number":
            return float(text)
        if kind == "when":
            return text
        named = {"true": True, "false": False, "null": None}
        if text.lower() in named:
            return named[text.lower()]
        raise MalformedQuery(f"unexpected token: '{text}'")

    def _word(self) -> str:
        return self._next("word")

    def _next(self, kind: str) -> str:
        found, text = self._token()
        if found != kind:
            raise MalformedQuery(f"unexpected token: '{text}'")
        return text

    def _token(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise MalformedQuery("unexpected token: '<EOF>'")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind in {"word", "sign"} and text.upper() == word:
                self._at += 1
                return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
            raise MalformedQuery(f"expecting '{word}', found '{found}'")


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value


def _comparing(field: str, sign: str, value: Any) -> Test:
    wanted = _folded(value)
    if sign == "=":
        return lambda row: _folded(row.get(field)) == wanted
    if sign in {"!=", "<>"}:
        return lambda row: _folded(row.get(field)) != wanted
    order: dict[str, Callable[[Any], bool]] = {
        "<": lambda found: found < wanted,
        ">": lambda found: found > wanted,
        "<=": lambda found: found <= wanted,
        ">=": lambda found: found >= wanted,
    }
    compare = order[sign]

    def test(row: Row) -> bool:
        found = _folded(row.get(field))
        return found is not None and type(found) is type(wanted) and compare(found)

    return test
