"""Literals as people type them into one line, and back without loss.

What reads as ``null``, ``true``, ``false`` or a number is that; everything else is text. Quotes make text
of anything: ``"72"``, ``""``. A list stands in brackets, as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_WORDS: Final[dict[str, bool | None]] = {"null": None, "true": True, "false": False}
_ENTRY: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|\Z)')


def typed(value: Any) -> str:
    """Write a literal as one line.

    >>> typed("Voicemail"), typed("72"), typed(72), typed(""), typed(None)
    ('Voicemail', '"72"', '72', '""', 'null')
    """
    if isinstance(value, str) and _is_plain(value) and value[0] not in "[{":
        is_special = value in _WORDS or _NUMBER.match(value)
        return _quoted(value) if is_special else value
    return _quoted(value)


def literal(text: str) -> Any:
    """Read a line as a literal; text that is no JSON is taken as it stands.

    >>> literal("Voicemail"), literal('"72"'), literal("72"), literal("012"), literal('["a", 1]')
    ('Voicemail', '72', 72, '012', ['a', 1])
    """
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.match(text) or text[:1] in {'"', "[", "{"}:
        return _json(text, otherwise=text)
    return text


def typed_name(name: str) -> str:
    """Write a name, path or key, which is text whatever it looks like; quoted only where it must be."""
    return name if _is_plain(name) else _quoted(name) if name else ""


def name_of(text: str) -> str:
    """Read what :func:`typed_name` wrote, or what a person typed."""
    text = text.strip()
    found = _json(text, otherwise=text) if text[:1] == '"' else text
    return found if isinstance(found, str) else text


def typed_list(values: Iterable[Any]) -> str:
    """Write literals with commas between them.

    >>> typed_list(["new_lead", "a, b", 5])
    'new_lead, "a, b", 5'
    """
    return ", ".join(
        _quoted(one) if isinstance(one, str) and "," in one else typed(one) for one in values
    )


def literals(text: str) -> list[Any]:
    """Read literals with commas between them; what is left empty is nothing.

    >>> literals('new_lead, "a, b", 5,')
    ['new_lead', 'a, b', 5]
    """
    return [literal(one) for one in _ENTRY.findall(text.strip()) if one]


def _is_plain(text: str) -> bool:
    return bool(text) and text == text.strip() and text.isprintable() and text[0] != '"'


def _quoted(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    # A page cannot carry half a character, and a browser takes line breaks out of a field.
    return written if written.isprintable() else json.dumps(value)


def _json(text: str, *, otherwise: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
