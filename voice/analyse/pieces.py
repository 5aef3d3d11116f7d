"""Cut text into the word pieces that multilingual-e5-small was trained on.

The vocabulary is a SentencePiece unigram model: every piece has a log probability, and a text is
cut where the sum is largest (Viterbi). Source: https://arxiv.org/abs/1804.10959 (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SPACE = "\u2581"
"""What a space is in the vocabulary."""

_UNKNOWN_PENALTY = 10.0
"""How much worse than the rarest piece an unknown character is, as in SentencePiece itself."""

_NEVER = -1e30


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The pieces and how characters are normalised before pieces are looked up."""

    ids: Mapping[str, int]
    scores: tuple[float, ...]
    normal: Mapping[int, str]
    begin: int
    end: int
    unknown: int
    longest: int
    worst: float

    def cut(self, text: str) -> list[int]:
        """Give the ids of the pieces of *text*, without the marks for its begin and end."""
        chars = SPACE + SPACE.join(text.translate(self.normal).split())
        best = [_NEVER] * (len(chars) + 1)
        piece = [self.unknown] * (len(chars) + 1)
        came_from = [0] * (len(chars) + 1)
        best[0] = 0.0
        penalty = self.worst - _UNKNOWN_PENALTY
        ids, scores, longest = self.ids, self.scores, self.longest
        for start in range(len(chars)):
            so_far = best[start]
            for stop in range(start + 1, min(start + longest, len(chars)) + 1):
                found = ids.get(chars[start:stop])
                if found is not None and so_far + scores[found] > best[stop]:
                    best[stop] = so_far + scores[found]
                    piece[stop] = found
                    came_from[stop] = start
            if so_far + penalty > best[start + 1]:
                best[start + 1] = so_far + penalty
                piece[start + 1] = self.unknown
                came_from[start + 1] = start
        return _walk_back(piece, came_from)


def _walk_back(piece: list[int], came_from: list[int]) -> list[int]:
    """Collect the pieces of the best cut, first piece first."""
    found = []
    at = len(piece) - 1
    while at > 0:
        found.append(piece[at])
        at = came_from[at]
    return found[::-1]
