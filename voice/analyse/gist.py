"""Read the phrases of ``lexicon/gist.toml``: what callers want, how they close, what pleases them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from voice.analyse.fold import folded
from voice.analyse.spoken import SOLID


@cache
def gist() -> Mapping[str, Any]:
    """Give the tables of the lexicon."""
    path = Path(__file__).with_name("lexicon") / "gist.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def phrase(key: str) -> re.Pattern[str]:
    """Compile a list of phrases for folded text; ``appointment.words`` names a nested list."""
    found: Any = gist()
    for part in key.split("."):
        found = found[part]
    alternatives = []
    for each in sorted({folded(word).strip() for word in found.split(",")}, key=len, reverse=True):
        if SOLID.search(each):
            alternatives.append(re.escape(each))
        elif each:
            stem = re.escape(each.removesuffix("*")) + (r"\w*" if each.endswith("*") else "")
            alternatives.append(rf"(?<!\w){stem}(?!\w)")
    return re.compile("|".join(alternatives))
