"""Speech in the sandboxes: mu-law audio that carries its own words, and how long words take to say.

Each word is a block of bytes that begins with its text and its length, so that whoever listens knows, after any cut,
which words were heard and how much of the last. Silence is 0xFF. Nothing here sounds like anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

#: Bytes, that is samples, in a second of telephone audio.
RATE = 8000
SILENCE = 0xFF

# A word is: BEGIN, its length in bytes as five nibbles, its UTF-8 text as nibbles, END_OF_TEXT, FILL until the end.
_BEGIN, _END_OF_TEXT, _FILL, _NOISE = 0x8E, 0x8D, 0x8C, 0x8B
_HIGH, _LOW = 0x90, 0xA0
_LENGTH_NIBBLES = 5
_HEAD = re.compile(rb"\x8e([\xa0-\xaf]{5})((?:[\x90-\x9f][\xa0-\xaf])+)\x8d")

# Scripts that put no space between words are cut by character, with the marks that belong to it.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u17b6-\u17d3"
)
_PIECE = re.compile(
    rf"[{_UNSPACED}][{_MARKS}]*(?:[^\w\s]+)?\s*|[^\s{_UNSPACED}]+\s*|\s+",
)
_DIGIT = re.compile(r"\d")

#: Words (characters in scripts without spaces) in a second; about 155 words a minute in English.
WORDS_PER_SECOND: Mapping[str, float] = {
    "": 2.6,
    "zh": 4.4,
    "yue": 4.4,
    "ja": 6.5,
    "th": 7.0,
    "de": 2.3,
    "fi": 1.9,
}


def pieces(text: str) -> list[str]:
    """Cut into words, each with the space after it; joined they are the text."""
    return _PIECE.findall(text)


def weight(piece: str) -> int:
    """How many words' time a piece takes: a number is read digit by digit."""
    return max(1, len(_DIGIT.findall(piece))) if piece.strip() else 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a language is spoken; ``words_per_second`` by primary language tag, "" for all others."""

    words_per_second: Mapping[str, float] = field(default_factory=lambda: dict(WORDS_PER_SECOND))

    def seconds(self, text: str, language: str | None = None) -> float:
        """How long it takes to say the text."""
        primary = (language or "").split("-")[0].lower()
        rate = self.words_per_second.get(primary) or self.words_per_second[""]
        return sum(map(weight, pieces(text))) / rate


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a stream, from and until when; ``share`` is how much of it was there (less than 1: cut off)."""

    text: str
    start_s: float
    end_s: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody begins to speak, or there is a noise."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Silence has lasted long enough; the speech ended ``at_s`` and was this (empty: a noise)."""

    at_s: float
    text: str


Event = Started | Word | Ended


def schedule(text: str, seconds: float) -> list[Word]:
    """Give each word its time within so many seconds."""
    parts = pieces(text)
    total = sum(map(weight, parts)) or 1
    words, passed = [], 0
    for part in parts:
        start, passed = passed, passed + weight(part)
        words.append(Word(part, seconds * start / total, seconds * passed / total))
    return words


def encode(text: str, seconds: float) -> bytes:
    """Give mu-law audio of exactly so many seconds in which the text is said."""
    audio = bytearray()
    for word in schedule(text, seconds):
        end = round(word.end_s * RATE)
        if word.text.strip():
            audio += _block(word.text, end - len(audio))
    return bytes(audio) or silence(seconds)


def silence(seconds: float) -> bytes:
    """Give silence."""
    return bytes([SILENCE]) * round(seconds * RATE)


def noise(seconds: float) -> bytes:
    """Give something that is not silence and has no words: a cough, a door."""
    return bytes([_NOISE]) * round(seconds * RATE)


def _nibble(value: int, low: bool) -> int:  # noqa: FBT001 - the half of a byte
    return (_LOW if low else _HIGH) | value


def _block(text: str, length: int) -> bytes:
    head = bytearray([_BEGIN])
    head += bytes(
        _nibble(length >> 4 * place & 0xF, low=True) for place in reversed(range(_LENGTH_NIBBLES))
    )
    for byte in text.encode():
        head += bytes([_nibble(byte >> 4, low=False), _nibble(byte & 0xF, low=True)])
    head.append(_END_OF_TEXT)
    if len(head) > length:
        raise ValueError(
            f"{length / RATE:.4f} s are too short to say a word of {len(text)} characters."
        )
    return bytes(head) + bytes([_FILL]) * (length - len(head))


class Decoder:
    """Finds speech in a stream of mu-law bytes cut in any way.

    Speech has ended when ``silence_s`` of silence follow it. Times are positions in the stream, in seconds.
    """

    def __init__(self, silence_s: float = 0.0) -> None:  # noqa: D107 - the class says it
        self._silence = max(1, round(silence_s * RATE))
        self._at = 0
        self._quiet_since = 0
        self._is_speech = False
        self._said: list[str] = []
        self._word: _Reading | None = None

    @property
    def position_s(self) -> float:
        """How much of the stream has been heard."""
        return self._at / RATE

    @property
    def is_speech(self) -> bool:
        """Whether somebody speaks, or has not been silent for long enough."""
        return self._is_speech

    @property
    def text(self) -> str:
        """What has been said since speech began, so far as words are over."""
        return "".join(self._said).strip()

    def feed(self, audio: bytes) -> list[Event]:
        """Take the next bytes and tell what happened in them."""
        events: list[Event] = []
        for run in _runs(audio):
            if run[0] == SILENCE:
                events += self._be_silent(len(run))
            else:
                events += self._be_loud(run)
        return events

    def finish(self) -> list[Event]:
        """The stream is over: end what is open."""
        events: list[Event] = list(self._close_word())
        if self._is_speech:
            events += self._end(self._at if self._word else self._quiet_since)
        return events

    def _be_loud(self, run: bytes) -> Iterator[Event]:
        if not self._is_speech:
            self._is_speech = True
            yield Started(self._at / RATE)
        for part in re.split(rb"(?=\x8e)", run):
            if not part:
                continue
            if part[0] == _BEGIN:
                yield from self._close_word()
                self._word = _Reading(self._at)
            if self._word:
                self._word.bytes += part
                yield from self._close_word() if self._word.is_full else ()
            self._at += len(part)
        self._quiet_since = self._at

    def _be_silent(self, count: int) -> Iterator[Event]:
        yield from self._close_word()
        before, self._at = self._at, self._at + count
        if self._is_speech and self._at - self._quiet_since >= self._silence:
            yield from self._end(min(self._quiet_since, before))

    def _end(self, at: int) -> Iterator[Event]:
        text, self._said, self._is_speech = self.text, [], False
        yield Ended(at / RATE, text)

    def _close_word(self) -> Iterator[Event]:
        reading, self._word = self._word, None
        if reading and (word := reading.word()):
            if self._said and _needs_space(self._said[-1], word.text):
                self._said[-1] += " "
            self._said.append(word.text)
            yield word


@dataclass(slots=True)
class _Reading:
    start: int
    bytes: bytearray = field(default_factory=bytearray)

    @property
    def is_full(self) -> bool:
        length = self._length()
        return length is not None and len(self.bytes) >= length

    def word(self) -> Word | None:
        found = _HEAD.match(self.bytes)
        length = self._length()
        if not found or not length:
            return None
        nibbles = found.group(2)
        text = bytes(
            (high & 0xF) << 4 | low & 0xF
            for high, low in zip(nibbles[::2], nibbles[1::2], strict=True)
        ).decode(errors="replace")
        heard = min(len(self.bytes), length)
        return Word(text, self.start / RATE, (self.start + heard) / RATE, heard / length)

    def _length(self) -> int | None:
        head = self.bytes[1 : 1 + _LENGTH_NIBBLES]
        if len(head) < _LENGTH_NIBBLES:
            return None
        length = 0
        for nibble in head:
            length = length << 4 | nibble & 0xF
        return length


def _runs(audio: bytes) -> Iterator[bytes]:
    return (found.group() for found in re.finditer(rb"\xff+|[^\xff]+", audio))


def part(words: list[Word], following: str) -> None:
    """Put a space after the last word if another text follows it without one."""
    if words and _needs_space(words[-1].text, following):
        words[-1] = replace(words[-1], text=words[-1].text + " ")


def _needs_space(before: str, after: str) -> bool:
    return not before[-1:].isspace() and not re.match(f"[{_UNSPACED}]", after)
