"""The talk as JSON data, to go on with a call in another process, perhaps of another release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from voice.dialogue.types import KnownCaller, Say, Stage, Talk

VERSION = 1


def to_json(talk: Talk) -> dict[str, Any]:
    """Give the talk as data that JSON can write."""
    data = asdict(talk)
    data["stage"] = talk.stage.value
    data["slots"] = {str(key): value for key, value in talk.slots.items()}
    data["asked"] = {str(key): value for key, value in talk.asked.items()}
    data["said"], data["offered"] = list(talk.said), list(talk.offered)
    data["last"] = [{**asdict(say), "values": dict(say.values)} for say in talk.last]
    return {"version": VERSION, **data}


def from_json(data: Mapping[str, Any]) -> Talk:
    """Read a talk. What this release does not know is ignored, what is missing has its default.

    Raises ValueError for data that is no talk at all.
    """
    if not isinstance(data.get("version"), int):
        raise ValueError("This is no talk: it has no version.")  # noqa: TRY004  # it is data from outside
    known = {field.name for field in fields(Talk)}
    values = {key: value for key, value in data.items() if key in known}
    try:
        values["stage"] = Stage(values.get("stage", Stage.GREETING))
    except ValueError:
        # A stage of a later release: what is missing is asked from there.
        values["stage"] = Stage.REASON
    try:
        for name in ("said", "offered"):
            values[name] = tuple(map(str, values.get(name, ())))
        for name in ("slots", "asked"):
            values[name] = dict(values.get(name, {}))
        values["last"] = tuple(Say(**_own(Say, each)) for each in values.get("last", ()))
        caller = values.get("known")
        values["known"] = KnownCaller(**_own(KnownCaller, caller)) if caller else None
        return Talk(**values)
    except (TypeError, ValueError, AttributeError) as err:
        raise ValueError("This is no talk: its parts have other types.") from err


def _own(kind: type[Say | KnownCaller], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in data.items() if key in names}
