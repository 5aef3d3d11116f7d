"""Find who is calling: name, company and e-mail, as callers introduce themselves.

A name is taken where a caller says that it is theirs ("this is", "ich heiße", "〜と申します"), or,
failing that, where it opens the message or stands alone before the number. Titles are dropped.
Nothing is better than a wrong name: words of daily speech are never taken for one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from voice.analyse.fold import folded

_WORD = r"[^\W\d_](?:[^\s\d,;:!?()\"“”«»。、，！？؟،।…\-.]|[-.](?=[^\W\d_])){0,40}+"
_NAME_WORD = re.compile(_WORD)
_GAP = r"[\s]+"
_MAX_WORDS = 4
_CASED = re.compile(r"[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f]")
_LINE = 255
_HAN = r"[\u3400-\u9fff]"
_JAPANESE = re.compile(
    r"(?:^|[、。\sのは])((?:[\u3400-\u9fff々]{1,6}|[ァ-ヶー]{2,10}))\s?(?:と申し|と言い|といい|でございま|です(?=[。、がけ]|$))"
)
_CHINESE = re.compile(
    r"(?:我(?:的名字)?(?:是|叫)|(?<=[，。,])叫|敝姓|免贵姓|我姓(?![^，。,]{1,2}[，。,]叫))"
    rf"({_HAN}{{1,4}}?)(?:先生|女士|小姐|太太|老师|[，。,、\s]|$)"
)
_KOREAN = re.compile(
    r"(?:^|[\s,.])(?:저는\s|제 이름은\s)?([가-힣]{1,4}?)\s?"
    r"(?:[가-힣]{0,4}(?:엄마|아빠|주무관|과장|대리|팀장|실장|부장|사장|원장|선생|기사))?"
    r"(?:입니다|이라고|라고\s?합|라고\s?하|인데요|이에요|예요|이고요|이고)(?=[\s,.]|$|합|하)"
)
_THAI = re.compile(r"(?:ชื่อ|นี่)\s?(?:คุณ)?([\u0e00-\u0e7f]{2,12}?)(?=ค่ะ|นะคะ|ครับ|คะ|นะ|\s|จาก|$)")
#: What follows "I am" where no name does.
_NOT_CHINESE_NAMES = (
    *("你们", "您的", "一个", "想", "在", "说", "这", "那", "要", "来", "不"),
    *("新", "老客", "客户", "业主", "租客", "住", "送", "快递"),
)
_SCRIPTS = {"ja": _JAPANESE, "zh": _CHINESE, "yue": _CHINESE, "ko": _KOREAN, "th": _THAI}
_OPENING = 400


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who the caller says they are; each part is None when it was not said."""

    full: str | None = None
    given: str | None = None
    family: str | None = None
    company: str | None = None
    email: str | None = None


@cache
def _tables() -> Mapping[str, Any]:
    path = Path(__file__).with_name("lexicon") / "names.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def _words(key: str) -> frozenset[str]:
    table = _tables()["words"]
    return frozenset(folded(word).strip(" .") for word in table[key].split(","))


def _any(patterns: Sequence[str]) -> str:
    return "|".join(re.sub(r"\s+", r"\\s+", p).replace("'", "['’]") for p in _by_length(patterns))


def _by_length(patterns: Sequence[str]) -> list[str]:
    return sorted(set(patterns), key=len, reverse=True)


def greetings() -> frozenset[str]:
    """Give the folded words that people greet with, in many languages."""
    return _words("greetings") | {
        "hi",
        "hello",
        "hey",
        "there",
        "yes",
        "good",
        "morning",
        "afternoon",
        "evening",
    }


@cache
def _before() -> re.Pattern[str]:
    return re.compile(
        rf"(?<!\w)(?:{_any(_tables()['before']['strong'])})(?!\w)[\s,:]*", re.IGNORECASE
    )


@cache
def _after() -> re.Pattern[str]:
    return re.compile(
        rf"(?<!\w)((?:{_WORD}{_GAP}){{0,2}}{_WORD}),?\s+(?:{_any(_tables()['after']['patterns'])})(?!\w)",
        re.IGNORECASE,
    )


def introduction(text: str, language: str | None = None) -> Introduction:
    """Read the caller's name, company and e-mail from a transcript."""
    tag = (language or "en").split("-")[0].lower()
    candidate = next(_candidates(text, tag), None)
    if candidate is None:
        return Introduction(email=email(text))
    name, end = candidate
    given, family = parts(name, tag)
    return Introduction(
        full=name[:_LINE],
        given=given,
        family=family,
        company=_company(text, end),
        email=email(text),
    )


def _candidates(text: str, language: str) -> Iterator[tuple[str, int]]:
    """Yield names and where each ends, the most explicit first."""
    pattern = _SCRIPTS.get(language)
    for match in pattern.finditer(text) if pattern else ():
        if not match.group(1).startswith(_NOT_CHINESE_NAMES):
            yield match.group(1), match.end(1)
    is_cased = _is_cased(text)
    explicit = sorted(
        _explicit(text, is_cased=is_cased), key=lambda each: (each[0] > _OPENING, each[0])
    )
    for _, name, end in explicit:
        yield name, end
    if is_cased:
        yield from _standing_alone(text)


def _explicit(text: str, *, is_cased: bool) -> Iterator[tuple[int, str, int]]:
    """Yield where a caller says a name to be theirs, the name, and where it ends."""
    for match in _before().finditer(text):
        found = _name_at(text, match.end(), is_cased=is_cased)
        if found and not _asks_someone(text, match):
            yield match.start(), *found
    for match in _after().finditer(text):
        found = _name_ending(match.group(1), match.start(1), is_cased=is_cased)
        if found:
            yield match.start(1), *found


def _is_cased(text: str) -> bool:
    letters = _CASED.findall(text)
    return bool(letters) and sum(letter.isupper() for letter in letters) * 80 > len(letters)


def _asks_someone(text: str, cue: re.Match[str]) -> bool:
    """Tell whether the cue is about somebody else: "is this Dana?", "her name is"."""
    before = folded(text[max(0, cue.start() - 14) : cue.start()])
    return bool(re.search(r"\b(?:her|his|their|its|your|is|dog's|son's|daughter's)\s*$", before))


def _name_at(text: str, start: int, *, is_cased: bool) -> tuple[str, int] | None:
    """Read the name that begins here, after articles and titles."""
    kept: list[str] = []
    end = start
    position = start
    while len(kept) < _MAX_WORDS:
        match = _NAME_WORD.match(text, position)
        if match is None:
            break
        word = match.group()
        plain = folded(word).strip(".'")
        follows = re.match(r"\.?[ \t]+", text[match.end() :])
        is_title = plain in _words("titles") and not (kept or _is_sole(text, match.end()))
        if is_title or (not kept and plain in _words("articles") and not _ends(text, match.end())):
            position = match.end() + (follows.end() if follows else 0)
            if not follows:
                break
            continue
        is_particle = bool(kept) and plain in _words("particles") and bool(follows)
        is_fit = _fits(word, plain, is_cased=is_cased, count=len(kept))
        if not (is_particle or is_fit or (is_cased and _is_also_name(text, match, plain))):
            break
        kept.append(word)
        end = match.end()
        gap = re.match(r"[ \t]+", text[end:])
        if gap is None:
            break
        position = end + gap.end()
    while kept and folded(kept[-1]) in _words("particles"):
        kept.pop()
    if not kept:
        return None
    return _tidy(kept), end


def _is_also_name(text: str, word: re.Match[str], plain: str) -> bool:
    """Tell whether a word of daily speech is a name here: "Will Carter", "Mia,"."""
    is_written_so = plain in _words("also_names") and word.group().istitle()
    return is_written_so and bool(
        re.match(r"[ \t]+[A-Z\u00c0-\u00de]\w|[,.]|$", text[word.end() :])
    )


def _is_sole(text: str, end: int) -> bool:
    return _ends(text, end) and not text.startswith(".", end)


def _ends(text: str, end: int) -> bool:
    return bool(re.match(r"\s*(?:[,.;!?]|$)", text[end:]))


def _fits(word: str, plain: str, *, is_cased: bool, count: int) -> bool:
    if plain in _words("stop") or plain in _words("greetings") or (len(plain) < 2 and not count):  # noqa: PLR2004  # initials only inside
        return False
    if not _CASED.match(word):
        return count < 2  # noqa: PLR2004  # scripts without capitals: given and family name
    if is_cased:
        return word[0].isupper() and not (word.isupper() and len(word) > 3)  # noqa: PLR2004  # an abbreviation
    return count < 2  # noqa: PLR2004  # lower-case recognition: given and family name


def _name_ending(words: str, start: int, *, is_cased: bool) -> tuple[str, int] | None:
    """Read the name that ends a stretch of words: "Davor ovdje", "X speaking"."""
    matches = list(_NAME_WORD.finditer(words))
    kept: list[re.Match[str]] = []
    for match in reversed(matches):
        plain = folded(match.group()).strip(".'")
        is_fit = _fits(match.group(), plain, is_cased=is_cased, count=len(kept))
        if not is_fit or plain in _words("titles") or (not is_cased and kept):
            break
        kept.insert(0, match)
    if not kept or (
        not is_cased and not _CASED.match(kept[0].group()) and len(matches) > len(kept) + 1
    ):
        return None
    return _tidy([match.group() for match in kept]), start + kept[-1].end()


def _standing_alone(text: str) -> Iterator[tuple[str, int]]:
    """Yield names that open the message, or stand alone between full stops or before a number."""
    greeting = re.match(rf"(?:(?:{_WORD})[\s]*){{0,4}}?[,.!¡]\s+(?=[^\W\d_])", text[:60])
    starts = [0] + ([greeting.end()] if greeting else [])
    starts += [match.end() for match in re.finditer(r"[.!?,]\s+", text)]
    for start in dict.fromkeys(starts):
        found = _name_at(text, start, is_cased=True)
        if found is None:
            continue
        name, end = found
        is_opening = start <= (greeting.end() if greeting else 0)
        follows = text[end : end + 12]
        links = (
            r"\s+(?:from|at|with|over|again|de|z|van|fra|från|iz|von|aus|на|из|з|od)\b"
            if is_opening
            else r"(?!)"
        )
        is_closed = re.match(rf"\s*[,.](?:\s|$)|{links}|\s*$", follows)
        is_single = " " not in name
        if is_closed and (is_opening or not is_single or text[max(0, start - 2)] in ".?!"):
            yield name, end


def _tidy(words: Sequence[str]) -> str:
    joined = " ".join(word.rstrip(".'’") if len(word) > 2 else word for word in words)  # noqa: PLR2004  # keep "J."
    joined = re.sub(r"['’]s$", "", joined)
    if joined.islower():
        return joined.title()
    return joined


def parts(name: str, language: str) -> tuple[str | None, str | None]:
    """Give the given and the family name of a full one, in the order of the language (primary subtag)."""
    words = name.split()
    if len(words) == 1:
        if language in {"zh", "yue", "ko"} and len(name) in {2, 3}:
            return name[1:], name[0]
        return (None, name) if language == "ja" else (name, None)
    if language in {"hu", "ja", "zh", "ko", "vi"}:
        return " ".join(words[1:]), words[0]
    return words[0], " ".join(words[1:])


def _company(text: str, end: int) -> str | None:
    """Read "from Whitfield Interiors" right after the name."""
    links = "|".join(map(re.escape, _by_length(_tables()["words"]["company"].split(","))))
    link = re.match(
        rf"[\s,]*(?:(?:here|calling|speaking|over)\s+)?(?:{links})\s+(?:the\s+)?", text[end:]
    )
    if link is None:
        return None
    rest = text[end + link.end() :]
    match = re.match(
        r"(?:[A-Z\u00c0-\u00de\u0400-\u042f][\w'’.&-]*|&|and(?=\s[A-Z])|of(?=\s[A-Z]))(?:\s+(?:[A-Z\u00c0-\u00de\u0400-\u042f][\w'’&-]*|&|and(?=\s[A-Z])|of(?=\s[A-Z])))*",
        rest,
    )
    if match is None:
        return None
    company = match.group().strip(" .,'")
    return company[:_LINE] or None


@cache
def _spoken_email() -> re.Pattern[str]:
    joints = {
        key: _any([re.escape(p) for p in _tables()["email"][key].split(",")]).replace(r"\ ", " ")
        for key in ("at", "dot", "dash", "underscore")
    }
    joint = "|".join((joints["dot"], joints["dash"], joints["underscore"]))
    part = r"[A-Za-z0-9]{1,64}+"
    return re.compile(
        rf"(?<![\w@])({part}(?:\s*(?:{joint})\s*{part}){{0,4}})\s*(?:{joints['at']})\s*"
        rf"({part}(?:\s*(?:{joints['dash']})\s*{part})*(?:\s*(?:{joints['dot']})\s*{part}){{1,4}})(?!\w)",
        re.IGNORECASE,
    )


def email(text: str) -> str | None:
    """Give the e-mail address that was written, or spoken as "dana at whitfield dot example"."""
    written = re.search(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}", text)
    if written:
        return written.group().rstrip(".").lower()[:_LINE]
    for match in _spoken_email().finditer(text):
        user, domain = (_spell_out(part) for part in match.groups())
        is_prose = {domain.split(".")[0], user} & _words("stop")
        if re.search(r"\.[a-z]{2,}$", domain) and not is_prose:
            return f"{user}@{domain}"[:_LINE]
    return None


def _spell_out(part: str) -> str:
    for key, sign in (("underscore", "_"), ("dot", "."), ("dash", "-")):
        joints = _any([re.escape(p) for p in _tables()["email"][key].split(",")]).replace(
            r"\ ", " "
        )
        part = re.sub(
            rf"\s*(?:(?<![A-Za-z0-9])(?:{joints})(?![A-Za-z0-9]))\s*",
            sign,
            part,
            flags=re.IGNORECASE,
        )
    return re.sub(r"\s+", "", part).lower()
