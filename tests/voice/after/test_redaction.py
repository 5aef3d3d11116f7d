"""Words of patients leave through one gate, which takes out who they are and leaves what they need."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mappings.event import Voicemail
from tests.voice.after.conftest import profile_of, session_of
from voice import redaction
from voice.analyse.redact import redact
from voice.analyse.spoken import SOLID
from voice.dialogue.types import Talk
from voice.redaction import Gate

CALLS = [
    json.loads(line)
    for line in Path(__file__)
    .with_name("healthcare.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def left(personal, text):
    """Give the words of a personal datum that a text still holds; words of two letters tell nothing."""
    if SOLID.search(personal):
        return [personal] if personal in text else []
    words = [word for word in re.findall(r"\w+", personal) if len(word) > 2 or word.isdigit()]
    return [word for word in words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["text"][:30])
def test_realistic_calls_to_practices_lose_who_and_keep_why(call):
    """Names, births, numbers and addresses go, dictated or written; symptoms, doses and days stay."""
    said = redact(call["text"], language=call["language"])

    for personal in call["personal"]:
        assert left(personal, said) == []
    for kept in call["kept"]:
        assert kept in said


def test_a_card_that_is_dictated_in_pieces_is_no_telephone_number():
    """Its check digit tells it from other digits."""
    text = "my card number is five five five five, five five five five, five five five five, four four four four"

    assert redact(text, language="en") == "my card number is [CARD]"


def test_names_known_from_the_dialogue_are_taken_out_wherever_they_stand():
    """Whole and in parts, also where the caller does not introduce themselves."""
    session = session_of(
        profile=profile_of(is_phi=True), talk=Talk(slots={"name": "Oluwaseun Adeyemi"})
    )

    assert (
        redaction.of(session).text("oluwaseun here, Mrs Adeyemi to you")
        == "[NAME] here, Mrs [NAME] to you"
    )


def test_other_tenants_words_pass_as_they_are():
    """Their people need the words."""
    gate = redaction.of(session_of(profile=profile_of()))
    data = Voicemail.model_validate(
        {"call": {"id": "CA1"}, "bucket": "other", "summary": "Dana, 415 555 0132"}
    )

    assert gate.event(data) is data
    assert gate.text("Dana") == "Dana"


def test_every_free_text_of_an_event_passes_the_gate():
    """Transcript, summary, reason, evidence, service and extra; name and number stay in their own fields."""
    secret = "Maria Lopez, social security 078-05-1120"
    data = Voicemail.model_validate(
        {
            "call": {"id": "CA1", "from": "+14155550132"},
            "caller": {"name": {"full": "Maria Lopez", "given": "Maria", "family": "Lopez"}},
            "callback": {"number": "+14155550147"},
            "bucket": "support",
            "summary": secret,
            "reason": secret,
            "urgency": {
                "score": 1,
                "level": "low",
                "reasons": [{"line": "x", "points": 1, "evidence": secret}],
            },
            "appointment": {"service": secret},
            "extra": {"wanted_time": secret, "turns": 3},
            "transcript": {"segments": [{"text": secret}]},
        }
    )
    made = Gate(is_closed=True).event(data)

    text = made.model_dump_json(exclude={"caller", "callback", "call"})
    assert "Lopez" not in text
    assert "078" not in text
    assert made.transcript.redacted
    assert made.extra["turns"] == 3
    assert made.caller == data.caller
    assert made.callback == data.callback


def test_a_summary_stays_within_its_length_when_tokens_are_longer_than_words():
    """140 characters are the field's limit."""
    data = Voicemail.model_validate(
        {"call": {"id": "CA1"}, "bucket": "other", "summary": ("Al, " * 35)[:140]}
    )
    made = replace(Gate(is_closed=True), names=("Al",)).event(data)

    assert len(made.summary) <= 140
