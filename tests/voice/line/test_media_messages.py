"""Twilio's Media Streams messages, and what pretends to be one."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.line import media_messages as m


def _written(**fields):
    return json.dumps(fields)


def test_sound_of_any_size_is_read():
    """Twenty milliseconds are a habit of Twilio's, not a promise."""
    for size in (1, 7, 160, 161, 4000):
        sound = bytes(range(256)) * 16
        payload = base64.b64encode(sound[:size]).decode()
        media = {"track": "inbound", "timestamp": "160", "payload": payload}

        assert m.Media(sound[:size], 160) == m.read(_written(event="media", media=media))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"event": "media"}',
        '{"event": "media", "media": {"payload": "%%%"}}',
        '{"event": "media", "media": {"payload": ""}}',
        '{"event": "media", "media": {"track": "outbound", "payload": "AAAA"}}',
        '{"event": "mark", "mark": {}}',
        '{"event": "dtmf", "dtmf": {"digit": "12"}}',
        '{"event": "start", "start": {"streamSid": "MZ\\"}", "callSid": "CA1"}}',
        '{"event": "connected"}',
        '{"event": "tomorrow"}',
        "[" * 100_000,
        b"\x00\x01",
        "x" * 300_000,
    ],
    ids=range(15),
)
def test_what_is_no_message_is_nothing(text):
    """It is ignored, and the call goes on."""
    assert m.read(text) is None


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_nothing_that_comes_in_raises(text):
    """Whatever a socket sends."""
    m.read(text)


@given(
    st.dictionaries(
        st.sampled_from(["event", "media", "mark", "start", "dtmf"]),
        st.sampled_from(["media", "mark", "start", "dtmf"])
        | st.dictionaries(
            st.sampled_from(["payload", "track", "timestamp", "name", "streamSid", "callSid"]),
            st.none() | st.text() | st.integers() | st.lists(st.none()),
        ),
    ).map(json.dumps)
)
def test_no_field_of_a_wrong_kind_raises(text):
    """Fields hold what they like."""
    m.read(text)


def test_what_is_sent_is_what_twilio_reads():
    """Messages are written by hand, so they are read back by a parser."""
    assert json.loads(m.media("MZ1", b"\xff\x00")) == {
        "event": "media",
        "streamSid": "MZ1",
        "media": {"payload": "/wA="},
    }
    assert json.loads(m.mark("MZ1", "1-2")) == {
        "event": "mark",
        "streamSid": "MZ1",
        "mark": {"name": "1-2"},
    }
    assert json.loads(m.clear("MZ1")) == {"event": "clear", "streamSid": "MZ1"}
