"""A transcript becomes an event, by the function and by the command."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.event import Bucket, Call, Segment, Speaker, Voicemail
from voice.analyse import classify
from voice.analyse.analysis import analyse
from voice.cli import analyse as command

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
CALL = Call(id="CA1")
SAMPLES = Path(__file__).parents[2] / "voice" / "samples" / "voicemails.jsonl"


pytestmark = pytest.mark.skipif(
    not classify.WEIGHTS.is_file(), reason="the classifier's weights are not here"
)


def test_a_voicemail_gives_every_part_of_the_event():
    """Name, number, urgency with evidence, summary and the rest come from one transcript."""
    text = (
        "Hi, this is Dana Whitfield. Water is pouring through my kitchen ceiling, I need a plumber "
        "today. Call me back at four one five, five five five, oh one three two."
    )
    found = analyse(text, call=CALL, received_at=NOW, language="en", vertical="plumbing")

    assert found.caller.name.full == "Dana Whitfield"
    assert found.callback.number == found.caller.phone == "+14155550132"
    assert found.urgency.level in {"high", "critical"}
    assert all(
        reason.evidence is None or reason.evidence in text for reason in found.urgency.reasons
    )
    assert found.summary.startswith("Dana Whitfield: ")
    assert found.provenance.fallbacks == ()
    assert {"bucket", "callback", "urgency"} <= found.latency.keys()


def test_only_the_caller_s_words_are_analysed():
    """What the agent says is kept in the transcript, but names nobody."""
    segments = [
        Segment(speaker=Speaker.AGENT, text="Hi, this is Ava, what is your number?"),
        Segment(speaker=Speaker.CALLER, text="My name is Omar Haddad, 312 555 0155."),
    ]
    found = analyse(segments, call=CALL, received_at=NOW, language="en")

    assert found.caller.name.full == "Omar Haddad"
    assert found.transcript.segments == tuple(segments)


def test_the_caller_id_and_the_spoken_number_are_kept_apart():
    """The spoken number is called back; the caller's phone is the one that rang."""
    found = analyse(
        "Call me at 212 555 0147",
        call=CALL,
        received_at=NOW,
        caller_id="+14155550132",
        language="en",
    )

    assert (found.callback.number, found.caller.phone) == ("+12125550147", "+14155550132")


@given(st.text(max_size=400), st.one_of(st.none(), st.text(max_size=20)), st.text(max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_text_gives_a_valid_event(text, caller_id, language):
    """No transcript, caller id or language makes the analysis fail, and the event is valid."""
    found = analyse(text, call=CALL, received_at=NOW, caller_id=caller_id, language=language)

    assert found.provenance.fallbacks == ()
    assert Voicemail.model_validate(json.loads(found.model_dump_json(by_alias=True)))


def test_the_command_writes_a_line_for_each_line():
    """Every line gives the event's data and its id; what is absent is left out."""
    lines = '{"id": "a", "text": "Hi, this is Dana, 415 555 0132"}\n\n{"id": 7, "text": "Bye"}\n'
    result = CliRunner().invoke(command, input=lines)
    rows = [json.loads(line) for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert [row["id"] for row in rows] == ["a", 7]
    assert rows[0]["callback"]["number"] == "+14155550132"
    assert "number" not in rows[1]["callback"]


def test_a_bad_line_is_told_of_and_the_others_are_done():
    """The error names the line; the exit code is 1."""
    lines = (
        '{"id": "a", "text": "Hello"}\nnot json\n{"id": "b"}\n[]\n{"id": "c", "text": "Hello"}\n'
    )
    result = CliRunner().invoke(command, input=lines)
    told = [json.loads(line) for line in result.stderr.splitlines()]

    assert result.exit_code == 1
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["a", "c"]
    assert [row["line"] for row in told] == [2, 3, 4]
    assert told[1]["error"] == '"text" is missing'


def test_the_samples_are_understood():
    """Every sample voicemail gives a valid event, and the three robocalls are spam."""
    rows = [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]
    found = {
        row["id"]: analyse(
            row["text"],
            call=Call(id=row["id"]),
            received_at=NOW,
            caller_id=row.get("caller_id"),
            language=row["language"],
            vertical=row["vertical"],
        )
        for row in rows
    }

    assert len(found) == 24
    spam = {key for key, each in found.items() if each.bucket is Bucket.SPAM}
    assert spam <= {"sample-05", "sample-12", "sample-20"}
    assert found["sample-14"].urgency.level in {"high", "critical"}
    assert found["sample-21"].callback.number == "+13035550191"
