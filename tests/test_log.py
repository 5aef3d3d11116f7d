"""Logs tell what happened, never what a caller said or a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from rq import Queue, SimpleWorker
from sqlalchemy import text, update
from sqlalchemy.exc import SQLAlchemyError

from hub import log
from hub.context import Hub
from hub.db.events import StoredEvent
from hub.delivery import wake
from tests.delivery.conftest import connected, salesforce_sandbox
from tests.delivery.connected import LEAD_AND_TASK, Connected, voicemail
from tests.delivery.test_send import drain_all, hurry

__all__ = ["connected", "salesforce_sandbox"]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as in production; the logs of the test run are put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


_digits = st.text("0123456789", min_size=9, max_size=13)
_separators = st.sampled_from(["", " ", "-", "/", ") "])


@st.composite
def _phones(draw: st.DrawFn) -> str:
    digits = draw(_digits)
    joint = draw(_separators)
    parts = [digits[:3], digits[3:6], digits[6:]]
    start = "(" if ")" in joint else ""
    return draw(st.sampled_from(["+", "+1 ", ""])) + start + joint.join(parts)


_tokens = st.from_regex(
    r"(Bearer |ab_live_|eyJhbGciOi\.|00D5e000000abcd!|access_token=|refresh_token=|client_secret=)"
    r"[A-Za-z0-9_]{16,40}",
    fullmatch=True,
)
_private = st.one_of(_phones(), st.emails(), _tokens)
_places = st.sampled_from(["plain", "inside", "table", "list", "deep", "foreign", "error"])


def _logged(place: str, private: str, stream: io.StringIO) -> None:
    logger = log.get("tests")
    inside = f"the vendor said {private} is wrong"
    if place == "foreign":
        logging.getLogger("some.library").warning("answer: %s", inside)
    elif place == "error":
        try:
            int(inside)
        except ValueError:
            logger.exception("call failed")
    else:
        value: Any = {
            "plain": private,
            "inside": inside,
            "table": {"said": private},
            "list": [1, (inside,)],
            "deep": {"answers": [{"errors": [{"message": inside}]}]},
        }[place]
        logger.warning("call failed", answer=value)
    assert stream.getvalue()


@given(private=_private, place=_places)
def test_no_number_address_or_token_passes(private: str, place: str) -> None:
    """Wherever it stands: in a value, a table in a list, a library's line, or an error's text."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    try:
        _logged(place, private, stream)
    finally:
        structlog.reset_defaults()
        root.handlers[:] = before
        root.setLevel(level)

    secret = private.rpartition(" ")[2] if private.startswith("Bearer") else private
    said = json.loads(stream.getvalue())
    said.pop("timestamp")
    assert secret not in json.dumps(said, ensure_ascii=False)
    assert json.dumps(secret)[1:-1] not in stream.getvalue()


@pytest.mark.parametrize(
    "name", ["transcript", "summary", "phone", "access_token", "Authorization"]
)
def test_what_is_called_private_is_not_logged(lines: io.StringIO, name: str) -> None:
    """Fields of these names are blotted out whatever they hold."""
    log.get("tests").info("event accepted", **{name: "water through the ceiling"})

    assert "ceiling" not in lines.getvalue()


def test_ids_times_and_numbers_stay(lines: io.StringIO) -> None:
    """The redactor leaves what one looks for in a log."""
    facts = {
        "delivery_id": "dlv_01m8179pne24vjgaxerf3y51pf",
        "wait_s": 12.5,
        "rows": 200,
        "code": "REQUEST_LIMIT_EXCEEDED",
        "error": "OperationalError",
        "where": "calls.py:108",
        "address": "192.168.100.200",
    }
    log.get("tests").info("batch sent", **facts)

    found = json.loads(lines.getvalue())
    assert {name: found[name] for name in facts} == facts
    assert found["event"] == "batch sent"


def test_a_database_error_tells_no_values(hub: Hub) -> None:
    """A refused statement names itself, not what people wrote into it."""
    statement, values = text("select :said / 0"), {"said": 14155550101}
    with hub.engine.begin() as connection, pytest.raises(SQLAlchemyError) as caught:
        connection.execute(statement, values)

    assert "14155550101" not in str(caught.value)


def test_a_failing_delivery_logs_nothing_of_the_caller(
    hub: Hub, connected: Connected, lines: io.StringIO
) -> None:
    """Refusals that quote the caller, broken answers, lost answers, broken bodies: ids and codes only."""
    connected.publish(LEAD_AND_TASK)
    faults: list[dict[str, Any]] = [
        {"kind": "row", "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 400},
        {"kind": "malformed"},
        {"kind": "html"},
        {"kind": "cut_after"},
        {"kind": "cut_before"},
    ]
    for number, fault in enumerate(faults):
        accepted = connected.accept(voicemail(number), voicemail(number + 50))
        connected.sandbox.fault(path="/composite/", **fault)
        hurry(connected)
        wake.awake(hub, connected.connection.id)
        wake.wake(hub, [connected.connection.id], is_urgent=True)
        queue = Queue(wake.QUEUE, connection=hub.redis)
        SimpleWorker([queue], connection=hub.redis).work(burst=True, logging_level="WARNING")
        with hub.tenant(connected.company.tenant_id) as session:
            session.execute(
                update(StoredEvent).where(StoredEvent.id == accepted[0].id).values(body=b"\x01")
            )
        drain_all(connected, seconds=0.5)  # what cannot be opened goes on waiting

    said = lines.getvalue()
    assert "batch sent" in said
    assert "connection held back" in said
    for private in ("Dana", "W0", "W50", "415555", "ceiling", "00D"):
        assert private not in said
