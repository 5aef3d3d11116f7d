"""Say which bucket a transcript belongs in, without any network.

The transcript goes through the encoder, whose upper layers were taught the buckets
(``voice.analyse.tune``); a linear head on the mean of the last states gives a score per bucket,
and a temperature makes them honest chances. Spam is believed only when it is nearly certain,
because a lead that is thrown away is the worst error. The weights are made by
``python -m voice.analyse.train``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType

import numpy as np
from threadpoolctl import threadpool_limits

from mappings.event import Bucket
from voice.analyse.encoder import Encoder, Numbers, encoder, soft
from voice.analyse.tune import adapted

WEIGHTS = Path(__file__).with_name("classifier.npz")
BUCKETS = tuple(Bucket)

_LETTER = re.compile(r"[^\W\d_]")
_NOISE = re.compile(r"\[[^\]]{0,60}\]|\([^)]{0,60}\)")


class ClassifierMissingError(RuntimeError):
    """The classifier's own weights are missing or were made for other buckets."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The bucket of a transcript; *confidence* is its chance of being right, 0 to 1.

    *scores* has a chance for every bucket; they add up to 1. The bucket is the likeliest one,
    except that spam has to be nearly certain and otherwise leaves the place to the next.
    """

    bucket: Bucket
    confidence: float
    scores: Mapping[Bucket, float]


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder with its head, and how to read the scores."""

    encoder: Encoder
    weight: Numbers
    bias: Numbers
    temperature: float
    spam_from: float

    def judge(self, text: str) -> Verdict:
        """Give the verdict on one transcript."""
        # An empty line, a beep or breathing is a call that belongs in "other" by definition.
        if not _LETTER.search(_NOISE.sub(" ", text)):
            return verdict(np.eye(len(BUCKETS))[BUCKETS.index(Bucket.OTHER)], self.spam_from)
        pooled = self.encoder.states(text)[-1].mean(axis=0)
        chances = soft((pooled @ self.weight + self.bias) / np.float32(self.temperature))
        return verdict(chances, self.spam_from)


def verdict(chances: Numbers, spam_from: float) -> Verdict:
    """Choose by *chances*, in the order of the buckets; spam only from *spam_from* on."""
    scores = dict(zip(BUCKETS, (float(chance) for chance in chances), strict=True))
    order = sorted(BUCKETS, key=lambda bucket: -scores[bucket])
    best = order[0]
    if best is Bucket.SPAM and scores[best] < spam_from:
        best = order[1]
    return Verdict(best, round(min(scores[best], 1.0), 4), MappingProxyType(scores))


def load(path: Path = WEIGHTS) -> Model:
    """Read the weights. Raises ClassifierMissingError when they do not fit this code."""
    if not path.is_file():
        raise ClassifierMissingError(
            f"{path} is missing: reinstall Afterbeep, or make it with python -m voice.analyse.train."
        )
    with np.load(path, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files}
    if tuple(kept["buckets"].tolist()) != tuple(bucket.value for bucket in BUCKETS):
        raise ClassifierMissingError(
            f"{path} was made for other buckets: make it again with python -m voice.analyse.train."
        )
    return Model(
        encoder=adapted(encoder(), kept),
        weight=kept["head.weight"].astype(np.float32),
        bias=kept["head.bias"].astype(np.float32),
        temperature=float(kept["temperature"]),
        spam_from=float(kept["spam_from"]),
    )


_loading = Lock()


@lru_cache(maxsize=1)
def _load_once() -> Model:
    # The matrices are too small to share: threads that wait for each other spin, nine times the work for no gain.
    threadpool_limits(limits=1, user_api="blas")
    return load()


def model() -> Model:
    """Give the process's model; the first caller loads it (under a second), the others wait."""
    with _loading:
        return _load_once()


def classify(
    text: str,
    *,
    language: str | None = None,  # noqa: ARG001 - one model reads all languages; callers may know it
    vertical: str | None = None,  # noqa: ARG001 - one model serves all trades; callers may know it
) -> Verdict:
    """Give the bucket of one transcript. Safe to call from many threads.

    *language* (BCP 47) and *vertical* may be given where they are known; the present model reads
    every language and trade with the same weights and does not need them.
    """
    return model().judge(text)


def classify_many(texts: Iterable[str]) -> list[Verdict]:
    """Give the bucket of each transcript; verdict i belongs to text i."""
    judge = model().judge
    return [judge(text) for text in texts]
