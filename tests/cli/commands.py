"""Runs commands as a shell does, on the test session's servers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.installation import run


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read the answer as one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """A place to run commands in."""

    env: dict[str, str] = field(repr=False)

    def __call__(self, *words: str, stdin: str = "", **more: str) -> Answer:
        """Run one command, with more settings if wanted."""
        done = run(*words, env=self.env | more, stdin=stdin)
        return Answer(done.returncode, done.stdout, done.stderr)
