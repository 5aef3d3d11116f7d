"""The urgency rubric: an editor, and beside it the last voicemails as they had been scored and as they would be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from hub.db.people import Role
from hub.db.tenants import Tenant
from hub.voice import trial
from hub.voice.settings import Kept, Outdated, Rubric, RubricLine, save, voice_settings
from hub.web import reading
from hub.web.reading import Voicemail
from hub.web.telephone import changed_by
from hub.web.viewer import needs, the_hub, viewer
from mappings.presets import VERTICALS

pages = Blueprint("rubric", __name__, url_prefix="/settings/urgency")
#: So many voicemails are scored beside the rubric.
LATEST: Final = 20
_WITHIN_S: Final = 6.0
_MOST_LINES: Final = 200
_LEVELS: Final = ("normal", "high", "critical")
_LONGEST_SAID: Final = 8_000


@dataclass(slots=True)
class Sheet:
    """The form as it stands."""

    lines: list[dict[str, Any]]
    levels: dict[str, Any]
    base: str
    revision: str
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def rubric(self) -> dict[str, Any]:
        """The rubric as typed."""
        return {"lines": self.lines, "levels": self.levels}


@dataclass(frozen=True, slots=True)
class Rescored:
    """A voicemail with the urgency that it had, and the one that it would have."""

    voicemail: Voicemail
    had: Mapping[str, Any]
    gets: Mapping[str, Any]

    @property
    def gained(self) -> list[Mapping[str, Any]]:
        """The reasons that it would have."""
        found: list[Mapping[str, Any]] = list(self.gets.get("reasons", ()))
        return found


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show the rubric that holds: the tenant's own, else the trade's."""
    kept, usual = _kept()
    if usual is None:
        return render_template("settings/urgency.html", sheet=None), 503
    return _page(_shown(kept, usual), usual)


def _kept() -> tuple[Kept, dict[str, Any] | None]:
    """Give what is saved, and the trade's signals and rubric (None: they cannot be read now)."""
    me = viewer()
    try:
        return voice_settings(the_hub(), me.tenant_id), dict(_usual(_vertical()))
    except trial.NoAnswer:
        return voice_settings(the_hub(), me.tenant_id), None


def _vertical() -> str:
    with the_hub().tenant(viewer().tenant_id) as session:
        found: str = session.scalars(
            select(Tenant.vertical).where(Tenant.id == session.tenant_id)
        ).one()
    return found


@lru_cache(maxsize=32)
def _usual(vertical: str) -> Mapping[str, Any]:
    """Ask once which signals there are and what the trade starts with: neither changes while a process runs."""
    return trial.ask({"do": "rubric", "vertical": vertical})


def _shown(kept: Kept, usual: Mapping[str, Any]) -> Sheet:
    own = kept.settings.rubric
    rubric = own.model_dump(mode="json") if own else usual["rubric"]
    return Sheet(
        [dict(one) | {"needs": list(one.get("needs", ()))} for one in rubric["lines"]],
        dict(rubric["levels"]),
        json.dumps(own.model_dump(mode="json") if own else None),
        kept.revision,
    )


def _page(sheet: Sheet, usual: Mapping[str, Any], **more: Any) -> str:
    me = viewer()
    return render_template(
        "settings/urgency.html",
        sheet=sheet,
        signals=usual["signals"],
        is_usual=_is_usual(sheet, usual),
        trade=VERTICALS.get(_vertical(), "your trade"),
        # For health data each look at the words is written down; nobody looks by typing alone.
        is_live=not me.is_phi,
        levels=_LEVELS,
        latest=LATEST,
        **more,
    )


def _is_usual(sheet: Sheet, usual: Mapping[str, Any]) -> bool:
    found = _checked(Sheet(sheet.lines, sheet.levels, "", ""), usual)
    return found is not None and _plain(found) == _plain(Rubric.model_validate(usual["rubric"]))


def _plain(rubric: Rubric) -> tuple[Any, ...]:
    """Give what a rubric says; a form sends the signals that a line needs in an order of its own."""
    return (rubric.levels, [(*_heard(one), one.points) for one in rubric.lines])


def _heard(line: RubricLine) -> tuple[str, str, frozenset[str]]:
    return (line.label, line.signal, frozenset(line.needs))


@pages.post("")
@needs(Role.ADMIN)
def put() -> ResponseReturnValue:
    """Save, change the rows of the form, or score the last voicemails; what is wrong is said in place."""
    kept, usual = _kept()
    if usual is None:
        return render_template("settings/urgency.html", sheet=None), 503
    sheet, wanted = _typed(request.form), request.form.get("do", "save")
    if _has_moved(sheet, wanted, usual):
        return _page(sheet, usual, is_unsaved=True)
    rubric = _checked(sheet, usual)
    if rubric is None:
        return _page(sheet, usual), 422
    if wanted == "score":
        return _page(sheet, usual, is_unsaved=True, **_scored(rubric, kept))
    return _saved(sheet, rubric, kept, usual)


def _has_moved(sheet: Sheet, wanted: str, usual: Mapping[str, Any]) -> bool:
    """Add or take away rows of the form, as a button asked; tells whether one did."""
    if wanted == "add":
        sheet.lines.append({"label": "", "signal": "", "points": 10, "needs": []})
    elif wanted == "usual":
        sheet.lines = [{"needs": [], **one} for one in usual["rubric"]["lines"]]
        sheet.levels = dict(usual["rubric"]["levels"])
    elif found := re.fullmatch(r"remove\.(\d{1,4})", wanted, re.ASCII):
        sheet.lines = [one for at, one in enumerate(sheet.lines) if at != int(found[1])]
    else:
        return False
    return True


def _saved(
    sheet: Sheet, rubric: Rubric, kept: Kept, usual: Mapping[str, Any]
) -> ResponseReturnValue:
    """Save, unless somebody else has saved another rubric meanwhile; other settings may have changed."""
    me = viewer()
    own = kept.settings.rubric
    theirs = json.dumps(own.model_dump(mode="json") if own else None)
    if kept.revision != sheet.revision and theirs != sheet.base:
        rows = _shown(kept, usual).rubric
        sheet.base, sheet.revision = theirs, kept.revision
        found = differences(rows, sheet.rubric)
        return _page(sheet, usual, is_unsaved=True, differences=found, **changed_by()), 409
    wanted = None if _is_usual(sheet, usual) else rubric
    settings = kept.settings.model_copy(update={"rubric": wanted})
    try:
        save(the_hub(), me.tenant_id, settings, revision=kept.revision, actor=me.actor)
    except Outdated:  # in this very moment
        return _saved(sheet, rubric, voice_settings(the_hub(), me.tenant_id), usual)
    flash("Saved. Voicemails are scored by it from now on; those that are here keep their score.")
    return redirect(url_for(".show"), 303)


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Say where two rubrics differ, line by line, in words."""
    said = [
        f"{level.capitalize()} begins at {theirs['levels'].get(level)} there, at {ours['levels'].get(level)} here."
        for level in _LEVELS
        if theirs["levels"].get(level) != ours["levels"].get(level)
    ]
    there = {str(one["label"]): one for one in theirs["lines"]}
    here = {str(one["label"]): one for one in ours["lines"]}
    for label, one in there.items():
        mine = here.get(label)
        if mine is None:
            said.append(f"“{label}” ({one['points']} points) stands there only.")
        elif str(mine["points"]) != str(one["points"]):
            said.append(f"“{label}” has {one['points']} points there, {mine['points']} here.")
        elif (mine["signal"], set(mine.get("needs", ()))) != (
            one["signal"],
            set(one.get("needs", ())),
        ):
            said.append(f"“{label}” listens for something else there.")
    said += [f"“{label}” stands here only." for label in here if label not in there]
    return said


def _typed(form: MultiDict[str, str]) -> Sheet:
    numbers = sorted(
        {int(found[1]) for name in form if (found := re.fullmatch(r"line\.(\d{1,4})\.label", name))}
    )
    lines = [
        {
            "label": form.get(f"line.{at}.label", "").strip(),
            "signal": form.get(f"line.{at}.signal", ""),
            "points": _whole(form.get(f"line.{at}.points", "")),
            "needs": form.getlist(f"line.{at}.needs"),
        }
        for at in numbers[: _MOST_LINES + 1]
    ]
    levels = {level: _whole(form.get(f"level.{level}", "")) for level in _LEVELS}
    return Sheet(lines, levels, form.get("base", ""), form.get("revision", ""))


def _whole(text: str) -> int | str:
    text = text.strip()
    return int(text) if re.fullmatch(r"[+-]?\d{1,6}", text, re.ASCII) else text


def _checked(sheet: Sheet, usual: Mapping[str, Any]) -> Rubric | None:
    """Give the rubric of a form, or None with all that is wrong noted in it."""
    problems: dict[str, str] = {}
    for at, line in enumerate(sheet.lines):
        if line["signal"] not in usual["signals"]:
            problems[f"line.{at}.signal"] = "Choose what it listens for."
        if unknown := [one for one in line.get("needs", ()) if one not in usual["signals"]]:
            problems[f"line.{at}.needs"] = f"There is no signal {unknown[0]}."
    found = None
    try:
        found = Rubric.model_validate(sheet.rubric)
    except ValidationError as err:
        for one in err.errors(include_url=False, include_input=False):
            name, said = _problem([str(part) for part in one["loc"]])
            problems.setdefault(name, said)
    sheet.problems = problems
    return None if problems else found


_SAID: Final = {
    "label": "Give it a name of 1 to 200 characters.",
    "points": "A whole number from -100 to 100.",
    "signal": "Choose what it listens for.",
}


def _problem(loc: list[str]) -> tuple[str, str]:
    match loc:
        case ["lines", at, part, *_]:
            part = part if part in _SAID else "needs"
            return f"line.{at}.{part}", _SAID.get(part, "Choose other signals.")
        case ["levels", level]:
            return f"level.{level}", "A whole number from 1 to 100."
        case ["levels"]:
            return "level.normal", "Normal, high and critical must rise."
        case _:
            return "lines", "A rubric has 1 to 200 lines."


@pages.post("/scores")
@needs(Role.ADMIN)
def scores() -> ResponseReturnValue:
    """Give the part of the page that shows the last voicemails, scored by the form as it stands."""
    kept, usual = _kept()
    rubric = usual and _checked(_typed(request.form), usual)
    more: dict[str, Any] = _scored(rubric, kept) if rubric else {"is_wrong": usual is not None}
    return render_template("settings/urgency_scores.html", latest=LATEST, **more)


def _scored(rubric: Rubric, kept: Kept) -> dict[str, Any]:
    """Score the last voicemails; whoever sees them for a tenant with health data is written down."""
    me, own = viewer(), kept.settings.rubric
    found = [one for one in reading.latest(the_hub(), me.tenant_id, size=LATEST) if one.is_readable]
    reading.note_listed(the_hub(), me, found)
    question = {
        "do": "score",
        "vertical": _vertical(),
        "rubric": rubric.model_dump(mode="json"),
        "before": own.model_dump(mode="json") if own else None,
        "voicemails": [_asked(one) for one in found],
    }
    try:
        gets = trial.ask(question, within_s=_WITHIN_S)["scores"]
    except trial.NoAnswer:
        return {"is_away": True}
    rows = [
        Rescored(one, one.data.get("urgency") or {}, score)
        for one, score in zip(found, gets, strict=True)
    ]
    return {
        "rescored": rows,
        "counts": {
            level: (
                sum(row.had.get("level") == level for row in rows),
                sum(row.gets["level"] == level for row in rows),
            )
            for level in (*reversed(_LEVELS), "low")
        },
    }


def _asked(one: Voicemail) -> dict[str, Any]:
    segments = (one.data.get("transcript") or {}).get("segments") or ()
    said = " ".join(
        str(part.get("text", "")) for part in segments if part.get("speaker") != "agent"
    )
    return {
        "said": said[:_LONGEST_SAID],
        "language": one.data.get("language"),
        "bucket": one.data.get("bucket", "other"),
        "reasons": (one.data.get("urgency") or {}).get("reasons") or [],
    }
