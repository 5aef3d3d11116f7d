"""Webhooks and alerts: who is told how connections are, what was told, and whether it arrived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from flask import Response
from pydantic import Field, StringConstraints
from sqlalchemy import Select, select

from hub.alerts import endpoints
from hub.alerts.outside import LONGEST_URL
from hub.alerts.words import CHOOSABLE
from hub.api import auth, edge, paging
from hub.api.answers import Answer
from hub.api.deliveries import Body
from hub.api.paging import Address, Cursor, Paged, Plain
from hub.api.problems import Fault, Refused
from hub.db.alerts import Alert, AlertSending, AlertType, SendingState, WebhookEndpoint
from hub.db.keys import Scope

tag = edge.tag(
    "webhooks",
    "Alerts about connections, and the addresses that are told of them (Standard Webhooks).",
)

ID_PATTERN: Final = r"^whk_[0-9a-z]{26}$"

Url = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_URL)]
Note = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=endpoints.LONGEST_NOTE)
]


class WebhookAddress(Address):
    """The path of one webhook."""

    id: str = Field(
        pattern=ID_PATTERN, json_schema_extra={"example": "whk_01jd3f6g7h8j9kamnbpcqdrset"}
    )


class NewWebhook(Body):
    """An address to tell."""

    url: Url = Field(
        description="https, and in no private network", examples=["https://ops.harbor.example/beep"]
    )
    note: Note = Field("", description="What it is for, for other people")
    types: list[AlertType] = Field(
        default_factory=list, max_length=len(CHOOSABLE), description="What it is told; empty: all"
    )


class ChangedWebhook(NewWebhook):
    """A webhook as it shall be; turning one on again forgets its past failures."""

    is_enabled: bool = True


class AlertFilter(Paged):
    """Which alerts to list."""

    connection_id: Plain | None = None
    type: AlertType | None = None


class WebhookLine(Answer):
    """An address that is told. Its secrets are not shown."""

    id: str
    url: str
    note: str
    types: list[str] = Field(description="What it is told; empty: all")
    is_enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None = Field(description="Since when every try has failed")
    last_success_at: datetime | None
    previous_secret_until: datetime | None = Field(
        description="Until when the secret before signs too"
    )
    created_at: datetime


class WebhookList(Answer):
    """All webhooks, oldest first."""

    items: Sequence[WebhookLine]


class WebhookSecret(Answer):
    """A webhook and its new secret, which is shown only now."""

    webhook: WebhookLine
    secret: str = Field(examples=["whsec_bWFkZSB1cCBmb3IgdGhlIGRvY3VtZW50"])


class TryLine(Answer):
    """One try to tell."""

    at: datetime
    ms: float
    status: int | None
    problem: str | None


class SendingLine(Answer):
    """An alert on its way to a webhook."""

    id: str
    alert_id: str
    type: str
    state: SendingState
    due_at: datetime | None = Field(description="When it is tried next")
    tries: list[TryLine]
    created_at: datetime


class SendingPage(Answer):
    """A page of a webhook's log, newest first."""

    items: Sequence[SendingLine]
    next_cursor: str | None


class AlertLine(Answer):
    """Something that the tenant was told."""

    id: str
    type: str
    connection_id: str | None
    reason: str
    since: datetime
    facts: dict[str, Any]
    created_at: datetime


class AlertPage(Answer):
    """A page of alerts, newest first."""

    items: Sequence[AlertLine]
    next_cursor: str | None


@tag.get(
    "/v1/alerts",
    summary="List alerts, newest first",
    security=edge.secured(Scope.CONNECTIONS_READ),
    responses=edge.says({200: (AlertPage, "A page of alerts")}, 400),
)
@auth.needs(Scope.CONNECTIONS_READ)
def list_alerts(query: AlertFilter) -> Response:
    """List alerts of the last 90 days."""
    after = paging.read(query.cursor)
    wanted = select(Alert)
    if query.connection_id is not None:
        wanted = wanted.where(Alert.connection_id == query.connection_id)
    if query.type is not None:
        wanted = wanted.where(Alert.type == query.type.value)
    if after:
        wanted = wanted.where(Alert.id < after.id)
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        found = session.scalars(wanted.order_by(Alert.id.desc()).limit(query.limit + 1)).all()
    rows, following = paging.split(found, query.limit, lambda row: Cursor(row.created_at, row.id))
    lines = [
        AlertLine(**{name: getattr(row, name) for name in AlertLine.model_fields}) for row in rows
    ]
    return edge.sent(AlertPage(items=lines, next_cursor=following))


@tag.get(
    "/v1/webhooks",
    summary="List webhooks, oldest first",
    security=edge.secured(Scope.WEBHOOKS_READ),
    responses=edge.says({200: (WebhookList, "All webhooks")}),
)
@auth.needs(Scope.WEBHOOKS_READ)
def list_webhooks(query: edge.NoParameters) -> Response:  # noqa: ARG001 - being there refuses unknown parameters
    """List webhooks."""
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        rows = endpoints.every(session)
    return edge.sent(WebhookList(items=[_line(row) for row in rows]))


@tag.get(
    "/v1/webhooks/<id>",
    summary="Read a webhook",
    security=edge.secured(Scope.WEBHOOKS_READ),
    responses=edge.says({200: (WebhookLine, "The webhook")}, 404),
)
@auth.needs(Scope.WEBHOOKS_READ)
def get_webhook(path: WebhookAddress) -> Response:
    """Read one webhook."""
    return edge.sent(_line(_row(path.id)))


@tag.post(
    "/v1/webhooks",
    summary="Add a webhook",
    description="Its secret is in this answer only.",
    security=edge.secured(Scope.WEBHOOKS_WRITE),
    responses=edge.says({201: (WebhookSecret, "It is told from now on")}, 400, 409, 413, 415),
)
@auth.needs(Scope.WEBHOOKS_WRITE)
def post_webhook(body: NewWebhook) -> Response:
    """Add a webhook."""
    holder = auth.holder()
    try:
        shown = endpoints.create(
            auth.the_hub(),
            holder.tenant_id,
            url=body.url,
            note=body.note,
            types=[one.value for one in body.types],
            actor=holder.actor,
        )
    except endpoints.WrongEndpoint as err:
        raise _refused(err) from None
    answer = WebhookSecret(webhook=_line(shown.endpoint), secret=shown.secret)
    return edge.sent(answer, 201, {"Location": f"/v1/webhooks/{shown.endpoint.id}"})


@tag.put(
    "/v1/webhooks/<id>",
    summary="Change a webhook, turn it off or on",
    security=edge.secured(Scope.WEBHOOKS_WRITE),
    responses=edge.says({200: (WebhookLine, "As it is now")}, 400, 404, 413, 415),
)
@auth.needs(Scope.WEBHOOKS_WRITE)
def put_webhook(path: WebhookAddress, body: ChangedWebhook) -> Response:
    """Change a webhook."""
    holder = auth.holder()
    _row(path.id)
    try:
        row = endpoints.change(
            auth.the_hub(),
            holder.tenant_id,
            path.id,
            actor=holder.actor,
            url=body.url,
            note=body.note,
            types=[one.value for one in body.types],
            is_enabled=body.is_enabled,
        )
    except endpoints.WrongEndpoint as err:
        raise _refused(err) from None
    except endpoints.UnknownEndpoint as err:
        raise Refused("not-found", str(err)) from None
    return edge.sent(_line(row))


@tag.post(
    "/v1/webhooks/<id>/rotate",
    summary="Give a webhook a new secret",
    description="The secret before signs too for another 24 hours. The new one is in this answer only.",
    security=edge.secured(Scope.WEBHOOKS_WRITE),
    responses=edge.says({200: (WebhookSecret, "The new secret")}, 404),
)
@auth.needs(Scope.WEBHOOKS_WRITE)
def rotate_webhook(path: WebhookAddress) -> Response:
    """Rotate a webhook's secret."""
    holder = auth.holder()
    try:
        shown = endpoints.rotate(auth.the_hub(), holder.tenant_id, path.id, actor=holder.actor)
    except endpoints.UnknownEndpoint as err:
        raise Refused("not-found", str(err)) from None
    return edge.sent(WebhookSecret(webhook=_line(shown.endpoint), secret=shown.secret))


@tag.post(
    "/v1/webhooks/<id>/test",
    summary="Send a webhook a test",
    description="It goes the way that alerts go; the webhook's log says what came of it.",
    security=edge.secured(Scope.WEBHOOKS_WRITE),
    responses=edge.says({202: (SendingLine, "It is on its way")}, 404, 409),
)
@auth.needs(Scope.WEBHOOKS_WRITE)
def test_webhook(path: WebhookAddress) -> Response:
    """Test a webhook."""
    holder = auth.holder()
    try:
        row = endpoints.test(auth.the_hub(), holder.tenant_id, path.id, actor=holder.actor)
    except endpoints.UnknownEndpoint as err:
        raise Refused("not-found", str(err)) from None
    except endpoints.WrongEndpoint as err:
        raise Refused("conflict", str(err)) from None
    return edge.sent(_sending(row, AlertType.TEST.value), 202)


@tag.delete(
    "/v1/webhooks/<id>",
    summary="Remove a webhook with its log",
    security=edge.secured(Scope.WEBHOOKS_WRITE),
    responses=edge.says({200: (WebhookLine, "As it was")}, 404),
)
@auth.needs(Scope.WEBHOOKS_WRITE)
def delete_webhook(path: WebhookAddress) -> Response:
    """Remove a webhook."""
    holder, row = auth.holder(), _row(path.id)
    try:
        endpoints.remove(auth.the_hub(), holder.tenant_id, path.id, actor=holder.actor)
    except endpoints.UnknownEndpoint as err:
        raise Refused("not-found", str(err)) from None
    return edge.sent(_line(row))


@tag.get(
    "/v1/webhooks/<id>/sendings",
    summary="List what a webhook was sent, newest first",
    security=edge.secured(Scope.WEBHOOKS_READ),
    responses=edge.says({200: (SendingPage, "A page of its log")}, 400, 404),
)
@auth.needs(Scope.WEBHOOKS_READ)
def list_sendings(path: WebhookAddress, query: Paged) -> Response:
    """List a webhook's log of the last 90 days."""
    row, after = _row(path.id), paging.read(query.cursor)
    wanted: Select[AlertSending, str] = (
        select(AlertSending, Alert.type)
        .join(Alert, Alert.id == AlertSending.alert_id)
        .where(AlertSending.endpoint_id == row.id)
    )
    if after:
        wanted = wanted.where(AlertSending.id < after.id)
    with auth.the_hub().tenant(row.tenant_id) as session:
        found = session.execute(
            wanted.order_by(AlertSending.id.desc()).limit(query.limit + 1)
        ).all()
    rows, following = paging.split(
        found, query.limit, lambda one: Cursor(one[0].created_at, one[0].id)
    )
    lines = [_sending(sending, kind) for sending, kind in rows]
    return edge.sent(SendingPage(items=lines, next_cursor=following))


def _row(endpoint_id: str) -> WebhookEndpoint:
    with auth.the_hub().tenant(auth.holder().tenant_id) as session:
        try:
            return endpoints.one(session, endpoint_id)
        except endpoints.UnknownEndpoint as err:
            raise Refused("not-found", str(err)) from None


def _refused(err: endpoints.WrongEndpoint) -> Refused:
    if isinstance(err, endpoints.TooMany):
        return Refused("conflict", str(err))
    fault = Fault(pointer=f"/{err.member}", parameter=None, detail=str(err))
    return Refused("invalid", str(err), errors=[fault])


def _line(row: WebhookEndpoint) -> WebhookLine:
    same = WebhookLine.model_fields.keys() - {"is_enabled", "previous_secret_until"}
    return WebhookLine(
        **{name: getattr(row, name) for name in same},
        is_enabled=row.disabled_at is None,
        previous_secret_until=row.previous_until,
    )


def _sending(row: AlertSending, kind: str) -> SendingLine:
    is_waiting = row.state == SendingState.WAITING.value
    return SendingLine(
        id=row.id,
        alert_id=row.alert_id,
        type=kind,
        state=SendingState(row.state),
        due_at=row.due_at if is_waiting else None,
        tries=[TryLine(**one) for one in row.tries],
        created_at=row.created_at,
    )
