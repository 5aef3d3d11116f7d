"""A call to try: somebody types what a caller says, and sees what is answered and what event would come of it.

Nothing is kept: the caller's words travel in the form, and each answer plays the call from its beginning.
"""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from hub.db.people import Role
from hub.voice import trial
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("trial_call", __name__, url_prefix="/settings/telephone/try")
_MOST: Final = 40
_LONGEST: Final = 1_000
_TALK_S, _EVENT_S = 8.0, 30.0
_NUMBER: Final = re.compile(r"\+[1-9]\d{3,14}\Z", re.ASCII)


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Begin a call."""
    return _page([], caller="")


@pages.post("")
@needs(Role.ADMIN)
def go_on() -> ResponseReturnValue:
    """Say something, hang up, or begin again."""
    wanted = request.form.get("do", "say")
    caller = re.sub(r"[\s().\-/]", "", request.form.get("caller", ""))
    if wanted == "again":
        return _page([], caller=caller)
    said = [one.strip()[:_LONGEST] for one in request.form.getlist("said") if one.strip()][:_MOST]
    says = request.form.get("says", "").strip()[:_LONGEST]
    if caller and not _NUMBER.match(caller):
        problem = "Write it with + and the country's code, such as +14155550132, or leave it empty."
        return _page(said, caller=caller, says=says, caller_problem=problem), 422
    if wanted == "say" and not says:
        return _page(said, caller=caller, problem="Write what the caller says."), 422
    if says:
        said.append(says)
    return _page(said[:_MOST], caller=caller, is_over=wanted == "hang_up")


def _page(said: list[str], *, caller: str, is_over: bool = False, **more: Any) -> str:
    me = viewer()
    question = {
        "do": "call",
        "profile": trial.profile_for_trial(the_hub(), me.tenant_id),
        "said": said,
        "caller_id": caller if _NUMBER.match(caller) else None,
        "is_over": is_over,
    }
    call = None
    try:
        # Its end reads the models that make an event, once a process.
        call = trial.ask(question, within_s=_EVENT_S if said else _TALK_S)
    except trial.NoAnswer:
        more["is_away"] = True
    return render_template(
        "settings/trial_call.html",
        said=said,
        caller=caller,
        call=call,
        is_over=bool(call and (call["is_over"] or is_over)),
        longest=_LONGEST,
        **more,
    )
