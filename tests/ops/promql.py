"""Reads expressions of PromQL as far as to tell whether they are some, and which metrics and labels they name."""

from __future__ import annotations

import re
from itertools import pairwise

from hub.metrics.gauges import GAUGES
from hub.tally.families import COUNTERS, HISTOGRAMS

_LABELS = {
    **{f"afterbeep_{one.name}_total": set(one.labels) for one in COUNTERS},
    **{
        f"afterbeep_{one.name}_{part}": {*one.labels, *(["le"] if part == "bucket" else [])}
        for one in HISTOGRAMS
        for part in ("bucket", "sum", "count")
    },
    **{f"afterbeep_{one.name}": set(one.labels) for one in GAUGES},
}
_FUNCTIONS = {
    "absent", "and", "by", "count", "histogram_quantile", "increase", "max", "min", "or", "rate", "sum", "topk",
    "unless",
}  # fmt: skip
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*") | (?P<span>\[(?:\d+[smhd]|\$__rate_interval)\]) | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*) | (?P<compare>=~|!~|!=|==|>=|<=|=|>|<)
      | (?P<operator>[-+*/]) | (?P<bracket>[(){}]) | (?P<comma>,)
    )""",
    re.VERBOSE,
)


class Unreadable(ValueError):
    """An expression is not one."""


def tokens(expression: str) -> list[tuple[str, str]]:
    """Split an expression; raises Unreadable."""
    found, place = [], 0
    text = expression.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Unreadable(f"{text[place:]} in {expression}")
        found.append((str(match.lastgroup), match.group().strip()))
        place = match.end()
    return found


def check(expression: str) -> set[str]:
    """Give the metrics of an expression; raises Unreadable for what it cannot be."""
    found = tokens(expression)
    _check_brackets(found, expression)
    _check_order(found, expression)
    metrics = {word for kind, word in found if kind == "name" and word.startswith("afterbeep_")}
    for name in metrics - set(_LABELS):
        raise Unreadable(f"there is no metric {name}")
    for name, chosen in re.findall(r"(\w+)\{([^}]*)\}", expression):
        _check_labels(name, re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen), expression)
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.findall(r"\w+", grouped):
            if not any(label in _LABELS[name] for name in metrics):
                raise Unreadable(f"by {label}: no such label in {expression}")
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)|\[[^]]*\]|\"[^\"]*\"", " ", expression)
    for name in set(re.findall(r"[A-Za-z_]\w*", bare)) - metrics - _FUNCTIONS:
        raise Unreadable(f"{name} is neither a metric nor a function: {expression}")
    return metrics


def _check_labels(name: str, labels: list[str], expression: str) -> None:
    for label in labels:
        if label not in _LABELS.get(name, ()):
            raise Unreadable(f"{name} has no label {label}: {expression}")


def _check_order(found: list[tuple[str, str]], expression: str) -> None:
    for (kind, word), (next_kind, next_word) in pairwise(found):
        if kind == next_kind and kind in {"operator", "number", "comma", "span", "string"}:
            raise Unreadable(f"{word} {next_word} in {expression}")


def _check_brackets(found: list[tuple[str, str]], expression: str) -> None:
    pairs = {")": "(", "}": "{"}
    open_ones: list[str] = []
    for _, word in found:
        if word in pairs.values():
            open_ones.append(word)
        elif word in pairs and (not open_ones or open_ones.pop() != pairs[word]):
            raise Unreadable(f"brackets in {expression}")
    if open_ones or not found or found[-1][0] in {"operator", "comma", "compare"}:
        raise Unreadable(f"it ends too early: {expression}")
