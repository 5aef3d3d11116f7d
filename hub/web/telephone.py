"""What an admin sets for the telephone: numbers, how calls are held, and what callers hear first."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from hub.db.people import Role
from hub.voice import numbers, retention, trial
from hub.voice.numbers import Taken
from hub.voice.settings import (
    DAYS,
    Outdated,
    VoiceSettings,
    last_change,
    save,
    voice_settings,
)
from hub.web import reading
from hub.web import telephone_words as say
from hub.web.connection_settings import DAYS as DAY_NAMES
from hub.web.telephone_form import Merged, Sheet, checked, merge, shown, typed
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("telephone", __name__, url_prefix="/settings/telephone")
_E164: Final = re.compile(r"\+[1-9]\d{3,14}\Z", re.ASCII)
_FORMAT: Final = re.compile(r"[\s().\-/\u00a0]")
_LONGEST_LABEL: Final = 200
_PREVIEW_S: Final = 6.0
_BLANK: Final = {
    "tag": "",
    "is_spoken": True,
    "greeting": "",
    "provider": "",
    "voice": "",
    "emergency": "",
}


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show numbers and all that is set."""
    kept = voice_settings(the_hub(), viewer().tenant_id)
    return _page(shown(kept.settings, kept.revision))


def _page(sheet: Sheet, **more: Any) -> str:
    me = viewer()
    return render_template(
        "settings/telephone.html",
        sheet=sheet,
        numbers=numbers.numbers(the_hub(), me.tenant_id),
        say=say,
        days={day: DAY_NAMES[day] for day in DAYS},
        languages=_suggested(),
        **more,
    )


def _suggested() -> tuple[str, ...]:
    return ("en-US", "en-GB", "es-US", "de-DE", "fr-FR", "it-IT", "pt-BR", "nl-NL", "pl-PL", "ar")


@pages.post("")
@needs(Role.ADMIN)
def put() -> ResponseReturnValue:
    """Save, add a row for a language, or show what callers would hear; what is wrong is said in place."""
    me = viewer()
    kept = voice_settings(the_hub(), me.tenant_id)
    sheet = typed(request.form, kept.settings)
    wanted = request.form.get("do", "save")
    if wanted == "language":
        sheet.rows.append(dict(_BLANK))
        return _page(sheet, is_unsaved=True)
    settings = checked(sheet)
    if settings is None:
        return _page(sheet), 422
    if wanted == "preview":
        return _page(sheet, is_unsaved=True, **_heard(settings))
    if sheet.revision != kept.revision:
        return _saved_after(sheet, kept.settings, kept.revision)
    return _saved(sheet, settings, kept.settings, sheet.revision)


def _saved_after(sheet: Sheet, theirs: VoiceSettings, revision: str) -> ResponseReturnValue:
    """Save beside what somebody else has saved meanwhile, or show where both have changed the same."""
    now_is = theirs.model_dump(mode="json")
    both = merge(sheet.document, now_is, sheet.base)
    fresh = Sheet(both.document, shown(theirs, "").rows, shown(theirs, "").base, revision)
    if not both.clashes:
        fresh.rows = sheet.rows
        settings = VoiceSettings.model_validate(both.document)
        told = [say.MEMBERS[name] for name in both.theirs]
        return _saved(fresh, settings, theirs, revision, beside=told)
    fresh.rows = _rows_of(both, sheet)
    return _page(fresh, clashes=both.clashes, is_unsaved=True, **changed_by()), 409


def changed_by() -> dict[str, Any]:
    """Name who changed the settings last, and when, for who comes with an older form."""
    with the_hub().tenant(viewer().tenant_id) as session:
        row = last_change(session)
        if row is None:
            return {"who_changed": "Somebody else", "changed_at": None}
        return {"who_changed": reading.called(session, row.actor), "changed_at": row.at}


def _rows_of(both: Merged, sheet: Sheet) -> list[dict[str, Any]]:
    try:
        return shown(VoiceSettings.model_validate(both.document), "").rows
    except ValueError:  # the parts of both do not go together; the form says where when it is sent
        return sheet.rows


def _saved(
    sheet: Sheet,
    settings: VoiceSettings,
    before: VoiceSettings,
    revision: str,
    *,
    beside: list[str] | None = None,
) -> ResponseReturnValue:
    me = viewer()
    doomed = _doomed(settings, before)
    if doomed and request.form.get("sure") != str(settings.retention_days):
        return _page(sheet, doomed=doomed, is_unsaved=True), 422
    who = changed_by()["who_changed"] if beside else ""
    try:
        save(the_hub(), me.tenant_id, settings, revision=revision, actor=me.actor)
    except Outdated:
        kept = voice_settings(the_hub(), me.tenant_id)
        return _saved_after(sheet, kept.settings, kept.revision)
    flash("Saved. It holds for calls from now on.")
    if beside:
        flash(f"{who} had changed meanwhile, and it stays: {', '.join(beside)}.")
    return redirect(url_for(".show"), 303)


def _doomed(settings: VoiceSettings, before: VoiceSettings) -> retention.Removed | None:
    """Count what would be removed at once because it shall be kept for fewer days than before."""
    days = settings.retention_days
    if days is None or (before.retention_days is not None and days >= before.retention_days):
        return None
    found = retention.over(the_hub(), viewer().tenant_id, days=days)
    return found if found != retention.Removed() else None


@pages.post("/heard")
@needs(Role.ADMIN)
def heard() -> ResponseReturnValue:
    """Give the part of the page that says what callers hear first, for the form as it stands."""
    kept = voice_settings(the_hub(), viewer().tenant_id)
    sheet = typed(request.form, kept.settings)
    settings = checked(sheet)
    if settings is None:
        return render_template("settings/telephone_heard.html", heard=None, is_wrong=True)
    return render_template("settings/telephone_heard.html", **_heard(settings))


def _heard(settings: VoiceSettings) -> dict[str, Any]:
    profile = trial.profile_for_trial(
        the_hub(), viewer().tenant_id, settings.model_dump(mode="json")
    )
    try:
        found = trial.ask({"do": "opening", "profile": profile}, within_s=_PREVIEW_S)
    except trial.NoAnswer:
        return {"heard": None, "is_away": True}
    return {"heard": found["heard"]}


@pages.post("/numbers")
@needs(Role.ADMIN)
def add_number() -> ResponseReturnValue:
    """Take calls to a number, or give it another label."""
    me = viewer()
    number = _FORMAT.sub("", request.form.get("number", ""))
    label = request.form.get("label", "").strip()
    problem = ""
    if not _E164.match(number):
        problem = "Write the number with + and the country's code, such as +14155550100."
    elif len(label) > _LONGEST_LABEL or not label.isprintable():
        problem = "A label has at most 200 characters, on one line."
    else:
        try:
            numbers.put(the_hub(), me.tenant_id, number, label=label or None, actor=me.actor)
        except Taken:
            problem = "This number is taken. Whoever runs Afterbeep can say why."
    if problem:
        kept = voice_settings(the_hub(), me.tenant_id)
        page = _page(
            shown(kept.settings, kept.revision),
            number=request.form.get("number", ""),
            label=label,
            number_problem=problem,
        )
        return page, 422
    flash(f"Saved: calls to {number} are yours.")
    return redirect(url_for(".show"), 303)


@pages.post("/numbers/remove")
@needs(Role.ADMIN)
def remove_number() -> ResponseReturnValue:
    """Take no more calls to a number."""
    me = viewer()
    row = numbers.remove(the_hub(), me.tenant_id, request.form.get("number", ""), actor=me.actor)
    if row is None:
        abort(404)
    flash(f"Calls to {row.number} are answered no more.")
    return redirect(url_for(".show"), 303)
