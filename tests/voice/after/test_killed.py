"""A posting process that is killed at any step costs no event and makes none twice, in a real hub."""

from __future__ import annotations

import multiprocessing
import signal
import threading

import pytest
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from hub.app import create_app
from hub.db.events import StoredEvent
from tests.api.calling import program
from tests.voice.after import posting as posting_process

CALL = "CA" + "7" * 32
#: Processes of their own, forked from one that has imported everything once.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.voice.after.posting"])


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        """Say nothing."""


@pytest.fixture
def posting(hub, company, tmp_path):
    """Serve a real hub, and give a way to run the posting process that dies at a point."""
    app = create_app(hub)
    key = program(app, hub, company.tenant_id).key.secret
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(point):
        words = (str(tmp_path), f"http://127.0.0.1:{server.port}", key, point)
        process = _PROCESSES.Process(target=posting_process.post, args=words)
        process.start()
        process.join(60)
        return process.exitcode

    yield run
    server.shutdown()
    server.server_close()


def events(hub, company):
    """Count the company's events of the call."""
    with hub.tenant(company.tenant_id) as session:
        return session.scalar(
            select(func.count()).select_from(StoredEvent).where(StoredEvent.event_id == CALL)
        )


@pytest.mark.processes
@pytest.mark.parametrize(
    "point", ["within_write", "after_write", "before_answer", "before_removal", "never"]
)
def test_a_process_killed_at_any_step_leaves_exactly_one_event(hub, company, posting, point):
    """The next process goes on where it was; running once more changes nothing."""
    first = posting(point)
    assert first == (0 if point == "never" else -signal.SIGKILL)
    reached = events(hub, company)
    assert reached == (1 if point in {"before_answer", "before_removal", "never"} else 0)

    assert posting("never") == 0
    assert events(hub, company) == 1
    assert posting("never") == 0
    assert events(hub, company) == 1
