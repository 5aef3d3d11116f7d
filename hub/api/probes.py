"""Probes: is the process up, can the hub take events, and the figures for Prometheus."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Final, Literal

import redis
from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from hub import log, metrics
from hub.api import auth, edge
from hub.api.answers import Answer
from hub.api.problems import Refused
from hub.db import migrate

tag = edge.tag("probes", "For load balancers and monitoring.")

_log = log.get(__name__)
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Alive(Answer):
    """The process answers."""

    status: Literal["ok"]


class Ready(Answer):
    """Whether the hub can take events, and what each part says."""

    status: Literal["ready", "degraded", "down"]
    checks: dict[str, str]


@tag.get(
    "/healthz",
    summary="Tell that the process is up",
    responses=edge.says({200: (Alive, "It is")}, is_public=True),
)
@auth.public
def get_health() -> Response:
    """Answer without touching anything else."""
    return edge.sent(Alive(status="ok"))


@tag.get(
    "/readyz",
    summary="Tell whether events can be taken",
    description="Without Redis events are still taken and delivered, only later: that is degraded.",
    responses=edge.says(
        {200: (Ready, "Ready, or degraded"), 503: (Ready, "Events cannot be taken now")},
        is_public=True,
    ),
)
@auth.public
def get_readiness() -> Response:
    """Ask the database and Redis."""
    checks = {"database": _database(), "redis": _redis()}
    status: Literal["ready", "degraded", "down"] = "ready"
    if checks["database"] != "ok":
        status = "down"
    elif checks["redis"] != "ok":
        status = "degraded"
    return edge.sent(Ready(status=status, checks=checks), 503 if status == "down" else 200)


def _database() -> str:
    try:
        found = migrate.standing(auth.the_hub().engine)
    except SQLAlchemyError as err:
        _log.warning("readiness was refused", kind=type(err).__name__)
        return "does not answer"
    if found is migrate.Standing.TOO_NEW:
        return "has a schema that this version cannot use"
    return "ok" if found.is_fine else "has an old schema; run: afterbeep migrate"


def _redis() -> str:
    try:
        auth.the_hub().redis.ping()
    except redis.RedisError:
        return "does not answer"
    return "ok"


def _metrics_answers() -> edge.Said:
    said = edge.says({200: (Alive, "Prometheus text")}, 403, is_public=True)
    said["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return said


@tag.get(
    "/metrics",
    summary="Read the figures of the whole installation for Prometheus",
    description=(
        "Scrape one address of the hub, not each process: the figures are the installation's. Open to this machine, or "
        "to `Authorization: Bearer` with the token of AFTERBEEP_METRICS_TOKEN."
    ),
    responses=_metrics_answers(),
)
@auth.public
def get_metrics() -> Response:
    """Give the figures."""
    if not _may_scrape():
        raise Refused(
            "no-scope", "Set AFTERBEEP_METRICS_TOKEN and send it, or ask on this machine."
        )
    return Response(metrics.exposition(auth.the_hub()), content_type=_TEXT)


def _may_scrape() -> bool:
    token = auth.the_hub().settings.metrics_token
    if token is not None:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return hmac.compare_digest(sent.encode(), token.get_secret_value().encode())
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False  # a proxy on this machine speaks for somebody else
    try:
        return request.remote_addr is None or ip_address(request.remote_addr).is_loopback
    except ValueError:
        return False
