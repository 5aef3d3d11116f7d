"""What is wrong with a mapping, where, and what to do: one problem, and the list of all.

A place in a mapping is a location: the keys and positions that lead to it. It is shown as a
path for people (``steps[0].set.Rating.choose``) and as a JSON pointer for programs
(``/steps/0/set/Rating/choose``).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mappings.untrusted import clean

Location = tuple[str | int, ...]
Severity = Literal["error", "warning"]

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w:-]*\Z", re.ASCII)
_SHOWN_CHARS = 60
# A guess compares a word with every candidate; thousands of them would take seconds.
_GUESSED = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (error) or doubtful (warning) in a mapping.

    ``path`` is for people and empty for the document as a whole; ``pointer`` is the same place as a
    JSON pointer (RFC 6901). ``message`` says what is wrong and what to do.
    """

    path: str
    message: str
    severity: Severity = "error"
    pointer: str = ""

    def __str__(self) -> str:
        """Give path and message as one line."""
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidMapping(ValueError):
    """A document is not a mapping; ``problems`` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep all problems; the message is one line for each."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Problems:
    """Collects what is wrong, so that everything is reported at once."""

    def __init__(self) -> None:
        """Start with nothing wrong."""
        self.found: list[Problem] = []

    @property
    def are_few(self) -> bool:
        """Tell whether it still helps a person to have a guess with each problem."""
        return len(self.found) < _GUESSED

    def error(self, at: Location, message: str) -> None:
        """Add something that keeps the mapping from being saved."""
        self.found.append(Problem(path_of(at), message, "error", pointer_of(at)))

    def warning(self, at: Location, message: str) -> None:
        """Add something that a person should look at."""
        self.found.append(Problem(path_of(at), message, "warning", pointer_of(at)))


def path_of(location: Location) -> str:
    """Give a location as people read it: ``steps[0].set.Rating``; odd names stand in brackets."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_NAME.match(part):
            path += f".{part}" if path else part
        else:
            path += f"[{quoted(part)}]"
    return path


def pointer_of(location: Location) -> str:
    """Give a location as a JSON pointer (RFC 6901)."""
    return "".join(
        "/" + clean(str(part)).replace("~", "~0").replace("/", "~1") for part in location
    )


def quoted(value: object) -> str:
    """Give a value of the mapping as JSON for a message, shortened, without control characters."""
    try:
        shown = clean(json.dumps(value, ensure_ascii=False, default=_type_name))
    except (ValueError, RecursionError, TypeError):
        shown = _type_name(value)
    return shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"


def _type_name(value: object) -> str:
    return type(value).__name__


def listed(values: Iterable[str], *, most: int = 12) -> str:
    """Give values as ``a, b, c``, the rest counted when there are more than ``most``."""
    every = list(values)
    if len(every) <= most:
        return ", ".join(every)
    return ", ".join(every[:most]) + f" and {len(every) - most} more"


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Give `` (did you mean x?)`` with the nearest candidate, or nothing when none is near."""
    by_lower: dict[str, str] = {}
    for candidate in candidates:
        by_lower.setdefault(candidate.lower(), candidate)
    near = difflib.get_close_matches(word[:200].lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""
