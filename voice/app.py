"""The voice service as a Quart app: routes, wiring, and what runs beside the calls."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from quart import Quart, Response, jsonify, request

from voice import call_page, finish, outbox, webhooks
from voice.analyse import analysis
from voice.context import Context
from voice.hub_api import HubApi
from voice.metrics import Metrics
from voice.model import Model
from voice.profiles import Profiles
from voice.seal import read_keys
from voice.settings import VoiceSettings
from voice.store import SessionStore
from voice.twilio_rest import TwilioRest

_LOG = structlog.get_logger(module=__name__)
_BEAT_S = 5.0
_BODY_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
#: After calls were asked to end, their last saves and events have so long.
_LAST_S = 10.0


def create_app(settings: VoiceSettings) -> Quart:
    """Make the app; it opens connections when it is served and closes them after. Raises KeyProblem."""
    app = Quart("voice", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = webhooks.MAX_FORM_BYTES
    app.config["BODY_TIMEOUT"] = _BODY_S
    app.config["RESPONSE_TIMEOUT"] = None
    context = _context(settings)
    app.extensions["voice"] = context
    app.register_blueprint(webhooks.blueprint(context))
    app.register_blueprint(call_page.blueprint(context))
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.add_url_rule("/readyz", "readyz", _readyz(context))
    app.add_url_rule("/metrics", "metrics", _metrics(context))

    async def start() -> None:
        context.is_stopping.clear()
        await asyncio.to_thread(analysis.load)  # the first caller need not wait for the lexicons
        context.start(_beat(context), name="beat")
        context.start(finish.keep_watch(context), name="watch")
        context.start(outbox.run(context), name="outbox")

    async def stop() -> None:
        await _stop(context)

    app.before_serving(start)
    app.after_serving(stop)
    return app


def context_of(app: Quart) -> Context:
    """Give what a running service holds."""
    found: Context = app.extensions["voice"]
    return found


async def drain(context: Context) -> None:
    """Let calls go on up to the limit of the settings, then close their sockets: another process takes them."""
    context.is_stopping.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(context.settings.voice_drain_s):
            await context.store.idle.wait()
    left = len(context.store.held)
    context.is_closing.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_S):
            await context.store.idle.wait()
    _LOG.info("calls were let go", handed_over=left)


def _context(settings: VoiceSettings) -> Context:
    metrics = Metrics()
    keys = settings.voice_keys.get_secret_value() if settings.voice_keys else None
    seal = read_keys(keys, settings.data_dir)
    store = SessionStore(settings.redis_address, seal, metrics=metrics)
    hub = HubApi(settings.hub_url, settings.hub_token)
    return Context(
        settings=settings,
        seal=seal,
        store=store,
        hub=hub,
        profiles=Profiles(hub, store),
        twilio=TwilioRest(settings),
        metrics=metrics,
        model=Model(settings, store) if settings.anthropic_api_key else None,
    )


async def _beat(context: Context) -> None:
    """Give signs of life for this process's calls, and hear what others know of the model."""
    while True:
        await context.store.beat()
        if context.model:
            await context.model.circuit.refresh()
        await asyncio.sleep(_BEAT_S)


async def _stop(context: Context) -> None:
    context.is_stopping.set()
    context.is_closing.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_S):
            # The end of a call from a browser begins when its socket is closed, and then makes the event.
            while finishing := [
                one for one in context.tasks if one.get_name().startswith("finish ")
            ]:
                await asyncio.wait(finishing)
    for task in list(context.tasks):
        task.cancel()
    await asyncio.gather(*context.tasks, return_exceptions=True)
    await context.store.close()
    await context.hub.close()
    await context.twilio.close()
    if context.model:
        await context.model.close()


async def _healthz() -> Response:
    return jsonify({"status": "ok"})


def _readyz(context: Context) -> Callable[[], Awaitable[tuple[Response, int]]]:
    async def readyz() -> tuple[Response, int]:
        is_redis_up = await context.store.is_up()
        parts = {
            "redis": "up" if is_redis_up else "away",
            "hub": "up" if await context.hub.is_up() else "away",
            "twilio": "set" if context.settings.auth_tokens else "not set",
            "model": "set" if context.model else "not set",
        }
        # Calls are taken without Redis and without the hub: only stopping takes us out of the rotation.
        is_ready = not context.is_stopping.is_set()
        status = "ok" if is_ready else "stopping"
        return jsonify({"status": status, **parts}), 200 if is_ready else 503

    return readyz


def _metrics(context: Context) -> Callable[[], Awaitable[Response]]:
    async def metrics() -> Response:
        token = context.settings.metrics_token
        if token:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            is_allowed = hmac.compare_digest(given.encode(), token.get_secret_value().encode())
        else:
            is_allowed = (
                request.remote_addr in _LOOPBACK and "X-Forwarded-For" not in request.headers
            )
        if not is_allowed:
            return Response("Not for you.", 403, content_type="text/plain")
        return Response(
            context.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return metrics
