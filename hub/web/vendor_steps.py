"""What a person does at a vendor before an account can be connected, read from the vendor's own folder.

The steps stand in ``connectors/<vendor>/README.md`` under "Connecting"; the few marks that they use become HTML here,
and all else is text.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from markupsafe import Markup, escape

_SECTION: Final = re.compile(
    r"^## Connecting[^\n]*\n(.*?)(?=^#{2,3} |\Z)", re.MULTILINE | re.DOTALL
)
_ITEM: Final = re.compile(r"^\d+\. (.*?)(?=^\d+\. |^\S|\Z)", re.MULTILINE | re.DOTALL)
_MARKS: Final = re.compile(
    r"\*\*(?P<strong>[^*]+)\*\*|`(?P<code>[^`]+)`|\[(?P<text>[^\]]+)\]\((?P<href>https://[^)\s]+)\)"
    r"|\*(?P<em>[^*\s][^*]*)\*"
)
_OUR_ADDRESS: Final = "https://<your hub>"


def steps(connector_name: str, base_url: str) -> tuple[Markup, ...]:
    """Give the steps with our own address in them; none where the folder holds none."""
    return tuple(_written(one.replace(_OUR_ADDRESS, base_url)) for one in _read(connector_name))


@cache
def _read(connector_name: str) -> tuple[str, ...]:
    try:
        text = files("connectors").joinpath(connector_name, "README.md").read_text("utf-8")
    except FileNotFoundError:
        return ()
    section = _SECTION.search(text)
    if section is None:
        return ()
    return tuple(" ".join(found[1].split()) for found in _ITEM.finditer(section[1]))


def _written(text: str) -> Markup:
    """Write a step's bold words, code and links as HTML."""
    parts, at = [], 0
    for found in _MARKS.finditer(text):
        parts.append(escape(text[at : found.start()]))
        parts.append(_mark(found))
        at = found.end()
    parts.append(escape(text[at:]))
    return Markup("").join(parts)


def _mark(found: re.Match[str]) -> Markup:
    if found["href"]:
        return Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
            found["href"], found["text"]
        )
    if found["code"]:
        return Markup("<code>{}</code>").format(found["code"])
    return Markup("<strong>{}</strong>").format(found["strong"] or found["em"])
