"""What callers say is untrusted text: take out what no field should ever receive."""

from __future__ import annotations

import re
from typing import Final

# Controls except tab and line feed, bidirectional embeddings and overrides (they make text read
# other than it is), byte order marks, annotation marks, and halves of surrogate pairs (which
# cannot be written as UTF-8). Joiners stay: Persian, Hindi and emoji need them.
_UNWANTED: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_BREAKS: Final = re.compile("\r\n?|[\x85\u2028\u2029]")


def clean(text: str) -> str:
    r"""Give text without control characters; every kind of line break becomes a line feed.

    >>> clean("Leak\x00 in\r\nthe kitchen")
    'Leak in\nthe kitchen'
    """
    # Everything that is taken out below counts as unprintable, and most text has none of it.
    if text.isprintable():
        return text
    return _UNWANTED.sub("", _LINE_BREAKS.sub("\n", text))


def is_clean(text: str) -> bool:
    """Tell whether cleaning would leave the text as it is."""
    return text.isprintable() or clean(text) == text
