"""Serving the voice service until it is told to stop: what ``afterbeep voice`` does."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config

from voice.app import context_of, create_app, drain
from voice.settings import SettingsProblem, VoiceSettings

_LOG = structlog.get_logger(module=__name__)
_BACKLOG = 512
#: Connections of answered requests may stay open so long.
_KEEP_ALIVE_S = 30
_HOOKS = {
    "A call comes in": "voice",
    "Primary handler fails": "fallback",
    "Call status changes": "status",
}


def listening(settings: VoiceSettings) -> socket.socket:
    """Open the port; raises SettingsProblem when it cannot be."""
    family = socket.AF_INET6 if ":" in settings.voice_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.voice_host, settings.voice_port))
        listener.listen(_BACKLOG)
    except OSError as err:
        listener.close()
        reason = err.strerror or type(err).__name__
        raise SettingsProblem(
            f"{settings.voice_host} port {settings.voice_port} cannot be listened on ({reason}). "
            "Choose another with AFTERBEEP_VOICE_HOST or AFTERBEEP_VOICE_PORT."
        ) from err
    return listener


def described(settings: VoiceSettings, port: int) -> Mapping[str, Any]:
    """Tell where the service is and what to set at Twilio."""
    host = f"[{settings.voice_host}]" if ":" in settings.voice_host else settings.voice_host
    return {
        "listens": f"http://{host}:{port}",
        "public_url": settings.public_url,
        "webhooks": {name: f"{settings.public_url}/twilio/{path}" for name, path in _HOOKS.items()},
        "missing": [
            name
            for name, is_there in (
                ("AFTERBEEP_VOICE_PUBLIC_URL", settings.voice_public_url),
                ("AFTERBEEP_VOICE_TOKEN", settings.hub_token()),
                ("AFTERBEEP_TWILIO_AUTH_TOKENS", settings.auth_tokens),
            )
            if not is_there
        ],
        "has_model": settings.anthropic_api_key is not None,
    }


async def run(
    settings: VoiceSettings, listener: socket.socket, *, ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT; calls may then go on for a while, and a second signal ends them."""
    app = create_app(settings)
    context = context_of(app)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def wind_down() -> None:
        await drain(context)
        stop.set()

    def stopped() -> None:
        if draining:
            stop.set()
            return
        _LOG.info("stop asked for", calls=len(context.store.held))
        draining.append(asyncio.create_task(wind_down()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = None
    config.errorlog = None
    config.keep_alive_timeout = _KEEP_ALIVE_S
    config.graceful_timeout = 2
    config.websocket_max_message_size = 256 * 1024
    ready()
    await serve(app, config, shutdown_trigger=stop.wait)
