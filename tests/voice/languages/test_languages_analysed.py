"""Voicemails are understood in the languages that are spoken: language, number, bucket, danger."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mappings.event import Call
from voice.analyse import signals
from voice.analyse.analysis import analyse

TABLE = tomllib.loads(Path(__file__).with_name("voicemails.toml").read_text(encoding="utf-8"))
MAILS = TABLE["voicemail"]
DANGER = TABLE["danger"]


def test_the_sample_is_wide():
    """At least fifteen languages, two voicemails each, with different buckets."""
    tags = [mail["language"] for mail in MAILS]
    assert len(set(tags)) >= 15
    for tag in set(tags):
        listed = [mail["buckets"] for mail in MAILS if mail["language"] == tag]
        assert len(listed) >= 2
        assert len(set(map(tuple, listed))) >= 2
    assert len(DANGER) >= 50


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: f"{mail['language']}-{mail['buckets'][0]}")
def test_a_voicemail_is_understood(mail):
    """Without a model and without a hint of its language."""
    event = analyse(
        mail["text"],
        call=Call.model_validate({"id": "CA1"}),
        received_at=datetime(2026, 11, 30, tzinfo=UTC),
        caller_id=mail["caller"],
    )
    assert event.language == mail["language"]
    assert event.callback.number == mail["number"]
    assert event.bucket.value in mail["buckets"]
    assert event.provenance.fallbacks == ()


@pytest.mark.parametrize("tag", DANGER)
def test_danger_is_heard(tag):
    """Chest pain and want of breath, gas and fire."""
    for kind in ("life", "hazard"):
        for text in DANGER[tag][kind]:
            assert kind in {signal.kind for signal in signals.find(text, tag)}, text


@pytest.mark.parametrize("tag", DANGER)
def test_danger_that_is_denied_is_none(tag):
    """A caller who says that nothing burns is no emergency."""
    for text in DANGER[tag]["none"]:
        found = [s.kind for s in signals.find(text, tag) if s.kind in {"life", "hazard"}]
        assert found == [], text


def test_one_languages_no_is_not_anothers_now():
    """The word "nu" denies in Romanian and hastens in Swedish."""
    assert "hazard" in {signal.kind for signal in signals.find("Nu brinner det i köket!", "sv")}
