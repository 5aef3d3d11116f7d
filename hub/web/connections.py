"""Connections: the list, a page for each account, connecting and reconnecting, and an operator's hand on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import func, select

from connectors.errors import ConnectorError
from connectors.record import KeyAuth
from connectors.registry import CONNECTORS, connector
from hub.db.connections import Connection
from hub.db.deliveries import Delivery, State
from hub.db.mappings import FieldMapping
from hub.db.people import Role
from hub.delivery import describe, steer, subscriptions
from hub.oauth import flow, keys
from hub.oauth.client import address_example
from hub.settings import vendor_settings
from hub.web import accounts, vendor_steps
from hub.web.viewer import local_path, needs, the_hub, viewer

pages = Blueprint("connections", __name__, url_prefix="/connections")
_LONGEST_LABEL = 80


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor to which an account may be connected, and what the operator must still set."""

    name: str
    label: str
    login_url: str
    hosts: tuple[str, ...]
    is_set_up: bool
    keys: KeyAuth | None = None
    #: What an account's own address looks like, where accounts share none.
    address_example: str | None = None
    scopes: tuple[str, ...] = ()
    #: Where a person finds what the app's registration asks for: label to sentence.
    asks: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Markup, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try to connect that was refused: the vendor, what was typed, and why."""

    connector: str
    label: str
    login_url: str
    problem: str


@pages.get("")
@needs(Role.VIEWER)
def show() -> ResponseReturnValue:
    """List the accounts."""
    found = accounts.listed(the_hub(), viewer().tenant_id)
    return render_template("connections/list.html", accounts=found)


@pages.get("/<connection_id>")
@needs(Role.VIEWER)
def one(connection_id: str) -> ResponseReturnValue:
    """Show one account: its health, what it was granted, its budget, and what can be done about it."""
    row, me = _find(connection_id), viewer()
    return render_template(
        "connections/one.html", detail=accounts.detail(the_hub(), row, me.timezone), row=row
    )


@pages.get("/new")
@needs(Role.ADMIN)
def new() -> ResponseReturnValue:
    """Show the vendors that an account can be connected to."""
    return _choose()


def _choose(refused: Attempt | None = None) -> str:
    base_url = the_hub().settings.base_url
    return render_template(
        "connections/new.html",
        vendors=_vendors(base_url),
        refused=refused,
        redirect_url=f"{base_url}{url_for('.come_back')}",
    )


def _vendors(base_url: str) -> list[Vendor]:
    return [_vendor(name, label, base_url) for name, (label, _) in CONNECTORS.items()]


def _vendor(name: str, label: str, base_url: str) -> Vendor:
    vendor, settings = connector(name), vendor_settings(name)
    auth = vendor.oauth
    is_by_keys = isinstance(auth, KeyAuth)
    return Vendor(
        name,
        label,
        settings.login_url or auth.login_url,
        vendor.hosts,
        is_set_up=is_by_keys or settings.is_complete,
        keys=auth if isinstance(auth, KeyAuth) else None,
        address_example=address_example(name),
        scopes=() if isinstance(auth, KeyAuth) else auth.scopes,
        asks={} if is_by_keys else auth.asks,
        steps=vendor_steps.steps(name, base_url),
    )


@pages.post("/new/<connector_name>")
@needs(Role.ADMIN)
def begin(connector_name: str) -> ResponseReturnValue:
    """Begin to connect an account: on to the vendor's page."""
    if connector_name not in CONNECTORS:
        abort(404)
    label = request.form.get("label", "").strip()[:_LONGEST_LABEL]
    login_url = request.form.get("login_url", "").strip() or None
    if isinstance(connector(connector_name).oauth, KeyAuth):
        return _take_keys(connector_name, label=label, login_url=login_url)
    return _leave_for(connector_name, label=label, login_url=login_url)


@pages.post("/<connection_id>/reconnect")
@needs(Role.ADMIN)
def reconnect(connection_id: str) -> ResponseReturnValue:
    """Authorise a connection anew; it keeps its id, mappings and history."""
    row = _find(connection_id)
    if isinstance(connector(row.connector).oauth, KeyAuth):
        return redirect(url_for(".new_keys", connection_id=connection_id), 303)
    return _leave_for(row.connector, connection_id=connection_id)


@pages.get("/<connection_id>/keys")
@needs(Role.ADMIN)
def new_keys(connection_id: str) -> ResponseReturnValue:
    """Ask for the new keys of an account."""
    row = _find(connection_id)
    auth = connector(row.connector).oauth
    if not isinstance(auth, KeyAuth):
        abort(404)
    return render_template("connections/keys.html", row=row, auth=auth)


@pages.post("/<connection_id>/keys")
@needs(Role.ADMIN)
def replace_keys(connection_id: str) -> ResponseReturnValue:
    """Take the new keys of an account; it keeps its id, mappings and history."""
    row = _find(connection_id)
    if not isinstance(connector(row.connector).oauth, KeyAuth):
        abort(404)
    return _take_keys(row.connector, connection_id=connection_id)


def _take_keys(
    connector_name: str,
    *,
    label: str = "",
    login_url: str | None = None,
    connection_id: str | None = None,
) -> ResponseReturnValue:
    me = viewer()
    try:
        row = keys.connect(
            the_hub(),
            me.tenant_id,
            me.person_id,
            connector_name,
            request.form,
            label=label,
            login_url=login_url,
            connection_id=connection_id,
        )
    except flow.ConnectProblem as err:
        if connection_id is None:
            return _choose(Attempt(connector_name, label, login_url or "", str(err))), 422
        flash(str(err), "error")
        return redirect(url_for(".new_keys", connection_id=connection_id), 303)
    flash(f"{row.label} is connected.")
    _prepare(row.tenant_id, row.id)
    return _to(row.id)


def _leave_for(
    connector_name: str,
    *,
    label: str = "",
    login_url: str | None = None,
    connection_id: str | None = None,
) -> ResponseReturnValue:
    """Show where the person is taken, and take them there.

    Not by a redirect: browsers hold the answers of a form to ``form-action``, which
    allows our own address only, and rightly so. A page of its own leads on.
    """
    me = viewer()
    try:
        address = flow.begin(
            the_hub(),
            me.tenant_id,
            me.person_id,
            connector_name,
            label=label,
            login_url=login_url,
            connection_id=connection_id,
        )
    except flow.ConnectProblem as err:
        if connection_id is None:
            return _choose(Attempt(connector_name, label, login_url or "", str(err))), 422
        flash(str(err), "error")
        return redirect(url_for(".show"), 303)
    page = render_template(
        "connections/going.html",
        address=address,
        host=urlsplit(address).netloc,
        label=CONNECTORS[connector_name][0],
    )
    answer = make_response(page)
    answer.headers["Refresh"] = f"0; url={address}"
    return answer


@pages.get("/callback")
@needs(Role.ADMIN)
def come_back() -> ResponseReturnValue:
    """Take the person back from the vendor's page, and set the account up."""
    me, hub = viewer(), the_hub()
    try:
        row = flow.finish(
            hub,
            me.person_id,
            request.args.get("state", ""),
            code=request.args.get("code"),
            error=request.args.get("error"),
        )
    except flow.ConnectProblem as err:
        flash(str(err), "error")
        return redirect(url_for(".show"), 303)
    flash(f"{row.label} is connected.")
    _prepare(row.tenant_id, row.id)
    return _to(row.id)


@pages.post("/<connection_id>/check")
@needs(Role.ADMIN)
def check(connection_id: str) -> ResponseReturnValue:
    """Set up in the account what is missing, and say what a person must still do there."""
    row = _find(connection_id)
    if _prepare(row.tenant_id, row.id):
        flash("The account has everything that is needed.")
    return _to(connection_id)


def _prepare(tenant_id: str, connection_id: str) -> bool:
    """Prepare an account; tells whether nothing is left to do, and says what went wrong."""
    try:
        todos = describe.prepare(the_hub(), tenant_id, connection_id, actor=viewer().actor)
    except ConnectorError as err:
        flash(f"The account could not be checked: {err.detail}", "error")
        return False
    if todos:
        flash("Somebody must still do something in the account; it stands on its page.", "error")
    return not todos


@pages.post("/<connection_id>/pause")
@needs(Role.OPERATOR)
def pause(connection_id: str) -> ResponseReturnValue:
    """Stop sending; rows wait."""
    row, me = _find(connection_id), viewer()
    steer.pause(the_hub(), me.tenant_id, connection_id, actor=me.actor)
    flash(f"{row.label} is paused. What is due waits until somebody resumes it.")
    return _back(connection_id)


@pages.post("/<connection_id>/resume")
@needs(Role.OPERATOR)
def resume(connection_id: str) -> ResponseReturnValue:
    """Send again, at once."""
    row, me = _find(connection_id), viewer()
    steer.resume(the_hub(), me.tenant_id, connection_id, actor=me.actor)
    flash(f"{row.label} is sending again.")
    return _back(connection_id)


@pages.get("/<connection_id>/disconnect")
@needs(Role.ADMIN)
def ask_disconnect(connection_id: str) -> ResponseReturnValue:
    """Say what disconnecting leads to, before it is done."""
    row = _find(connection_id)
    with the_hub().tenant(viewer().tenant_id) as session:
        waiting = session.scalar(
            select(func.count(Delivery.id)).where(
                Delivery.connection_id == connection_id,
                Delivery.state.in_((State.WAITING.value, State.HELD.value, State.SENDING.value)),
            )
        )
        mappings = session.scalars(
            select(FieldMapping.name)
            .where(
                FieldMapping.connection_id == connection_id,
                FieldMapping.is_active,
                FieldMapping.archived_at.is_(None),
            )
            .order_by(FieldMapping.name)
        ).all()
    return render_template(
        "connections/disconnect.html", row=row, waiting=waiting or 0, mappings=mappings
    )


@pages.post("/<connection_id>/disconnect")
@needs(Role.ADMIN)
def disconnect(connection_id: str) -> ResponseReturnValue:
    """Give the authorisation back and forget the tokens."""
    row, me = _find(connection_id), viewer()
    subscriptions.end(the_hub(), me.tenant_id, connection_id)
    is_revoked = flow.disconnect(the_hub(), me.tenant_id, connection_id, actor=me.actor)
    label = CONNECTORS[row.connector][0]
    flash(
        f"{row.label} is disconnected, and {label} has confirmed it."
        if is_revoked
        else f"{row.label} is disconnected here. {label} did not confirm it: "
        "remove Afterbeep from the account's connected apps too."
    )
    return _to(connection_id)


def _find(connection_id: str) -> Connection:
    with the_hub().tenant(viewer().tenant_id) as session:
        row = session.scalars(
            select(Connection).where(Connection.id == connection_id)
        ).one_or_none()
    if row is None or row.connector not in CONNECTORS:
        abort(404)
    return row


def _back(connection_id: str) -> ResponseReturnValue:
    """Lead back to where the button was."""
    if back := request.form.get("back"):
        return redirect(local_path(back, url_for("web.connections.show")), 303)
    return _to(connection_id)


def _to(connection_id: str) -> ResponseReturnValue:
    return redirect(url_for(".one", connection_id=connection_id), 303)
