"""Score urgency by the tenant's rubric: signals in, points with their evidence out."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.event import Bucket, Urgency, UrgencyLevel, UrgencyReason
from voice.analyse.rubric import Rubric
from voice.analyse.signals import Signal

#: Signals that a caller's "no rush" does not outweigh.
_GRAVE = frozenset({"life", "hazard"})


def score(signals: Sequence[Signal], *, bucket: Bucket, rubric: Rubric) -> Urgency:
    """Give the urgency: the sum of the rubric's lines that apply, kept between 0 and 100.

    Spam is never urgent. The reasons come in the order of the rubric, with the words that count.
    """
    if bucket is Bucket.SPAM:
        return Urgency(score=0, level=UrgencyLevel.LOW)
    heard = {signal.kind: signal for signal in signals}
    if "calm" in heard and _GRAVE & heard.keys():
        del heard["calm"]
    reasons = []
    for line in rubric.lines:
        needed = not line.needs or any(signal in heard for signal in line.needs)
        if line.signal == f"bucket:{bucket}":
            reasons.append(UrgencyReason(line=line.label, points=line.points, evidence=None))
        elif line.signal in heard and needed:
            evidence = heard[line.signal].evidence or None
            reasons.append(UrgencyReason(line=line.label, points=line.points, evidence=evidence))
    total = max(0, min(100, sum(reason.points for reason in reasons)))
    return Urgency(score=total, level=rubric.level(total), reasons=tuple(reasons))
