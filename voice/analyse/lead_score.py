"""Score how promising a caller is for new business, 0 to 100."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.event import Bucket, Caller
from voice.analyse.fold import folded
from voice.analyse.gist import phrase
from voice.analyse.signals import Signal

_START = {
    Bucket.NEW_LEAD: 45,
    Bucket.APPOINTMENT: 30,
    Bucket.EXISTING_CUSTOMER: 20,
    Bucket.OTHER: 10,
    Bucket.SUPPORT: 10,
    Bucket.BILLING: 10,
}
_SOON = frozenset({"now", "soon", "urgent", "hazard"})
_INTENT, _SIZE, _TIMEFRAME = 15, 10, 10
_PHONE, _NAME, _MORE = 10, 5, 5


def lead_score(
    text: str, *, bucket: Bucket, signals: Sequence[Signal], caller: Caller, number: str | None
) -> int:
    """Add up bucket, buying intent, size, timeframe and how complete the contact is; spam is 0."""
    if bucket is Bucket.SPAM:
        return 0
    plain = folded(text)
    heard = {signal.kind for signal in signals}
    return total(
        bucket=bucket,
        wants_to_buy=phrase("buying").search(plain) is not None,
        is_large=phrase("size").search(plain) is not None or "important" in heard,
        is_soon=bool(heard & _SOON),
        caller=caller,
        number=number,
    )


def total(
    *,
    bucket: Bucket,
    wants_to_buy: bool,
    is_large: bool,
    is_soon: bool,
    caller: Caller,
    number: str | None,
) -> int:
    """Add up what is known of a caller, whoever found it out; spam is 0."""
    if bucket is Bucket.SPAM:
        return 0
    score = _START[bucket] + _INTENT * wants_to_buy + _SIZE * is_large + _TIMEFRAME * is_soon
    score += _PHONE * (number is not None) + _NAME * (caller.name.full is not None)
    score += _MORE * (caller.email is not None or caller.company is not None)
    return max(0, min(100, score))
