"""How many parts a text is sent and charged as.

A text of GSM-7 letters has 160 in one part and 153 in each of several; one other letter makes the whole
text UCS-2, with 70 and 67. Some GSM-7 signs count twice, and so does what lies beyond the first 65,536 letters.
Source: https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding (2026-11-22)
"""

from __future__ import annotations

#: Twilio refuses longer texts (error 21617).
#: Source: https://www.twilio.com/docs/api/errors/21617 (2026-11-22)
MAX_CHARS = 1_600
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWICE = frozenset("\f^{}\\[~]|€")
_GSM_ONE, _GSM_EACH, _UCS_ONE, _UCS_EACH = 160, 153, 70, 67


def is_gsm7(text: str) -> bool:
    """Say whether the whole text can be sent in the small alphabet."""
    return all(sign in _BASIC or sign in _TWICE for sign in text)


def segments(text: str) -> int:
    """Count the parts of a text; an empty one counts as one."""
    if is_gsm7(text):
        sizes = [2 if sign in _TWICE else 1 for sign in text]
        return _parts(sizes, _GSM_ONE, _GSM_EACH)
    sizes = [len(sign.encode("utf-16-be")) // 2 for sign in text]
    return _parts(sizes, _UCS_ONE, _UCS_EACH)


def _parts(sizes: list[int], one: int, each: int) -> int:
    """Fill part by part: a sign that counts twice is never cut in two."""
    if sum(sizes) <= one:
        return 1
    parts, used = 1, 0
    for size in sizes:
        if used + size > each:
            parts, used = parts + 1, 0
        used += size
    return parts
