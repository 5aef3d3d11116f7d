"""Who speaks and who listens to a language at Twilio. The table is ``voices.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from voice.languages.catalogue import tag_for


@dataclass(frozen=True, slots=True)
class Recognition:
    """How ConversationRelay and ``<Gather>`` are told to listen; ``gather`` is None where it cannot."""

    provider: str
    model: str | None
    language: str
    gather: str | None = None


@cache
def _tables() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    path = Path(__file__).with_name("voices.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def _by_lower() -> Mapping[str, Mapping[str, str]]:
    return {tag.lower(): entry for tag, entry in _tables()["voices"].items()}


def _entry(tag: str) -> Mapping[str, str]:
    """Find a tag's own entry ("en-GB"), else that of the language that it is spoken with."""
    exact = _by_lower().get(tag.strip().replace("_", "-").lower())
    if exact is not None:
        return exact
    return _by_lower().get((tag_for(tag) or "").lower(), {})


def voice_for(tag: str) -> tuple[str, str | None] | None:
    """Give ``ttsProvider`` and ``voice`` for ConversationRelay; None where nobody speaks the language.

    A voice of None is the provider's default, which speaks all of its languages. No answer never means English:
    a voice of another language must not read the lines (see :func:`why_not`).
    """
    found = _entry(tag).get("relay")
    if found is None:
        return None
    provider, _, voice = found.partition(":")
    return provider, voice or None


def say_voice(tag: str) -> tuple[str, str] | None:
    """Give ``voice`` and ``language`` for ``<Say>``, or None where nobody speaks the language."""
    entry = _entry(tag)
    return (entry["say"], entry["language"]) if "say" in entry else None


def recognition(tag: str) -> Recognition | None:
    """Give how the language is recognised, or None where nobody is known to."""
    entry = _entry(tag)
    if "hear" not in entry:
        return None
    is_google = entry["hear"] == "google"
    return Recognition(
        provider="Google" if is_google else "Deepgram",
        model=None if is_google else entry["hear"],
        language=entry["code"],
        gather=entry.get("gather"),
    )


def speaks(tag: str) -> bool:
    """Tell whether a call at Twilio can be held in a language: somebody speaks it and somebody hears it."""
    return bool(voice_for(tag) and say_voice(tag) and recognition(tag))


def why_not(tag: str) -> str | None:
    """Say why a call at Twilio cannot be held in a supported language, None when it can."""
    if speaks(tag):
        return None
    reason = _tables()["without"].get(tag_for(tag) or "")
    return str(reason or "This language has no fixed lines.")
