"""Put together what a model proposes and what the local analysis found. The model proposes, code decides.

| part | rule |
|---|---|
| evidence | must stand in the caller's own words; what does not is dropped |
| bucket | the model's; spam only when it is sure of it or the local analysis says the same |
| signals | those of both; urgency is the tenant's rubric over them, in code |
| number | ours where the two differ and ours fits; the model may choose among the numbers that were said |
| name, company, e-mail | the model's when they were said; else ours |
| appointment | the model's when it lies ahead and its words were said; else ours |
| summary, reason | the model's when every number and e-mail address in it was said; else ours |
| lead score | added up in code, of the model's answers and ours |

What was dropped or overruled is named in ``provenance.fallbacks`` as ``claude:<part>``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mappings.event import (
    Appointment,
    Bucket,
    Callback,
    Caller,
    Name,
    Segment,
    Speaker,
    UrgencyLevel,
    Voicemail,
    Window,
)
from voice.analyse import language as languages
from voice.analyse import lead_score, phone, signals, urgency
from voice.analyse.country import Where, fit, regions
from voice.analyse.digits import joined, runs
from voice.analyse.fold import fold, folded
from voice.analyse.name import parts
from voice.analyse.proposal import Proposal
from voice.analyse.rubric import Rubric

_SURE_OF_SPAM, _AS_SURE = 0.9, 0.8
_MANAGER = frozenset({"manager", "leaving"})
_SOON = frozenset({"now", "soon", "urgent", "hazard"})
_LINE, _REASON, _SHORT = 140, 300, 255
_FEWEST_DIGITS = 3
_FURTHEST = timedelta(days=366)
_LONGEST_WINDOW = timedelta(days=14)
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_NUMBER = re.compile(r"\d(?:[\s().-]{0,2}\d)*")
_ADDRESS = re.compile(r"\S+@\S+|https?://\S+|www\.\S+", re.IGNORECASE)


@dataclass(slots=True)
class _Merge:
    """One merge: the proposal, what the caller said, and what had to be dropped."""

    proposal: Proposal
    said: str
    plain: str
    dropped: list[str] = field(default_factory=list)

    def was_said(self, words: str | None, part: str) -> bool:
        """Tell whether the caller said these words; notes it when not."""
        if not words or not words.strip() or "[" in words:
            return False  # brackets are ours: what was redacted is no name
        if _plain(words) and f" {_plain(words)} " in f" {self.plain} ":
            return True
        self.drop(part)
        return False

    def drop(self, part: str) -> None:
        """Note that a part of the proposal was not believed."""
        if f"claude:{part}" not in self.dropped:
            self.dropped.append(f"claude:{part}")


def merged(
    local: Voicemail,
    proposal: Proposal,
    *,
    read: Sequence[Segment],
    rubric: Rubric,
    received_at: datetime,
    model: str,
) -> Voicemail:
    """Give the event's data of both. ``read`` is what the model was given, which may have been redacted."""
    said = " ".join(part.text for part in read if part.speaker is Speaker.CALLER)
    merge = _Merge(proposal, said, _plain(said))
    tag = _language(merge, local)
    bucket = _bucket(merge, local)
    heard = _signals(merge, local, tag)
    level = urgency.score(heard, bucket=bucket, rubric=rubric)
    number = _number(merge, local, tag)
    caller = _caller(merge, local, tag, number)
    escalates = _escalates(merge, heard, level.level, bucket)
    return local.model_copy(
        update={
            "language": tag,
            "bucket": bucket,
            "bucket_confidence": _confidence(merge, local, bucket),
            "urgency": level,
            "sentiment": proposal.sentiment,
            "lead_score": _lead_score(
                merge, local, heard, bucket=bucket, caller=caller, number=number
            ),
            "escalate": escalates,
            "caller": caller,
            "callback": Callback(number=number),
            "appointment": _appointment(merge, local, bucket, received_at),
            "reason": _words(merge, "reason", proposal.reason, _REASON) or local.reason,
            "summary": _words(merge, "summary", proposal.summary, _LINE) or local.summary,
            "provenance": local.provenance.model_copy(
                update={
                    "models": {**local.provenance.models, **dict.fromkeys(_STAGES, model)},
                    "fallbacks": (*local.provenance.fallbacks, *merge.dropped),
                }
            ),
        }
    )


_STAGES = ("bucket", "slots", "summary", "sentiment", "signals")


def _plain(words: str) -> str:
    """Give words for comparing: transcribers and models differ in case, accents and marks only."""
    return " ".join(re.findall(r"\w+", folded(words)))


def _language(merge: _Merge, local: Voicemail) -> str | None:
    tag = merge.proposal.language.strip()
    found = languages.primary(tag) if _TAG.fullmatch(tag) else None
    if found is None or found == languages.primary(local.language):
        return local.language
    # Scripts do not lie: what is written in Thai is not English.
    if languages.detect(merge.said) in {"th", "ja", "ko", "el", "he", "ka", "hy", "km", "lo", "am"}:
        merge.drop("language")
        return local.language
    return tag


def _bucket(merge: _Merge, local: Voicemail) -> Bucket:
    proposed = merge.proposal.bucket
    is_sure = merge.proposal.bucket_confidence >= _SURE_OF_SPAM
    if proposed is Bucket.SPAM and local.bucket is not Bucket.SPAM and not is_sure:
        merge.drop("bucket")
        return local.bucket
    return proposed


def _confidence(merge: _Merge, local: Voicemail, bucket: Bucket) -> float:
    proposed = max(0.0, min(1.0, merge.proposal.bucket_confidence))
    own = local.bucket_confidence or 0.0
    if bucket is not merge.proposal.bucket:
        return own
    return max(proposed, own) if bucket is local.bucket else min(proposed, _AS_SURE)


def _signals(merge: _Merge, local: Voicemail, tag: str | None) -> list[signals.Signal]:
    heard = list(signals.find(merge.said, tag or local.language))
    known = {one.kind for one in heard}
    for one in merge.proposal.signals:
        kind = one.kind.value
        if kind not in known and merge.was_said(one.evidence, "evidence"):
            known.add(kind)
            evidence = " ".join(one.evidence.split())[:_SHORT]
            heard.append(signals.Signal(kind, evidence, merge.said.find(evidence)))
    return heard


def _number(merge: _Merge, local: Voicemail, tag: str | None) -> str | None:
    proposed = merge.proposal.callback_number
    own = local.callback.number
    if not proposed:
        return own
    caller_id = local.call.from_
    has_plus = proposed.strip().startswith("+")
    digits = re.sub(r"\D", "", proposed)
    where = Where(regions(tag, caller_id), is_certain=caller_id is not None, caller=caller_id)
    found = fit(digits, where, has_plus=has_plus) if digits else None
    number = found.number if found else None
    if number == own:
        return own
    said = phone.find(merge.said, language=tag, caller_id=caller_id)
    if number and any(one.number == number for one in said):
        return number  # several were said: the model knows better which is meant
    if number and not said and _is_dictated(digits, merge.said, tag):
        return number
    merge.drop("number")
    return own


def _is_dictated(digits: str, said: str, tag: str | None) -> bool:
    """Tell whether our own reader finds these digits in the caller's words."""
    language = (tag or "en").split("-", maxsplit=1)[0].lower()
    return any(
        digits in joined(reading) for run in runs(fold(said), language) for reading in run.readings
    )


def _caller(merge: _Merge, local: Voicemail, tag: str | None, number: str | None) -> Caller:
    proposal, caller = merge.proposal, local.caller
    name = caller.name
    if merge.was_said(proposal.name, "name"):
        full = " ".join((proposal.name or "").split())[:_SHORT]
        if folded(full) != folded(name.full or ""):
            given, family = parts(full, (tag or "en").split("-", maxsplit=1)[0].lower())
            name = Name(full=full, given=given, family=family)
    company = caller.company
    if merge.was_said(proposal.company, "company"):
        company = " ".join((proposal.company or "").split())[:_SHORT]
    email = caller.email
    if not email and proposal.email and proposal.email.lower() in merge.said.lower():
        email = proposal.email[:_SHORT]
    return Caller(
        name=name,
        phone=caller.phone if local.call.from_ else number,
        email=email,
        company=company,
        known=caller.known,
    )


def _appointment(
    merge: _Merge, local: Voicemail, bucket: Bucket, received_at: datetime
) -> Appointment:
    proposed, own = merge.proposal.appointment, local.appointment
    if bucket is Bucket.SPAM:
        return Appointment()
    service = own.service
    if merge.was_said(proposed.service, "service"):
        service = " ".join((proposed.service or "").split())[:_SHORT]
    window = own.window
    if proposed.start and merge.was_said(proposed.evidence, "appointment"):
        read = _window(proposed.start, proposed.end, received_at)
        if read is None:
            merge.drop("appointment")
        elif own.window.start and own.window.start.date() != (read.start or received_at).date():
            merge.drop("appointment")  # two readings of one day: ours can be explained
        else:
            window = read
    return Appointment(window=window, service=service)


def _window(start: str, end: str | None, received_at: datetime) -> Window | None:
    """Read a window that lies ahead; None when it is none."""
    try:
        begins = datetime.fromisoformat(start)
        ends = datetime.fromisoformat(end) if end else begins + timedelta(hours=1)
        if begins.tzinfo is None or ends.tzinfo is None:
            return None
        is_ahead = received_at - timedelta(hours=1) <= begins <= received_at + _FURTHEST
        is_span = begins < ends <= begins + _LONGEST_WINDOW
        if not (is_ahead and is_span):
            return None
        return Window(start=begins.astimezone(UTC), end=ends.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _words(merge: _Merge, part: str, proposed: str | None, longest: int) -> str | None:
    """Give a sentence of the model's if it invents no number and no address, as plain text."""
    line = " ".join("".join(c if c.isprintable() else " " for c in proposed or "").split())
    line = re.sub(r"[<>{}|`]", "", line).strip()
    if not line:
        return None
    digits = re.sub(r"\D", "", folded(merge.said))
    spoken = "".join(
        joined(run.readings[0])
        for run in runs(fold(merge.said), (merge.proposal.language or "en")[:2])
    )
    for match in _NUMBER.finditer(folded(line)):
        number = re.sub(r"\D", "", match.group())
        if len(number) >= _FEWEST_DIGITS and number not in digits and number not in spoken:
            merge.drop(part)
            return None
    if any(found.lower() not in merge.said.lower() for found in _ADDRESS.findall(line)):
        merge.drop(part)
        return None
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _lead_score(
    merge: _Merge,
    local: Voicemail,
    heard: Sequence[signals.Signal],
    *,
    bucket: Bucket,
    caller: Caller,
    number: str | None,
) -> int:
    lead, kinds = merge.proposal.lead, {one.kind for one in heard}
    own = lead_score.lead_score(
        merge.said, bucket=bucket, signals=heard, caller=caller, number=number
    )
    proposed = lead_score.total(
        bucket=bucket,
        wants_to_buy=lead.wants_to_buy,
        is_large=lead.is_large or "important" in kinds,
        is_soon=lead.is_soon or bool(kinds & _SOON),
        caller=caller,
        number=number,
    )
    return max(own, proposed) if local.bucket is bucket else proposed


def _escalates(
    merge: _Merge, heard: Sequence[signals.Signal], level: UrgencyLevel, bucket: Bucket
) -> bool:
    if bucket is Bucket.SPAM:
        return False
    wants = merge.proposal.wants_person_in_charge and merge.was_said(
        merge.proposal.wants_person_evidence, "escalate"
    )
    return wants or level is UrgencyLevel.CRITICAL or any(one.kind in _MANAGER for one in heard)
