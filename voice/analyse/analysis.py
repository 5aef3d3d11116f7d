"""Turn a transcript into the canonical event's data, without any network.

Every stage is timed (``latency``, milliseconds) and named (``provenance``). A stage that fails leaves its
part of the event empty and is listed in ``provenance.fallbacks``: a voicemail is never lost over its analysis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from mappings.event import (
    Appointment,
    Bucket,
    Call,
    Callback,
    Caller,
    Name,
    Provenance,
    Segment,
    Sentiment,
    Speaker,
    Transcript,
    Urgency,
    UrgencyLevel,
    Voicemail,
)
from voice.analyse import appointment as appointments
from voice.analyse import (
    classify,
    lead_score,
    name,
    phone,
    sentiment,
    signals,
    substance,
    summary,
    urgency,
)
from voice.analyse import language as languages
from voice.analyse.country import e164
from voice.analyse.rubric import Rubric, default_rubric

_T = TypeVar("_T")
_MAX_CHARS = 20_000
_ANALYSED_CHARS = 8_000
_MANAGER = frozenset({"manager", "leaving"})
log = structlog.get_logger(__name__)


class _Stages:
    """Runs stages: how long each took, and which fell back."""

    def __init__(self) -> None:
        self.latency: dict[str, float] = {}
        self.fallbacks: list[str] = []

    def run(self, stage: str, work: Callable[[], _T], otherwise: _T) -> _T:
        started = time.perf_counter()
        try:
            return work()
        except Exception as err:  # noqa: BLE001  # the one boundary: any text must give an event
            # Only the class: a message or a trace may hold what the caller said.
            log.error("analysis stage failed", stage=stage, error=type(err).__name__)  # noqa: TRY400  # see above
            self.fallbacks.append(stage)
            return otherwise
        finally:
            self.latency[stage] = round((time.perf_counter() - started) * 1000, 2)


def analyse(
    text_or_segments: str | Sequence[Segment],
    *,
    call: Call,
    received_at: datetime,
    caller_id: str | None = None,
    language: str | None = None,
    vertical: str | None = None,
    rubric: Rubric | None = None,
    timezone: str = "UTC",
) -> Voicemail:
    """Give the event's data for a transcript. Never raises on any text.

    Of segments, what the caller said is analysed and all are kept; what the call is about is read from the turns of
    substance (``voice.analyse.substance``), and everything else from all of them. ``language`` is a BCP 47 hint,
    ``vertical`` the tenant's trade in any words, ``rubric`` the tenant's own (else the vertical's
    default), ``received_at`` what "tomorrow" counts from, in the tenant's ``timezone``.
    """
    segments = _segments(text_or_segments)
    said = " ".join(part.text for part in segments if part.speaker is Speaker.CALLER)
    said = said[:_ANALYSED_CHARS]
    if received_at.tzinfo is None:
        received_at = received_at.replace(tzinfo=UTC)
    stages = _Stages()
    found = stages.run("language", lambda: languages.detect(said, language), language or "")
    tag = _with_region(found, language)
    told = stages.run("substance", lambda: substance.of(segments, tag), said)[:_ANALYSED_CHARS]
    unsure = classify.Verdict(bucket=Bucket.OTHER, confidence=0.0, scores={})
    verdict = stages.run(
        "bucket", lambda: classify.classify(told, language=tag, vertical=vertical), unsure
    )
    bucket = Bucket(verdict.bucket)
    nothing_heard: tuple[signals.Signal, ...] = ()
    heard = stages.run("signals", lambda: signals.find(said, tag), nothing_heard)
    level = stages.run(
        "urgency",
        lambda: urgency.score(heard, bucket=bucket, rubric=rubric or default_rubric(vertical)),
        Urgency(score=0, level=UrgencyLevel.LOW),
    )
    who = stages.run("name", lambda: name.introduction(said, tag), name.Introduction())
    from_number = stages.run("caller", lambda: e164(caller_id), None)
    number = stages.run(
        "callback", lambda: phone.wanted(said, language=tag, caller_id=from_number), from_number
    )
    caller = Caller(
        name=Name(full=who.full, given=who.given, family=who.family),
        phone=from_number or number,
        email=who.email,
        company=who.company,
    )
    gist = stages.run(
        "summary",
        lambda: summary.summarise(
            told,
            who=who,
            signals=heard if told == said else signals.find(told, tag),
            language=tag,
        ),
        summary.Gist(None, None),
    )
    return Voicemail(
        call=call,
        caller=caller,
        language=None if found == languages.UNDETERMINED else tag[:35],
        bucket=bucket,
        bucket_confidence=max(0.0, min(1.0, verdict.confidence)),
        urgency=level,
        sentiment=stages.run(
            "sentiment", lambda: sentiment.sentiment(told, heard, bucket), Sentiment.NEUTRAL
        ),
        lead_score=stages.run(
            "lead_score",
            lambda: lead_score.lead_score(
                told, bucket=bucket, signals=heard, caller=caller, number=number
            ),
            0,
        ),
        escalate=_escalates(level, heard, bucket),
        reason=gist.reason,
        callback=Callback(number=number),
        appointment=stages.run(
            "appointment",
            lambda: appointments.appointment(
                said, bucket=bucket, language=tag, received_at=received_at, timezone=timezone
            ),
            Appointment(),
        ),
        summary=gist.line,
        transcript=Transcript(segments=segments),
        provenance=Provenance(
            models={
                "bucket": "local-e5",
                "language": "py3langid",
                "urgency": "rubric",
                "slots": "lexicon",
                "summary": "extractive",
            },
            fallbacks=tuple(stages.fallbacks),
        ),
        latency=stages.latency,
    )


def _with_region(found: str, hint: str | None) -> str:
    """Keep the region of a hint ("en-GB") when the text is in its language; no language is English."""
    if hint and languages.primary(hint) == found:
        return hint.replace("_", "-")
    return "en" if found in {"", languages.UNDETERMINED} else found


def load() -> None:
    """Read the models and lexicons now, so that the first voicemail does not wait for them."""
    analyse(
        "Hi, this is Dana, please call me back today at 415 555 0132, thank you.",
        call=Call.model_validate({"id": "load"}),
        received_at=datetime.now(UTC),
        language="en",
    )


def _segments(text_or_segments: str | Sequence[Segment]) -> tuple[Segment, ...]:
    if not isinstance(text_or_segments, str):
        return tuple(text_or_segments)[:2_000]
    # A lone surrogate cannot be written as JSON.
    text = text_or_segments.encode("utf-8", "replace").decode("utf-8")
    parts = range(0, min(len(text), _MAX_CHARS * 50), _MAX_CHARS)
    return tuple(
        Segment(speaker=Speaker.CALLER, start_s=None, end_s=None, text=text[at : at + _MAX_CHARS])
        for at in parts
    )


def _escalates(level: Urgency, heard: Sequence[signals.Signal], bucket: Bucket) -> bool:
    """Tell whether a person in charge should know: critical, or asked for, or threatened with law."""
    if bucket is Bucket.SPAM:
        return False
    return level.level is UrgencyLevel.CRITICAL or any(each.kind in _MANAGER for each in heard)
