"""Tell what a caller came to say from what they only answered.

In a conversation most turns say yes or no, give or confirm a number, or take leave. They stay in the
transcript, and names, numbers and signals are read from them; but what a call is about is said in the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from mappings.event import Segment, Speaker
from voice import languages
from voice.analyse import signals
from voice.analyse.country import tables
from voice.analyse.digits import joined, runs
from voice.analyse.fold import fold, folded
from voice.analyse.gist import phrase
from voice.analyse.name import introduction
from voice.analyse.spoken import SOLID, phrase_pattern

_CLAUSE = re.compile(r"[^,;:.!?…。、！？，；：।؟،\n]+")
_FIELD = re.compile(r"\{\w+\}")
_NOT_LETTERS = re.compile(r"[\W_]+")
#: A clause with more words than these is more than yes, no, or a name.
_ANSWER_WORDS, _CLOSING_WORDS, _BESIDE_WORDS, _DIGITS = 3, 7, 6, 3
#: What answers a question of the agent's is no longer than this.
_REPLY_WORDS, _SIGNS_A_WORD = 14, 2
#: How pressing something is says nothing of what it is.
_HOW_PRESSING = frozenset({"calm", "soon", "now", "urgent", "resolved"})
#: What the agent asks for beside the reason of the call: answers to these lines say nothing of it.
_ASKED = (
    *("offer_caller_id", "ask_number", "number_wrong", "confirm_number"),
    *("ask_name", "ask_urgency", "ask_sms_consent", "offer_times"),
)
_LEAST_PIECE = 12


def of(segments: Sequence[Segment], language: str | None) -> str:
    """Give what the caller said of substance, in one string; all of it where nothing is."""
    tag = language or "en"
    said = [part.text for part in segments if part.speaker is Speaker.CALLER]
    if len(said) < 2:  # noqa: PLR2004  # a voicemail is one turn
        return " ".join(said)
    kept: list[str] = []
    asked = ""
    for part in segments:
        if part.speaker is not Speaker.CALLER:
            asked = part.text
        elif not is_answer(part.text, tag, asked=asked):
            kept.append(_without_contact(part.text, tag))
    return " ".join(kept or said)


def _without_contact(text: str, language: str) -> str:
    """Leave out the clauses that only say who calls and on which number."""
    name = _name(text, language)
    for match in reversed(list(_CLAUSE.finditer(text))):
        clause = match.group().strip()
        is_of_contact = (
            bool(clause)
            and _words(clause) <= _CLOSING_WORDS
            and not phrase("wants").search(folded(clause))
            and (_is_dictated(clause, language) or name in folded(clause))
        )
        if is_of_contact:
            text = f"{text[: match.start()].rstrip(' ,;:')} {text[match.end() :].lstrip(' ,;:')}"
    return text.strip()


def is_answer(text: str, language: str, *, asked: str = "") -> bool:
    """Tell whether a turn only answers, confirms, dictates or takes leave.

    ``asked`` is what the agent said before it.
    """
    kinds = {one.kind for one in signals.find(text, language)}
    if kinds - _HOW_PRESSING:
        return False
    words, clauses = _words(text), _clauses(text)
    if words <= _REPLY_WORDS and _is_asked_beside(folded(asked), language):
        return True
    is_refusal = bool(clauses) and languages.yes_no(clauses[0], language) is False
    if is_refusal and _words(clauses[0]) == 1 and words <= _CLOSING_WORDS:
        return True
    name = _name(text, language)
    return all(_is_empty(clause, language, name) for clause in clauses)


def _name(text: str, language: str) -> str:
    """Give the name that a caller introduces themselves by, folded; without one, what is in no clause."""
    return folded(introduction(text, language).full or "\n")


def _clauses(text: str) -> list[str]:
    return [found for match in _CLAUSE.finditer(text) if (found := match.group().strip())]


def _is_empty(clause: str, language: str, name: str) -> bool:
    """Tell whether a clause says nothing of what the call is about."""
    plain = folded(clause)
    if not _NOT_LETTERS.sub("", plain) or languages.is_backchannel(clause, language):
        return True
    if _is_dictated(clause, language):
        return True
    if _words(clause) > _CLOSING_WORDS:
        return False
    is_of_contact = (
        name in plain or _number().search(plain) or languages.wants_repeat(clause, language)
    )
    return bool(is_of_contact) or (
        not phrase("wants").search(plain) and _is_of_course(clause, plain, language)
    )


def _is_of_course(clause: str, plain: str, language: str) -> bool:
    """Tell whether a clause thanks, takes leave, says how pressing it is, or says yes or no."""
    if phrase("closing").search(plain) or languages.says_goodbye(clause, language):
        return True
    if signals.find(clause, language):
        return True  # signals of other kinds have made the turn no answer already
    return _words(clause) <= _ANSWER_WORDS and languages.yes_no(clause, language) is not None


def _is_dictated(clause: str, language: str) -> bool:
    """Tell whether a clause gives a number: digits, and few words beside them."""
    primary = language.split("-", maxsplit=1)[0].lower()
    found = runs(fold(clause), primary)
    digits = sum(len(joined(run.readings[0])) for run in found)
    beside = clause
    for run in reversed(found):
        start, end = fold(clause).span(run.start, run.end)
        beside = f"{beside[:start]} {beside[end:]}"
    return digits >= _DIGITS and _words(beside) <= _BESIDE_WORDS


def _words(text: str) -> int:
    signs = len(SOLID.findall(text))
    return signs // _SIGNS_A_WORD + len(SOLID.sub(" ", text).split())


@cache
def _number() -> re.Pattern[str]:
    """Compile how callers speak of the number to call back."""
    return phrase_pattern(f"{tables()['cues']['same']},{tables()['cues']['for']}".split(","))


def _is_asked_beside(asked: str, language: str) -> bool:
    """Tell whether the agent's last words asked for something that is not the reason, in our fixed words."""
    return any(piece in asked[-len(piece) - _LEAST_PIECE :] for piece in _pieces(language))


@lru_cache(maxsize=128)
def _pieces(language: str) -> tuple[str, ...]:
    """Give the last words of the fixed questions, folded, without what is filled in."""
    found: list[str] = []
    for tag in dict.fromkeys((language, "en")):
        for name in _ASKED:
            for text in languages.variants(name, tag):
                last = folded(_FIELD.split(text)[-1]).strip(" .,:")
                found += [last] if last else []
    return tuple(dict.fromkeys(found))
