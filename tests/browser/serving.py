"""The hub behind a real port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from werkzeug.serving import make_server

from hub.app import create_app
from hub.context import Hub, open_hub
from hub.settings import load


@dataclass(frozen=True)
class Site:
    """Where the hub listens."""

    url: str
    hub: Hub


@contextmanager
def serving(hub: Hub, **settings: Any) -> Iterator[Site]:
    """Serve a hub on the servers of another, on a port of its own, which its own links and callbacks name."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    mine = open_hub(
        load(
            data_dir=hub.settings.data_dir,
            database_url=hub.settings.database_url.get_secret_value(),
            redis_url=hub.settings.redis_url.get_secret_value(),
            allow_loopback_vendors=True,
            public_url=url,
            **settings,
        )
    )
    server.app = create_app(mine)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(url, mine)
    server.shutdown()
    thread.join()
