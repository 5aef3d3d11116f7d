"""Find the telephone number that a caller wants to be called back on, as E.164.

Digits that were said or written come from ``voice.analyse.digits``. Here corrections ("no, sorry,
0133") replace what they correct, cue words ("my mobile is", "invoice number") say which of several
numbers is meant, and the caller id, the language and the country code decide the country. Numbers
are checked with ``phonenumbers``: possible is enough, as numbers in fiction and new ranges are not valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from voice.analyse.corrections import MIN_DIGITS, is_announced, is_whole, repaired
from voice.analyse.country import VALID, Where, e164, fit, regions, tables
from voice.analyse.digits import Atom, Run, joined, runs
from voice.analyse.fold import Folded, fold
from voice.analyse.spoken import likely_languages, phrase_pattern, phrases

_MAX_DIGITS = 17
_CUE_REACH = 90
_CUE_WEIGHT, _CODE_PENALTY, _AGAINST_PENALTY, _SAME_NUMBER = 30.0, 70.0, 45.0, 15.0
_LEAST, _SETTLED = 50.0, 70.0
_QUALIFIES, _CODE_REACH = 12, 22
_UNLIKELY_READING, _ANY_START, _PART, _ENOUGH = 24.0, 8.0, 22.0, 36.0
#: After a code word these begin something else, whose number is meant.
_NEW_THOUGHT = re.compile(
    r"\s*(?:,|(?:and |so |please )*(?:call|reach|ring|text|phone|rappel|ruf|llam)\w*\b)"
)
_DATE = re.compile(
    r"(?<![\d./-])(?:(?:19|20)\d\d([./-])\d{1,2}\1\d{1,2}|\d{1,2}([./-])\d{1,2}\2(?:19|20)\d\d)(?![./-]?\d)"
)


@dataclass(frozen=True, slots=True)
class Said:
    """A telephone number in a text: E.164, where it stands, and how well it fits (0 to about 150)."""

    number: str
    start: int
    end: int
    score: float


@cache
def _cues(key: str) -> re.Pattern[str]:
    return phrase_pattern(str(tables()["cues"][key]).split(","))


def find(text: str, *, language: str | None = None, caller_id: str | None = None) -> list[Said]:
    """Give the telephone numbers in a text, the one to call back first.

    ``language`` is a BCP 47 tag; where its number words give nothing, the languages whose digit
    words occur in the text are tried. ``caller_id`` gives the country and, for numbers said without
    one, the area code.
    """
    caller = e164(caller_id)
    whole = _without_dates(fold(text))
    tag = (language or "en").replace("_", "-")
    tried = dict.fromkeys([tag.split("-", maxsplit=1)[0].lower(), "en"])
    for name in tried:
        found = _find(whole, name, tag, caller)
        if found:
            return found
    for name in likely_languages(whole)[:4]:
        found = _find(whole, name, tag if name in tried else name, caller)
        if found:
            return found
    return []


def _without_dates(text: Folded) -> Folded:
    masked = _DATE.sub(lambda match: "#" * len(match.group()), text.text)
    return Folded(masked, text.source, text.at)


def wanted(text: str, *, language: str | None = None, caller_id: str | None = None) -> str | None:
    """Give the number to call back: the one that was said, else the caller id, else None."""
    found = find(text, language=language, caller_id=caller_id)
    caller = e164(caller_id)
    if caller and found and found[0].score < VALID and _cues("same").search(fold(text).text):
        return caller
    return found[0].number if found else caller


def _find(text: Folded, language: str, tag: str, caller: str | None) -> list[Said]:
    listed = regions(tag, caller)
    is_certain = bool(listed) and (caller is not None or "-" in tag)
    where = Where(listed, is_certain, caller)
    groups = [
        run
        for run in runs(text, language)
        if not _is_extension(text, run) and not _is_money(text, run)
    ]
    chosen: list[Said] = []
    for index, run in enumerate(groups):
        before = groups[index - 1] if index else None
        corrected = _corrected(text, before, run, where) if before else None
        said = corrected or _best(text, run, where)
        if said is None:
            continue
        if corrected and chosen and before and chosen[-1].start >= before.start:
            wrong = chosen.pop()
            said = replace(said, score=max(said.score, wrong.score))
        chosen.append(said)
    return _ranked(chosen)


def _ranked(chosen: Sequence[Said]) -> list[Said]:
    """Join what was said twice, drop what is hardly a telephone number, put the best first."""
    merged: dict[str, Said] = {}
    for said in chosen:
        first = merged.get(said.number)
        score = said.score if first is None else max(first.score, said.score) + _SAME_NUMBER
        base = first or said
        merged[said.number] = Said(base.number, base.start, base.end, score)
    kept = [said for said in merged.values() if said.score >= _LEAST]
    return sorted(kept, key=lambda said: -said.score)


def _corrected(text: Folded, before: Run, after: Run, where: Where) -> Said | None:
    if not is_announced(text, before, after):
        return None
    start = before.start
    cue = max(_cue(text, start, after.end, start), 0.0)
    found = repaired(before, after, where)
    again = _likeliest(after, where) if is_whole(before, after) else None
    if again and again.score >= max(VALID - _ENOUGH, found.quality if found else 0.0):
        return replace(again, start=start, score=again.score + cue)
    if found is None:
        return None
    return Said(found.number, start, after.end, found.quality + cue)


def _best(text: Folded, run: Run, where: Where) -> Said | None:
    """Choose the number of a run, weighed by the words around it."""
    best = _likeliest(run, where)
    if best is None:
        return None
    return replace(best, score=best.score + _cue(text, best.start, best.end, run.start))


def _likeliest(run: Run, where: Where) -> Said | None:
    """Choose the stretch of a run, and its reading, that makes the best telephone number."""
    best: Said | None = None
    for is_any_start in (False, True):
        for rank, atoms in enumerate(run.readings):
            for first, last in _stretches(atoms, is_any_start=is_any_start):
                part = atoms[first:last]
                found = fit(joined(part), where, has_plus=part[0].begins_number)
                if found is None:
                    continue
                score = found.quality - _UNLIKELY_READING * (rank > 0) - min(rank, 6)
                score -= _ANY_START * is_any_start
                score -= _PART * (first > 0) + _PART * (last < len(atoms))
                if best is None or score > best.score:
                    best = Said(found.number, part[0].start, part[-1].end, score)
        if best and best.score >= _SETTLED:
            break
    return best


def _stretches(atoms: Sequence[Atom], *, is_any_start: bool) -> Iterator[tuple[int, int]]:
    for first in range(len(atoms)):
        if first and not atoms[first].pause and not is_any_start:
            continue
        length = 0
        for last in range(first, len(atoms)):
            if last > first and atoms[last].begins_number:
                break
            length += len(atoms[last].digits)
            if length > _MAX_DIGITS:
                break
            is_end = last + 1 == len(atoms) or atoms[last + 1].pause > 0
            # A particle right after the number may sound like a digit: Korean "i", Japanese "ni".
            is_end = is_end or (last + 2 == len(atoms) and atoms[-1].is_particle)
            if length >= MIN_DIGITS and (is_end or is_any_start):
                yield first, last + 1


def _is_extension(text: Folded, run: Run) -> bool:
    before = text.text[max(0, run.start - 24) : run.start]
    matches = list(phrases("extension", "words").finditer(before))
    return bool(matches) and not before[matches[-1].end() :].strip(" .,:#-isnumber")


def _is_money(text: Folded, run: Run) -> bool:
    return bool(phrases("units", "money").match(text.text[run.end : run.end + 24].lstrip(" -")))


def _is_qualified(before: str, code: int, cue: int) -> bool:
    """Tell whether a code word says whose number it is: "order number is", and not "…invoice, call me at"."""
    if cue < 0 or cue <= code:
        return True
    between = before[code:cue]
    return len(between) <= _QUALIFIES and not _NEW_THOUGHT.match(between)


def _cue(text: Folded, start: int, end: int, run_start: int) -> float:
    """Weigh the words around a number: for it, against it, or naming it as a code."""
    before = text.text[max(0, start - _CUE_REACH) : start]
    after = re.split(r"[.!?;\n]", text.text[end : end + 45], maxsplit=1)[0]
    nearest = {
        kind: max((match.end() for match in _cues(kind).finditer(before)), default=-1)
        for kind in ("for", "codes", "against")
    }
    between = before[max(nearest["codes"], 0) :]
    if start > run_start or len(between) > _CODE_REACH or re.search(r"[\d.!?;]", between):
        # The code word belongs to other digits, or to another thought.
        nearest["codes"] = -1
    where = max(nearest.values())
    score = 0.0
    if where >= 0:
        distance = len(before) - where
        weight = max(0.2, 1 - distance / _CUE_REACH)
        # "Order number is": the code word qualifies the cue that follows at once.
        if nearest["codes"] >= 0 and _is_qualified(before, nearest["codes"], nearest["for"]):
            score -= _CODE_PENALTY * weight
        elif nearest["against"] >= 0 and nearest["for"] - nearest["against"] <= _QUALIFIES:
            score -= _AGAINST_PENALTY * weight
        else:
            score += _CUE_WEIGHT * weight
    if _cues("against").search(after):
        score -= _AGAINST_PENALTY
    elif _cues("for").search(after):
        score += _CUE_WEIGHT / 3
    return score
