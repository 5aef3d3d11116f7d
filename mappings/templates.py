"""Text templates: words with ``{path}`` chips; ``{{`` and ``}}`` stand for braces.

There is no logic in a template. What chips give is put in as it is, so a chip's value that looks
like a chip stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeGuard

from mappings import limits
from mappings.problem import Location, Problems, quoted
from mappings.untrusted import is_clean

_PATH: Final = re.compile(r"[a-z_][a-z0-9_]*(?:\.[\w-]+(?: [\w-]+)*)*\Z")
_TOKENS: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Chip:
    """A place in a template that a field of the event fills."""

    path: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it was written, and its parts in order: words and chips."""

    text: str
    parts: tuple[str | Chip, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """List the paths of the chips, in order."""
        return tuple(part.path for part in self.parts if isinstance(part, Chip))


def is_path(text: object) -> TypeGuard[str]:
    """Tell whether something has the form of a path of the event: ``caller.name.family``."""
    return (
        isinstance(text, str)
        and len(text) <= limits.MAX_PATH_CHARS
        and _PATH.match(text) is not None
    )


def chips_of(text: str) -> tuple[str, ...]:
    """List the paths that a text names, each once and in order, whatever else is wrong with it."""
    found = (token[1] for token in _TOKENS.finditer(text) if token[1] is not None)
    return tuple(dict.fromkeys(path for path in found if is_path(path)))


def read_template(data: object, at: Location, problems: Problems) -> Template | None:
    """Read a template, reporting all that is wrong with it; None when something is."""
    if not isinstance(data, str):
        problems.error(at, f"must be text with {{path}} chips, not {quoted(data)}")
        return None
    if len(data) > limits.MAX_TEMPLATE_CHARS:
        problems.error(at, f"is longer than {limits.MAX_TEMPLATE_CHARS} characters")
        return None
    if not is_clean(data):
        problems.error(at, "holds control characters; take them out")
        return None
    before = len(problems.found)
    template = Template(data, _parts_of(data, at, problems))
    if len(template.paths) > limits.MAX_CHIPS:
        count = len(template.paths)
        problems.error(at, f"holds {count} chips; at most {limits.MAX_CHIPS} are allowed")
    if not data.strip():
        problems.error(at, "is empty; write {value: null} to clear the field")
    return template if len(problems.found) == before else None


def _parts_of(text: str, at: Location, problems: Problems) -> tuple[str | Chip, ...]:
    parts: list[str | Chip] = []
    words = ""
    end = 0
    for token in _TOKENS.finditer(text):
        words += text[end : token.start()]
        end = token.end()
        if token[0] in {"{{", "}}"}:
            words += token[0][0]
        elif token[1] is None:
            problems.error(at, f"has a lone {token[0]}; write {token[0] * 2} for a brace")
        elif not is_path(token[1]):
            problems.error(at, f"{quoted(token[0])} is not a chip such as {{caller.name.full}}")
        else:
            if words:
                parts.append(words)
                words = ""
            parts.append(Chip(token[1]))
    words += text[end:]
    if words:
        parts.append(words)
    return tuple(parts)
