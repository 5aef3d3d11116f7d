"""Notifications: who is told how connections are, what was told, and whether it arrived."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.alerts import endpoints, outbox, preferences, words
from hub.db import audit
from hub.db.alerts import Alert, AlertSending, WebhookEndpoint
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.people import Role
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant
from hub.web.viewer import needs, the_hub, viewer

pages = Blueprint("notifications", __name__, url_prefix="/notifications")
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class News:
    """An alert as a list shows it: what it is about, and how its sendings stand."""

    row: Alert
    about: str
    sendings: tuple[AlertSending, ...]


#: What of a webhook's log a person may look at: state to word.
_STATES = {"": "All", "failed": "Failed", "waiting": "Waiting", "sent": "Arrived"}


@dataclass(frozen=True, slots=True)
class Tried:
    """One try of a sending, and the words of what came of it."""

    at: datetime
    words: str
    ms: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a webhook's log with its tries, the latest first, and what is sent, as JSON."""

    sending: AlertSending
    alert: Alert
    tries: tuple[Tried, ...]
    payload: str

    @property
    def is_under_way(self) -> bool:
        """Whether it is being sent this moment."""
        return self.sending.state == "waiting" and self.sending.attempts > len(self.tries)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person typed about a webhook, so that a refused form loses nothing."""

    url: str = ""
    note: str = ""
    types: tuple[str, ...] = ()
    problem: str = ""
    member: str = ""

    @classmethod
    def of_form(cls, problem: str = "", member: str = "") -> Typed:
        """Read the form. All types ticked is the same as none: everything."""
        chosen = tuple(one for one in request.form.getlist("type") if one in words.CHOOSABLE)
        is_all = set(chosen) == set(words.CHOOSABLE)
        return cls(
            url=request.form.get("url", "").strip(),
            note=request.form.get("note", ""),
            types=() if is_all else chosen,
            problem=problem,
            member=member,
        )


@pages.get("")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """Show who is told, and what was told lately."""
    return _overview()


def _overview(typed: str | None = None, problem: str = "") -> str:
    hub, tenant_id = the_hub(), viewer().tenant_id
    with hub.tenant(tenant_id) as session:
        rows = endpoints.every(session)
        chosen = _preferences(session)
        admins = preferences.addresses(session, tenant_id, preferences.Preferences())
        news = _news(session)
    return render_template(
        "notifications/list.html",
        endpoints=rows,
        hosts={row.id: endpoints.host(row.url) for row in rows},
        is_full=len(rows) >= endpoints.PER_TENANT,
        sends_mail=hub.settings.sends_mail,
        chosen=chosen,
        admins=admins,
        typed=typed,
        problem=problem,
        news=news,
    )


def _preferences(session: TenantSession) -> preferences.Preferences:
    settings = session.scalars(select(Tenant.settings).where(Tenant.id == session.tenant_id)).one()
    return preferences.Preferences.of(settings)


def _news(session: TenantSession) -> list[News]:
    alerts = session.scalars(select(Alert).order_by(Alert.id.desc()).limit(_SHOWN)).all()
    sendings: dict[str, list[AlertSending]] = {}
    for row in session.scalars(
        select(AlertSending)
        .where(AlertSending.alert_id.in_([one.id for one in alerts]))
        .order_by(AlertSending.id)
    ):
        sendings.setdefault(row.alert_id, []).append(row)
    labels = {row.id: row.label for row in session.scalars(select(Connection))}
    return [
        News(one, labels.get(one.connection_id or "", ""), tuple(sendings.get(one.id, ())))
        for one in alerts
    ]


@pages.get("/new")
@needs(Role.ADMIN)
def new() -> ResponseReturnValue:
    """Show the form for a webhook."""
    return render_template("notifications/new.html", typed=Typed(), types=words.CHOOSABLE)


@pages.post("/new")
@needs(Role.ADMIN)
def add() -> ResponseReturnValue:
    """Add a webhook, and show its secret this once."""
    me, typed = viewer(), Typed.of_form()
    try:
        shown = endpoints.create(
            the_hub(),
            me.tenant_id,
            url=typed.url,
            note=typed.note,
            types=typed.types,
            actor=me.actor,
        )
    except endpoints.WrongEndpoint as err:
        again = Typed.of_form(str(err), err.member)
        return render_template("notifications/new.html", typed=again, types=words.CHOOSABLE), 422
    return _secret(shown, is_new=True)


def _secret(shown: endpoints.Shown, *, is_new: bool) -> str:
    """Show a secret: the page itself, since a message would carry it through a cookie."""
    return render_template(
        "notifications/secret.html",
        row=shown.endpoint,
        host=endpoints.host(shown.endpoint.url),
        secret=shown.secret,
        is_new=is_new,
    )


@pages.get("/webhooks/<webhook_id>")
@needs(Role.ADMIN)
def one(webhook_id: str) -> ResponseReturnValue:
    """Show a webhook and its log."""
    row = _find(webhook_id)
    return _one(row, Typed(row.url, row.note, tuple(row.types)))


def _one(row: WebhookEndpoint, typed: Typed) -> str:
    hub, state = the_hub(), request.args.get("state", "")
    state = state if state in _STATES else ""
    wanted = (
        select(AlertSending, Alert, Connection)
        .join(Alert, Alert.id == AlertSending.alert_id)
        .outerjoin(Connection, Connection.id == Alert.connection_id)
        .where(AlertSending.endpoint_id == row.id)
        .order_by(AlertSending.id.desc())
        .limit(_SHOWN)
    )
    with hub.tenant(row.tenant_id) as session:
        slug = session.scalars(select(Tenant.slug).where(Tenant.id == row.tenant_id)).one()
        found = session.execute(
            wanted.where(AlertSending.state == state) if state else wanted
        ).all()
        session.expunge_all()
    return render_template(
        "notifications/one.html",
        row=row,
        host=endpoints.host(row.url),
        has_old_secret=row.previous_until is not None and row.previous_until > now(),
        log=[_line(sending, alert, about, slug) for sending, alert, about in found],
        state=state,
        states=_STATES,
        most=_SHOWN,
        typed=typed,
        types=words.CHOOSABLE,
    )


def _line(sending: AlertSending, alert: Alert, about: Connection | None, slug: str) -> Line:
    tries = [
        Tried(
            datetime.fromisoformat(one["at"]),
            one["problem"] or (f"It answered {one['status']}." if one["status"] else "Arrived."),
            one["ms"],
        )
        for one in reversed(sending.tries)
    ]
    payload = words.payload(
        alert,
        outbox.about(about),
        tenant=slug,
        connector=about.connector if about else None,
        base_url=the_hub().settings.base_url,
    )
    return Line(sending, alert, tuple(tries), json.dumps(payload, ensure_ascii=False, indent=2))


@pages.post("/webhooks/<webhook_id>/again")
@needs(Role.ADMIN)
def send_again(webhook_id: str) -> ResponseReturnValue:
    """Send a line of the log again, now."""
    me, row = viewer(), _find(webhook_id)
    try:
        endpoints.send_again(
            the_hub(), me.tenant_id, row.id, request.form.get("sending", ""), actor=me.actor
        )
    except endpoints.UnknownEndpoint:
        abort(404)
    except endpoints.WrongEndpoint as err:
        flash(str(err), "error")
    else:
        flash("It is on its way again. What comes of it stands in the log below.")
    return _to(webhook_id)


@pages.post("/webhooks/<webhook_id>")
@needs(Role.ADMIN)
def change(webhook_id: str) -> ResponseReturnValue:
    """Keep what was typed about a webhook."""
    me, row, typed = viewer(), _find(webhook_id), Typed.of_form()
    try:
        endpoints.change(
            the_hub(),
            me.tenant_id,
            row.id,
            actor=me.actor,
            url=typed.url,
            note=typed.note,
            types=typed.types,
        )
    except endpoints.WrongEndpoint as err:
        return _one(row, Typed.of_form(str(err), err.member)), 422
    flash("The webhook is saved.")
    return _to(webhook_id)


@pages.post("/webhooks/<webhook_id>/switch")
@needs(Role.ADMIN)
def switch(webhook_id: str) -> ResponseReturnValue:
    """Turn a webhook off, or on again without its past failures."""
    me, row = viewer(), _find(webhook_id)
    is_on = row.disabled_at is not None
    endpoints.change(the_hub(), me.tenant_id, row.id, actor=me.actor, is_enabled=is_on)
    flash("It is told again." if is_on else "It is told nothing more until it is turned on.")
    return _to(webhook_id)


@pages.post("/webhooks/<webhook_id>/test")
@needs(Role.ADMIN)
def test(webhook_id: str) -> ResponseReturnValue:
    """Send a webhook a test."""
    me, row = viewer(), _find(webhook_id)
    try:
        endpoints.test(the_hub(), me.tenant_id, row.id, actor=me.actor)
    except endpoints.WrongEndpoint as err:
        flash(str(err), "error")
    else:
        flash("A test is on its way. What comes of it stands in the log below.")
    return _to(webhook_id)


@pages.post("/webhooks/<webhook_id>/rotate")
@needs(Role.ADMIN)
def rotate(webhook_id: str) -> ResponseReturnValue:
    """Give a webhook a new secret, and show it this once."""
    me, row = viewer(), _find(webhook_id)
    shown = endpoints.rotate(the_hub(), me.tenant_id, row.id, actor=me.actor)
    return _secret(shown, is_new=False)


@pages.get("/webhooks/<webhook_id>/remove")
@needs(Role.ADMIN)
def ask_remove(webhook_id: str) -> ResponseReturnValue:
    """Say what removing leads to, before it is done."""
    row = _find(webhook_id)
    return render_template("notifications/remove.html", row=row, host=endpoints.host(row.url))


@pages.post("/webhooks/<webhook_id>/remove")
@needs(Role.ADMIN)
def remove(webhook_id: str) -> ResponseReturnValue:
    """Remove a webhook with its log."""
    me, row = viewer(), _find(webhook_id)
    endpoints.remove(the_hub(), me.tenant_id, row.id, actor=me.actor)
    flash(f"The webhook to {endpoints.host(row.url)} is removed.")
    return redirect(url_for(".show"), 303)


@pages.post("/mail")
@needs(Role.ADMIN)
def mail() -> ResponseReturnValue:
    """Keep who gets mails."""
    me, who = viewer(), request.form.get("who", "")
    typed = request.form.get("addresses", "")
    chosen: tuple[str, ...] | None = None
    if who in {"chosen", "nobody"}:
        try:
            chosen = preferences.plain_recipients(typed.splitlines() if who == "chosen" else ())
        except preferences.WrongRecipients as err:
            return _overview(typed, str(err)), 422
        if who == "chosen" and not chosen:
            return _overview(typed, "Write at least one address, one on each line."), 422
    with the_hub().tenant(me.tenant_id) as session:
        preferences.set_recipients(session, chosen, actor=me.actor)
    flash("Who gets mails is saved.")
    return redirect(url_for(".show"), 303)


@pages.post("/mail/test")
@needs(Role.ADMIN)
def test_mail() -> ResponseReturnValue:
    """Send the person who looks a test mail."""
    hub, me = the_hub(), viewer()
    if not hub.settings.sends_mail:
        flash("Mail is not set up.", "error")
        return redirect(url_for(".show"), 303)
    with hub.tenant(me.tenant_id) as session:
        outbox.write_test_mail(session, me.tenant_id, now(), addresses=[me.email])
        audit.record(session, actor=me.actor, action="mail.tested", target=me.person_id)
    flash(f"A test mail to {me.email} is on its way.")
    return redirect(url_for(".show"), 303)


def _find(webhook_id: str) -> WebhookEndpoint:
    with the_hub().tenant(viewer().tenant_id) as session:
        try:
            return endpoints.one(session, webhook_id)
        except endpoints.UnknownEndpoint:
            abort(404)


def _to(webhook_id: str) -> ResponseReturnValue:
    return redirect(url_for(".one", webhook_id=webhook_id), 303)
