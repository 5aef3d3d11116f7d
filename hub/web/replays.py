"""Sending many deliveries again: choose, see what it would take, begin, watch, cancel; and what was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from hub.db.connections import Connection
from hub.db.deliveries import State
from hub.db.mappings import FieldMapping, MappingVersion
from hub.db.people import Person, Role
from hub.delivery import replay, replay_cost, replays
from hub.delivery.replay_cost import Estimate
from hub.delivery.replays import Progress
from hub.delivery.selection import REPLAYABLE, Selection, Version
from hub.web.display import Words, count, day, zone
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("replays", __name__, url_prefix="/send-again")
_SHOWN = 25
_STATES = {one.value for one in REPLAYABLE}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person chose in the form, as it stands in it."""

    state: str = ""
    connection: str = ""
    mapping: str = ""
    since: str = ""
    until: str = ""
    version: str = "newest"

    @property
    def is_given(self) -> bool:
        """Whether anything narrows it."""
        return any((self.state, self.connection, self.mapping, self.since, self.until))

    def selection(self, timezone: str) -> Selection:
        """Give what is meant; raises ValueError for a time that is none."""
        return Selection(
            state=State(self.state) if self.state else None,
            connection_id=self.connection or None,
            mapping_id=self.mapping or None,
            since=_moment(self.since, timezone),
            until=_moment(self.until, timezone),
        )

    @property
    def wanted_version(self) -> Version:
        """Give the version; a number is one of the mapping."""
        if self.version.isdecimal():
            return int(self.version)
        return "kept" if self.version == "kept" else "newest"


def _wish(form: MultiDict[str, str]) -> Wish:
    state = form.get("state", "")
    return Wish(
        state=state if state in _STATES else "",
        connection=form.get("connection", ""),
        mapping=form.get("mapping", ""),
        since=form.get("since", ""),
        until=form.get("until", ""),
        version=form.get("version", "newest"),
    )


def _moment(text: str, timezone: str) -> datetime | None:
    """Read a time of the tenant's zone, as a browser's field gives it."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone(timezone))).astimezone(UTC)


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """Show the form with what the choice would take, and the latest replays."""
    me, wish = viewer(), _wish(request.args)
    found: Estimate | None = None
    problem: str | None = None
    if wish.is_given:
        try:
            found = replay_cost.estimate(
                the_hub(), me.tenant_id, wish.selection(me.timezone), wish.wanted_version
            )
        except replay.NotThere:
            abort(404)
        except replay.NoSuchVersion as err:
            problem = str(err)
        except (ValueError, OverflowError):
            problem = "This time cannot be understood."
    return _page(wish, found, problem)


@pages.post("")
@needs(Role.OPERATOR)
def begin() -> ResponseReturnValue:
    """Begin to send what was chosen again."""
    me, wish = viewer(), _wish(request.form)
    try:
        made = replay.begin(
            the_hub(),
            me.tenant_id,
            wish.selection(me.timezone),
            version=wish.wanted_version,
            actor=me.actor,
        )
    except replay.NotThere:
        abort(404)
    except (replay.TooWide, replay.NoSuchVersion) as err:
        return _page(wish, None, str(err)), 422
    except (ValueError, OverflowError):
        return _page(wish, None, "This time cannot be understood."), 422
    return redirect(url_for(".one", replay_id=made.id), 303)


@pages.get("/<replay_id>")
@needs(Role.VIEWER)
def one(replay_id: str) -> ResponseReturnValue:
    """Show how far a replay is."""
    me = viewer()
    try:
        found = replays.progress(the_hub(), me.tenant_id, replay_id)
    except replays.NoSuchReplay:
        abort(404)
    return render_template(
        "replays/one.html", found=found, about=_about([found])[found.id], who_asked=_people([found])
    )


@pages.post("/<replay_id>/cancel")
@needs(Role.OPERATOR)
def cancel(replay_id: str) -> ResponseReturnValue:
    """Put what still waits back to what it was."""
    me = viewer()
    try:
        replays.cancel(the_hub(), me.tenant_id, replay_id, actor=me.actor)
    except replays.NoSuchReplay:
        abort(404)
    except replays.HasEnded as err:
        flash(str(err), "error")
    else:
        flash("Cancelled. What was not sent yet is what it was before.")
    return redirect(url_for(".one", replay_id=replay_id), 303)


def _page(wish: Wish, found: Estimate | None, problem: str | None) -> str:
    hub, me = the_hub(), viewer()
    with hub.tenant(me.tenant_id) as session:
        accounts = session.scalars(
            select(Connection).order_by(Connection.label, Connection.id)
        ).all()
        mappings = session.scalars(select(FieldMapping).order_by(FieldMapping.name)).all()
        numbers = session.scalars(
            select(MappingVersion.number)
            .where(MappingVersion.mapping_id == wish.mapping)
            .order_by(MappingVersion.number.desc())
        ).all()
    latest = replays.latest(hub, me.tenant_id, size=_SHOWN)
    return render_template(
        "replays/list.html",
        wish=wish,
        found=found,
        problem=problem,
        accounts=accounts,
        mappings=mappings,
        numbers=numbers,
        latest=latest,
        about=_about(latest),
        who_asked=_people(latest),
    )


def _about(found: Sequence[Progress]) -> dict[str, str]:
    """Say in words what each replay was asked for."""
    accounts = {each.selection.connection_id for each in found}
    mappings = {each.selection.mapping_id for each in found}
    with the_hub().tenant(viewer().tenant_id) as session:
        labels = session.execute(
            select(Connection.id, Connection.label).where(Connection.id.in_(accounts))
        ).all()
        names = session.execute(
            select(FieldMapping.id, FieldMapping.name).where(FieldMapping.id.in_(mappings))
        ).all()
    called = {row[0]: row[1] for row in (*labels, *names)}
    return {each.id: _in_words(each.selection, called) for each in found}


def _in_words(chosen: Selection, called: Mapping[str, str]) -> str:
    parts = [Words.state[chosen.state.value] if chosen.state else "Everything"]
    if chosen.delivery_ids:
        parts = [count(len(chosen.delivery_ids), "chosen delivery", "chosen deliveries")]
    if chosen.event_id:
        parts.append("of one voicemail")
    if chosen.connection_id:
        parts.append(f"for {called.get(chosen.connection_id, 'an account')}")
    if chosen.mapping_id:
        parts.append(f"of {called.get(chosen.mapping_id, 'a mapping')}")
    if chosen.since:
        parts.append(f"from {day(chosen.since)}")
    if chosen.until:
        parts.append(f"until {day(chosen.until)}")
    return " ".join(parts)


def _people(found: Sequence[Progress]) -> dict[str, str]:
    """Give the names of the people and programs who asked, by actor."""
    actors = {each.actor for each in found}
    ids = {actor.removeprefix("person:") for actor in actors if actor.startswith("person:")}
    with the_hub().everyone("people belong to no tenant alone; these asked in this one") as session:
        known = session.execute(select(Person.id, Person.name).where(Person.id.in_(ids))).all()
    named = {f"person:{person_id}": name for person_id, name in known}
    others = {"command": "The command line"}
    return {actor: named.get(actor) or others.get(actor) or "An API key" for actor in actors}
