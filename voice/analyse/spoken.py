"""Know how each language says numbers: its words, their order, "double five", "oh"."""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from voice.analyse.fold import Folded, folded

_LEXICON = Path(__file__).with_name("lexicon")
#: Punctuation and symbols of the scripts that telephone numbers are dictated in, but no apostrophe.
_MARKS = "".join(
    chr(code)
    for code in (*range(0x3100), *range(0xFE10, 0xFFF0))
    if unicodedata.category(chr(code))[0] in "PS" and chr(code) != "'"
)
_TOKEN = re.compile(rf"\d+|[^\s\d{re.escape(_MARKS)}]+")
#: Scripts that are written without spaces, where a number word may touch its neighbours.
SOLID = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_MIN_VOTES = 5
#: "And" as Hebrew and Arabic write it, joined to the number.
_AND_LETTERS = "וو"
_TEN, _HUNDRED, _THOUSAND = 10, 100, 1000


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a stretch of written digits, with the punctuation before it."""

    text: str
    start: int
    end: int
    gap: str
    is_written: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """How one language says numbers. ``numbers`` maps word sequences to their value."""

    numbers: Mapping[tuple[str, ...], int]
    stems: tuple[tuple[str, int], ...]
    multipliers: Mapping[str, int]
    solid: re.Pattern[str]
    longest: int
    is_unit_first: bool

    def at(self, said: Sequence[Token], index: int) -> list[tuple[str, int]]:
        """Give what the words from here may mean: digits and how many words, longest first."""
        first = said[index]
        if first.is_written:
            return [(first.text, 1)]
        times, skip = _times(said, index)
        if times:
            single = self.at(said, index + skip) if index + skip < len(said) else []
            return [
                (digits * times, count + skip)
                for digits, count in single
                if len(digits) == 1 and _is_joined(said[index + skip])
            ]
        options: dict[int, str] = {}
        for count in range(1, min(self.longest, len(said) - index) + 1):
            if count > 1 and not _is_joined(said[index + count - 1]):
                break
            words = tuple(token.text for token in said[index : index + count])
            value = self.numbers.get(words)
            if value is None and count == 1:
                value = self._solid_compound(words[0])
            if value is not None:
                options[count] = str(value)
        waiting = dict(options)
        while waiting:
            count, digits = waiting.popitem()
            known = set(options)
            self._extend(said, index, (count, int(digits)), options)
            waiting.update({new: options[new] for new in options.keys() - known})
        return [(digits, count) for count, digits in sorted(options.items(), reverse=True)]

    def _solid_compound(self, word: str) -> int | None:
        """Read words such as "vierhundertfunfzehn", which the table lacks."""
        for stem, value in self.stems:
            rest = word.removeprefix(stem)
            if rest in {word, ""}:
                continue
            most = _HUNDRED if value >= _HUNDRED else _TEN
            for joint in ("", "und", "en", "og", "och", "e"):
                tail = self.numbers.get((rest.removeprefix(joint),))
                if tail is not None and 0 < tail < most:
                    return value + tail
        return None

    def _extend(
        self,
        said: Sequence[Token],
        index: int,
        read: tuple[int, int],
        options: dict[int, str],
    ) -> None:
        """Add what follows: a smaller number, a unit's ten, "hundred", "thousand"."""
        count, value = read
        after = index + count
        if not goes_on(said, after):
            return
        factor = self.multipliers.get(said[after].text, 0)
        if 0 < value < min(factor, _HUNDRED):
            options.setdefault(count + 1, str(value * factor))
            return
        has_and = said[after].text in _and_words()
        after += has_and
        if not goes_on(said, after):
            return
        for length in range(min(self.longest, len(said) - after), 0, -1):
            words = tuple(token.text for token in said[after : after + length])
            tail = self.numbers.get(words)
            if tail is None and words[0][0] in _AND_LETTERS:
                tail = self.numbers.get((words[0][1:], *words[1:]))
            if tail is None or not all(map(_is_joined, said[after + 1 : after + length])):
                continue
            if self._is_dictated_apart(said, after, tail, has_and=has_and):
                return
            total = self._join(value, tail, has_and=has_and)
            if total is not None:
                options.setdefault(after + length - index, str(total))
            # Only the longest tail counts: 600 293 is not 602 93.
            return

    def multiplies(self, said: Sequence[Token], index: int) -> bool:
        """Tell whether a word here belongs to the number before it: "thousand"."""
        return goes_on(said, index) and said[index].text in self.multipliers

    def _is_dictated_apart(
        self, said: Sequence[Token], index: int, tail: int, *, has_and: bool
    ) -> bool:
        """Tell whether single digits follow, as in "nine hundred one two three": 900 1 2 3."""
        if has_and or tail >= _TEN or not goes_on(said, index + 1):
            return False
        following = tuple(token.text for token in said[index + 1 : index + 3])
        is_hundred = self.numbers.get(following, 0) >= _TEN or following[-1] in self.multipliers
        return not is_hundred and self.numbers.get(following[:1], _TEN) < _TEN

    def _join(self, value: int, tail: int, *, has_and: bool) -> int | None:
        if value and value % _HUNDRED == 0:
            most = _HUNDRED if value % _THOUSAND else _THOUSAND
            return value + tail if 0 < tail < most else None
        is_ten = value % _TEN == 0 and _TEN < value < _HUNDRED
        if is_ten and 0 < tail < _TEN and not self.is_unit_first:
            return value + tail
        if has_and and self.is_unit_first and 0 < value < _TEN < tail and tail % _TEN == 0:
            return value + tail if tail < _HUNDRED else None
        return None


def _is_joined(token: Token) -> bool:
    return token.gap.strip(" ") in {"", "-"}


def goes_on(said: Sequence[Token], index: int) -> bool:
    """Tell whether a word follows here that may belong to the number before."""
    return index < len(said) and _is_joined(said[index]) and not said[index].is_written


def _times(said: Sequence[Token], index: int) -> tuple[int, int]:
    """Read "double" and "triple": how many times, and how many words that took."""
    table = _multiples()
    for count in (3, 2, 1):
        if index + count <= len(said):
            words = tuple(token.text for token in said[index : index + count])
            if words in table:
                return table[words], count
    return 0, 0


@cache
def dictation() -> Mapping[str, Any]:
    """Give the tables of ``lexicon/dictation.toml``."""
    return tomllib.loads((_LEXICON / "dictation.toml").read_text(encoding="utf-8"))


@cache
def _number_words() -> Mapping[str, Mapping[str, list[str]]]:
    words: Mapping[str, Mapping[str, list[str]]] = json.loads(
        (_LEXICON / "number_words.json").read_text(encoding="utf-8")
    )
    return words


@cache
def _and_words() -> frozenset[str]:
    return frozenset(map(folded, dictation()["order"]["and"]))


@cache
def _multiples() -> Mapping[tuple[str, ...], int]:
    return {
        tuple(folded(phrase).split()): int(times)
        for times, phrases in dictation()["multiples"].items()
        for phrase in phrases.split(",")
    }


@cache
def languages() -> tuple[str, ...]:
    """Name every language whose number words are known."""
    return tuple(dict.fromkeys((*_number_words(), *dictation()["digits"])))


def _forms(language: str) -> Iterator[tuple[str, int]]:
    for digits, forms in _number_words().get(language, {}).items():
        for form in forms:
            yield form, int(digits)
    for digits, forms in dictation()["digits"].get(language, {}).items():
        for form in forms.split(","):
            yield form, int(digits)


@lru_cache(maxsize=128)
def spoken(language: str) -> Spoken:
    """Give the number words of a language and of those that it is understood with."""
    names = [*dictation()["like"].get(language, "").split(","), language]
    numbers: dict[tuple[str, ...], int] = {}
    for name in names:
        for form, value in _forms(name):
            for spelling in _spellings(form, name):
                numbers[tuple(spelling.replace("-", " ").split())] = value
    numbers.pop((), None)
    is_unit_first = language in dictation()["order"]["unit_first"]
    solids = sorted({w for words in numbers for w in words if SOLID.search(w)}, key=len)
    joined = {"".join(words) for words in numbers if all(map(SOLID.search, words))}
    alternatives = sorted(joined.union(solids), key=len, reverse=True)
    return Spoken(
        numbers=numbers,
        stems=_stems(numbers),
        multipliers=_multipliers(numbers),
        solid=re.compile("|".join(map(re.escape, alternatives)) or r"(?!)"),
        longest=max(map(len, numbers), default=1),
        is_unit_first=is_unit_first,
    )


def _stems(numbers: Mapping[tuple[str, ...], int]) -> tuple[tuple[str, int], ...]:
    """Give the words that others are joined to: hundreds and tens."""
    return tuple(
        (words[0], value)
        for words, value in numbers.items()
        if len(words) == 1
        and (
            (value % _HUNDRED == 0 and 0 < value < _THOUSAND)
            or (value % _TEN == 0 and _TEN < value < _HUNDRED)
        )
        and not SOLID.search(words[0])
    )


def _multipliers(numbers: Mapping[tuple[str, ...], int]) -> Mapping[str, int]:
    """Find the words that multiply what stands before: "hundred" as in "two hundred", "thousand"."""
    factors = {
        words[-1]: _THOUSAND
        for words, value in numbers.items()
        if value == _THOUSAND and numbers.get(words[-1:], _HUNDRED) >= _HUNDRED
    }
    ends = Counter(
        words[-1]
        for words, value in numbers.items()
        if len(words) > 1 and value % _HUNDRED == 0 and _HUNDRED < value < _THOUSAND
    )
    factors.update({word: _HUNDRED for word, count in ends.items() if count > 2})  # noqa: PLR2004  # not by chance
    factors.update({word.removesuffix("s"): factor for word, factor in tuple(factors.items())})
    return factors


def _spellings(form: str, language: str) -> Iterator[str]:
    yield folded(form)
    if language == "de":
        yield folded(form.replace("ü", "ue").replace("ö", "oe"))


@cache
def _digit_words() -> Mapping[str, frozenset[str]]:
    """Map each word for a single digit to the languages that have it."""
    owners: dict[str, set[str]] = {}
    for language in languages():
        for form, value in _forms(language):
            if value < _TEN:
                owners.setdefault(folded(form), set()).add(language)
    return {word: frozenset(names) for word, names in owners.items()}


def likely_languages(text: Folded) -> list[str]:
    """Name the languages whose digit words are frequent in a text, most frequent first."""
    votes: dict[str, int] = {}
    owners = _digit_words()
    for word in _TOKEN.findall(text.text):
        parts = [word] if not SOLID.search(word) else list(word)
        for part in parts:
            for language in owners.get(part, ()):
                votes[language] = votes.get(language, 0) + 1
    enough = [language for language, count in votes.items() if count >= _MIN_VOTES]
    return sorted(enough, key=lambda language: -votes[language])


@cache
def phrases(table: str, key: str) -> re.Pattern[str]:
    """Compile a list of phrases of the lexicon; whole words where a script has spaces."""
    return phrase_pattern(dictation()[table][key].split(","))


def phrase_pattern(listed: Sequence[str]) -> re.Pattern[str]:
    """Compile phrases into one pattern over folded text, the longest tried first."""
    alternatives = []
    for phrase in sorted({folded(each).strip() for each in listed}, key=len, reverse=True):
        if phrase:
            body = re.escape(phrase).replace(r"\ ", r"[\s,]+")
            alternatives.append(body if SOLID.search(phrase) else rf"(?<!\w){body}(?!\w)")
    return re.compile("|".join(alternatives) or r"(?!)")


def tokens(text: Folded, language: str) -> list[Token]:
    """Split folded text into words and written digits; number words of solid scripts stand alone."""
    lexicon = spoken(language)
    found: list[Token] = []
    last = 0
    for match in _TOKEN.finditer(text.text):
        pieces: Iterator[tuple[int, int]] = iter([match.span()])
        if SOLID.search(match.group()):
            pieces = _split_solid(match.group(), match.start(), lexicon)
        for start, end in pieces:
            word = text.text[start:end].strip("'")
            if word:
                found.append(Token(word, start, end, text.text[last:start], word[0].isdigit()))
            last = end
    return found


def _split_solid(word: str, offset: int, lexicon: Spoken) -> Iterator[tuple[int, int]]:
    at = 0
    for match in lexicon.solid.finditer(word):
        if match.start() > at:
            yield offset + at, offset + match.start()
        yield offset + match.start(), offset + match.end()
        at = match.end()
    if at < len(word):
        yield offset + at, offset + len(word)
