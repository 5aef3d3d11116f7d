"""Find the language of a transcript, without any network."""

from __future__ import annotations

import re
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

UNDETERMINED = "und"
"""BCP 47's tag for a text in no language that can be told. Source: RFC 5646, 4.1."""

MOST_CHARACTERS = 4_000
"""As much of a text is read; what follows does not change the answer."""

_SHORT = 24
"""With fewer letters than this a hint is believed."""

_SURE = 0.90
"""A hint is overruled only when the text says another language with this share of certainty."""

_LETTERS = re.compile(r"[^\W\d_]")
_SPACES = re.compile(r"\s+")

_SCRIPTS = (
    # Scripts that (nearly) one language alone uses on the telephone. Source: Unicode Scripts.txt.
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\u1100-\u11ff\uac00-\ud7af]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("ka", re.compile(r"[\u10a0-\u10ff]")),
    ("hy", re.compile(r"[\u0530-\u058f]")),
    ("ta", re.compile(r"[\u0b80-\u0bff]")),
    ("te", re.compile(r"[\u0c00-\u0c7f]")),
    ("kn", re.compile(r"[\u0c80-\u0cff]")),
    ("ml", re.compile(r"[\u0d00-\u0d7f]")),
    ("gu", re.compile(r"[\u0a80-\u0aff]")),
    ("pa", re.compile(r"[\u0a00-\u0a7f]")),
    ("km", re.compile(r"[\u1780-\u17ff]")),
    ("lo", re.compile(r"[\u0e80-\u0eff]")),
    ("si", re.compile(r"[\u0d80-\u0dff]")),
    ("am", re.compile(r"[\u1200-\u137f]")),
)

_SAME = {"no": "nb", "nn": "nb", "iw": "he", "in": "id", "fil": "tl", "cmn": "zh", "yue": "zh"}
"""Tags that are told apart by writers, not by what we do with them."""

_SPOKEN = frozenset(
    re.findall(
        r"\w+",
        "af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id "
        "is it ja ka kk km kn ko ky lo lt lv mk ml mn mr ms mt my nb ne nl no pa pl ps pt ro ru si "
        "sk sl so sq sr sv sw ta te th tl tr uk ur uz vi yo zh zu",
    )
)
"""Languages that telephones are answered in. The identifier knows many more, and takes fillers and
broken transcripts for the rarest of them."""

_FREQUENT = frozenset(re.findall(r"\w+", "ar de en es fr hi it ja ko nl pl pt ru sv tr uk vi zh"))
"""Languages that a word or two may be in."""

_loading = Lock()


@lru_cache(maxsize=1)
def _load() -> LanguageIdentifier:
    # Imported late: the model is read on import of its file and costs some tens of milliseconds.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - see above

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def primary(tag: str | None) -> str | None:
    """Give the primary subtag of a BCP 47 tag in lower case, or None for none: ``pt-BR`` is ``pt``."""
    if not tag:
        return None
    first = re.split(r"[-_]", tag.strip(), maxsplit=1)[0].lower()
    if not re.fullmatch(r"[a-z]{2,3}", first) or first == UNDETERMINED:
        return None
    return _SAME.get(first, first)


def detect(text: str, hint: str | None = None) -> str:
    """Give the BCP 47 primary tag of the language of *text*, ``und`` where there is none.

    *hint* is what the line or the caller's profile says. It wins when the text is short or fits
    it about as well as another language, and it is given back when there is nothing to read.
    """
    hinted = primary(hint)
    sample = _SPACES.sub(" ", text[:MOST_CHARACTERS]).strip()
    letters = len(_LETTERS.findall(sample))
    if letters == 0:
        return hinted or UNDETERMINED
    for tag, script in _SCRIPTS:
        if len(script.findall(sample)) * 3 > letters:
            return tag
    with _loading:
        identifier = _load()
    likely = _FREQUENT if letters < _SHORT else _SPOKEN
    ranked = identifier.rank(sample.lower() if sample.isupper() else sample)
    found, sure = next((tag, share) for tag, share in ranked if tag in likely)
    if hinted and (letters < _SHORT or float(sure) < _SURE):
        return hinted
    return _SAME.get(str(found), str(found))


def shares(text: str) -> tuple[str, float]:
    """Give the likeliest primary tag of a text however short, and how sure that is (0 to 1).

    For callers that weigh it themselves; :func:`detect` is the answer for a transcript.
    """
    sample = _SPACES.sub(" ", text[:MOST_CHARACTERS]).strip()
    letters = len(_LETTERS.findall(sample))
    if letters == 0:
        return UNDETERMINED, 0.0
    for tag, script in _SCRIPTS:
        if len(script.findall(sample)) * 3 > letters:
            return tag, 1.0
    with _loading:
        identifier = _load()
    ranked = identifier.rank(sample.lower() if sample.isupper() else sample)
    spoken = [(str(tag), float(share)) for tag, share in ranked if tag in _SPOKEN]
    found, sure = spoken[0]
    return _SAME.get(found, found), sure / (sum(share for _, share in spoken) or 1.0)
