"""Whose turn it is: generations of speech, what was heard of them, and when a caller has finished.

Pure: moments come in as seconds, and nothing is waited for. A *generation* is one answer of the agent, from
the first token to the last mark. An interruption cancels it; whatever arrives of it later is dropped,
and the history keeps what the caller heard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from voice import languages
from voice.analyse.fold import fold
from voice.analyse.spoken import SOLID
from voice.dialogue.number import is_cut_short, is_expected
from voice.dialogue.types import Patience, Stage, Talk

#: Seconds of silence that end a turn, for lines that decide it themselves.
END_OF_TURN_S: Mapping[Patience, float] = {Patience.NORMAL: 0.6, Patience.DIGITS: 1.8}
#: How long a turn that stops in the middle of a number is kept open for the rest.
HOLD_S = 1.5
#: Within this time the same words again are the same message, delivered twice.
DUPLICATE_S = 0.7
#: An interruption without words is taken back after this.
FALSE_INTERRUPTION_S = 2.0
_LETTERS_A_SECOND, _SIGNS_A_SECOND, _ANCHOR = 14.0, 5.0, 6
_WORD = re.compile(r"\w+")
_YES_OR_NO = frozenset(
    {Stage.CONSENT, Stage.CONFIRM_NUMBER, Stage.SMS_CONSENT, Stage.URGENCY, Stage.ANYTHING_ELSE}
)


def speaking_s(text: str) -> float:
    """Estimate how long a text takes to speak."""
    signs = len(SOLID.findall(text))
    return signs / _SIGNS_A_SECOND + (len(text) - signs) / _LETTERS_A_SECOND


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that was interrupted: what the caller heard of it, and the rest."""

    generation: int
    heard: str
    rest: str


@dataclass(slots=True)
class _Answer:
    generation: int
    is_interruptible: bool = True
    text: str = ""
    is_whole: bool = False
    #: Marks sent and not yet echoed, in order, each with the audio before it in milliseconds.
    marks: dict[str, float] = field(default_factory=dict)
    sent_ms: float = 0.0
    #: When the text sent so far should have been spoken.
    until_s: float = 0.0
    is_said_to_speak: bool | None = None


class Floor:
    """Who has the floor, and what may still be sent. One for each call."""

    def __init__(self, generation: int = 0) -> None:
        """Begin where an earlier process of the call has left off."""
        self._answer = _Answer(generation, is_whole=True)
        self._is_cancelled = False

    @property
    def generation(self) -> int:
        """The number of the answer that is being given, or was given last."""
        return self._answer.generation

    def begin(self, *, is_interruptible: bool = True) -> int:
        """Start an answer; whatever is still coming of the one before is dropped."""
        self._answer = _Answer(self._answer.generation + 1, is_interruptible)
        self._is_cancelled = False
        return self._answer.generation

    def is_current(self, generation: int) -> bool:
        """Tell whether something of this generation may still be sent."""
        return generation == self._answer.generation and not self._is_cancelled

    def send(self, generation: int, text: str, now_s: float) -> bool:
        """Note text that goes to the caller now; False when it comes too late and must be dropped."""
        if not self.is_current(generation):
            return False
        self._answer.text += text
        if self._answer.is_said_to_speak is False:
            self._answer.is_said_to_speak = None  # that was told of what came before this text
        self._answer.until_s = max(self._answer.until_s, now_s) + speaking_s(text)
        return True

    def play(self, generation: int, ms: float, mark: str | None = None) -> bool:
        """Note audio that goes to the caller now, and the mark sent after it; False to drop it."""
        if not self.is_current(generation):
            return False
        self._answer.sent_ms += ms
        if mark is not None:
            self._answer.marks[mark] = self._answer.sent_ms
        return True

    def caption(self, generation: int, text: str) -> bool:
        """Note what the audio of a generation says (the transcript of a realtime model)."""
        if not self.is_current(generation):
            return False
        self._answer.text += text
        return True

    def finish(self, generation: int) -> None:
        """Note that nothing more comes of this answer."""
        if generation == self._answer.generation:
            self._answer.is_whole = True

    def echoed(self, mark: str) -> None:
        """Note that the audio before a mark has been played (or, after a clear, thrown away)."""
        self._answer.marks.pop(mark, None)

    def told(self, *, is_speaking: bool) -> None:
        """Believe the line where it tells by itself whether the agent speaks."""
        self._answer.is_said_to_speak = is_speaking

    def is_speaking(self, now_s: float) -> bool:
        """Tell whether the caller hears the agent: marks not echoed, or text not yet spoken.

        That all audio was *sent* proves nothing: it may go on playing for ten seconds.
        """
        answer = self._answer
        if self._is_cancelled:
            return False
        if answer.marks:
            return True
        if answer.is_said_to_speak is not None:
            return answer.is_said_to_speak
        return now_s < answer.until_s

    def may_be_interrupted(self) -> bool:
        """Tell whether the caller may interrupt what is being said now."""
        return self._answer.is_interruptible

    def interrupt_at_text(self, until: str) -> Cut:
        """Cancel the answer at the words that the line says were heard last."""
        at = heard_until(self._answer.text, until)
        return self._cut(at)

    def interrupt_at_ms(self, played_ms: float) -> Cut:
        """Cancel the answer after so many milliseconds of its audio."""
        answer = self._answer
        share = min(1.0, max(0.0, played_ms / answer.sent_ms)) if answer.sent_ms else 0.0
        return self._cut(_word_end(answer.text, round(share * len(answer.text))))

    def interrupt(self, now_s: float) -> Cut:
        """Cancel the answer where the estimate says that it is."""
        answer = self._answer
        left = max(0.0, answer.until_s - now_s)
        total = speaking_s(answer.text)
        share = max(0.0, 1 - left / total) if total else 1.0
        return self._cut(_word_end(answer.text, round(share * len(answer.text))))

    def _cut(self, at: int) -> Cut:
        self._is_cancelled = True
        text = self._answer.text
        self._answer.marks.clear()
        return Cut(self._answer.generation, text[:at].rstrip(), text[at:].lstrip())


def heard_until(sent: str, until: str) -> int:
    """Give how many characters of the sent text were heard, by the line's own words for it.

    Lines normalise what they speak (numbers, marks, case), so the words are looked for folded and without
    marks; else the last of them that can be found; else as far as their length goes.
    """
    plain, at = _plain(sent)
    heard, _ = _plain(until)
    if not heard or not plain:
        return 0
    found = plain.find(heard)
    if found >= 0:
        return at[found + len(heard) - 1] + 1
    anchored = _anchored(sent, until)
    if anchored is not None:
        return anchored
    return _word_end(sent, at[min(len(heard), len(plain)) - 1] + 1)


def _plain(text: str) -> tuple[str, list[int]]:
    """Fold a text and leave letters and digits only, each with its place in the text."""
    whole = fold(text)
    kept = [index for index, sign in enumerate(whole.text) if sign.isalnum()]
    return "".join(whole.text[index] for index in kept), [whole.at[index] for index in kept]


def _anchored(sent: str, until: str) -> int | None:
    """Find the last words that were heard among those that were sent."""
    whole = fold(sent)
    words = [(match.group(), match.end()) for match in _WORD.finditer(whole.text)]
    heard = _WORD.findall(fold(until).text)
    names = [word for word, _ in words]
    for count in range(min(_ANCHOR, len(heard)), 0, -1):
        last = heard[-count:]
        places = [i for i in range(len(names) - count + 1) if names[i : i + count] == last]
        if places:
            nearest = min(places, key=lambda place: abs(place + count - len(heard)))
            end = words[nearest + count - 1][1]
            return whole.at[end - 1] + 1
    return None


def _word_end(text: str, at: int) -> int:
    """Move a place inside a word back to the word's beginning; words are not half heard."""
    at = max(0, min(at, len(text)))
    if at == len(text) or SOLID.search(text):
        return at
    while at > 0 and text[at].isalnum() and text[at - 1].isalnum():
        at -= 1
    return at


def expects_answer(talk: Talk) -> bool:
    """Tell whether "yes" or "mm-hm" would answer what was asked last."""
    is_offered = talk.stage is Stage.NUMBER and any(
        say.line == "offer_caller_id" for say in talk.last
    )
    return talk.stage in _YES_OR_NO or is_offered or (talk.stage is Stage.OFFER)


def is_ignored(talk: Talk, text: str, *, is_speaking: bool) -> bool:
    """Tell whether what the caller said is only a sign of listening, which changes nothing."""
    if not is_speaking or expects_answer(talk):
        return False
    return not text.strip() or languages.is_backchannel(text, talk.language)


def is_false_interruption(talk: Talk, text: str | None, waited_s: float) -> bool:
    """Tell whether an interruption was none, so that the rest should be said.

    It was noise when no words came within :data:`FALSE_INTERRUPTION_S`, and a sign of listening when
    those that came answer nothing.
    """
    if text is None or not text.strip():
        return waited_s >= FALSE_INTERRUPTION_S
    return not expects_answer(talk) and languages.is_backchannel(text, talk.language)


def patience(talk: Talk, partial_text: str = "") -> Patience:
    """Tell how long a pause to allow: longer where digits are being dictated."""
    if is_expected(talk) or is_cut_short(partial_text, talk.language, talk.near):
        return Patience.DIGITS
    return Patience.NORMAL


def hold_s(talk: Talk, text: str) -> float:
    """Give for how long to keep a finished turn open, because it stops in the middle of a number."""
    pieces = f"{talk.digits}, {text}" if talk.digits else text
    return HOLD_S if is_cut_short(pieces, talk.language, talk.near) else 0.0


def join(first: str, second: str) -> str:
    """Put a turn that was split back together; the pause becomes a comma."""
    if not first.strip():
        return second
    return f"{first.rstrip().rstrip('.,;!?…')}, {second.lstrip()}"


class Prompts:
    """What the caller has said last, to drop what is delivered twice."""

    def __init__(self) -> None:
        """Begin without having heard anything."""
        self._last = ""
        self._at_s = float("-inf")

    def is_new(self, text: str, now_s: float) -> bool:
        """Tell whether these words are not the ones that came a moment ago."""
        plain, _ = _plain(text)
        is_same = plain == self._last and now_s - self._at_s < DUPLICATE_S
        self._last, self._at_s = plain, now_s
        return not is_same or not plain
