"""Tell how the caller sounded, from what was said."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.event import Bucket, Sentiment
from voice.analyse.fold import folded
from voice.analyse.gist import phrase
from voice.analyse.signals import Signal

_BAD = frozenset({"angry", "leaving"})
_WORRIED = frozenset({"life", "hazard", "outage", "heating", "health", "repeated", "money"})


def sentiment(text: str, signals: Sequence[Signal], bucket: Bucket) -> Sentiment:
    """Give negative for anger or trouble, positive for praise and joy, else neutral."""
    heard = {signal.kind for signal in signals}
    is_happy = phrase("happy").search(folded(text)) is not None
    if bucket is Bucket.SPAM:
        return Sentiment.NEUTRAL
    if heard & _BAD or (heard & _WORRIED and "resolved" not in heard and not is_happy):
        return Sentiment.NEGATIVE
    return Sentiment.POSITIVE if is_happy else Sentiment.NEUTRAL
