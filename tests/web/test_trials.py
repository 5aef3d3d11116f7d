"""The process that tries things: it answers, it is started anew when it breaks, and it is not waited for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from hub.voice import trial
from hub.voice.trial import NoAnswer, Trials


@pytest.fixture
def trials():
    """A process of this test's own."""
    made = Trials()
    yield made
    made.end()


def test_a_voicemail_is_scored_without_the_analyser(trials: Trials) -> None:
    """Points follow the rubric that is asked about."""
    rubric = {"lines": [{"label": "Rush", "signal": "urgent", "points": 33}]}
    found = trials.ask(
        {
            "do": "score",
            "vertical": "sales",
            "rubric": rubric,
            "voicemails": [{"said": "It is urgent.", "bucket": "support", "language": "en"}],
        }
    )

    assert found["scores"][0]["score"] == 33
    assert found["scores"][0]["level"] == "normal"
    assert found["scores"][0]["reasons"][0]["line"] == "Rush"


def test_what_a_model_heard_counts(trials: Trials) -> None:
    """A kept reason names a signal that the patterns do not hear in these words."""
    rubric = {"lines": [{"label": "Danger", "signal": "hazard", "points": 50}]}
    found = trials.ask(
        {
            "do": "score",
            "vertical": "sales",
            "rubric": rubric,
            "before": rubric,
            "voicemails": [
                {
                    "said": "Please come.",
                    "bucket": "support",
                    "reasons": [{"line": "Danger", "points": 40, "evidence": "come"}],
                }
            ],
        }
    )

    assert found["scores"][0]["score"] == 50


def test_every_signal_has_a_name(trials: Trials) -> None:
    """Also the buckets, which are signals too."""
    found = trials.ask({"do": "rubric", "vertical": "healthcare"})

    assert {line["signal"] for line in found["rubric"]["lines"]} <= found["signals"].keys()
    assert found["signals"]["bucket:billing"] == "It is about: billing"
    assert all(found["signals"].values())


def test_a_killed_process_is_started_anew(trials: Trials) -> None:
    """Whoever asks next notices nothing."""
    trials.ask({"do": "rubric", "vertical": "sales"})
    os.kill(trials._process.pid, signal.SIGKILL)
    trials._process.wait()

    assert trials.ask({"do": "rubric", "vertical": "sales"})["signals"]


def test_nobody_waits_for_a_process_that_hangs(trials: Trials) -> None:
    """After the time it is killed; a late answer answers nothing."""
    trials.ask({"do": "rubric", "vertical": "sales"})
    os.kill(trials._process.pid, signal.SIGSTOP)
    began = time.monotonic()

    with pytest.raises(NoAnswer):
        trials.ask({"do": "rubric", "vertical": "sales"}, within_s=0.5)
    assert time.monotonic() - began < 3
    assert trials.ask({"do": "rubric", "vertical": "it_helpdesk"})["signals"]


def test_a_wrong_question_does_not_end_it(trials: Trials) -> None:
    """It is refused, and the next one is answered by the same process."""
    trials.ask({"do": "rubric", "vertical": "sales"})
    process = trials._process
    with pytest.raises(NoAnswer):
        trials.ask({"do": "nonsense"})
    with pytest.raises(NoAnswer):
        trials.ask({"do": "score", "vertical": "sales", "voicemails": [{"said": "x"}]})

    assert trials.ask({"do": "rubric", "vertical": "sales"})
    assert trials._process is process


def test_it_is_told_no_secret(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment it gets what Python needs."""
    monkeypatch.setenv("AFTERBEEP_MASTER_KEYS", "secret")
    trials.ask({"do": "rubric", "vertical": "sales"})

    assert b"AFTERBEEP" not in Path(f"/proc/{trials._process.pid}/environ").read_bytes()


def test_the_hub_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for the whole hub process."""
    assert trial.ask({"do": "rubric", "vertical": "sales"})["signals"]
