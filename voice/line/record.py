"""What the caller and the agent said, as turns of the session, with what of the agent's words was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voice import languages
from voice.line.playout import Heard
from voice.session import CallSession, Turn, Voice
from voice.turns import Floor


@dataclass(slots=True)
class _Spoken:
    turn: Turn
    cut: Heard | None = None


class Record:
    """The turns of one socket's part of a call. Times are seconds from the call's start."""

    def __init__(self, session: CallSession) -> None:
        """Go on after the turns that the session has."""
        self._turns = session.turns
        self._items: dict[str, _Spoken] = {}
        #: Words of items that nothing was heard of yet.
        self._early: dict[str, str] = {}

    def agent_began(self, item: str, at_s: float, language: str) -> None:
        """Note that the caller hears the first sound of an item."""
        if item not in self._items:
            turn = Turn(Voice.AGENT, self._early.pop(item, ""), at_s, at_s, language)
            self._turns.append(turn)
            self._items[item] = _Spoken(turn)

    def agent_said(self, item: str, text: str) -> None:
        """Note the words of an item, as far as they are known."""
        spoken = self._items.get(item)
        if spoken is None:
            self._early = {item: text}
            return
        if spoken.cut and spoken.turn.text:
            return
        spoken.turn.text = text
        if spoken.cut:
            spoken.turn.heard = part(text, spoken.cut)

    def agent_until(self, item: str, at_s: float) -> None:
        """Note until when an item is heard."""
        if spoken := self._items.get(item):
            spoken.turn.end_s = max(spoken.turn.end_s, at_s)

    def cut(self, heard: Sequence[Heard], at_s: float) -> None:
        """Note that these items were interrupted."""
        for one in heard:
            spoken = self._items.get(one.item)
            if spoken is None or spoken.cut:
                continue
            spoken.cut = one
            spoken.turn.end_s = max(spoken.turn.start_s, at_s)
            if spoken.turn.text:
                spoken.turn.heard = part(spoken.turn.text, one)

    def corrected(self, item: str, text: str) -> None:
        """Believe the vendor's own word for what was heard of an item."""
        if spoken := self._items.get(item):
            spoken.turn.heard = text

    def caller_said(self, text: str, start_s: float, end_s: float, language: str | None) -> None:
        """Note what the caller said, in its place: words are known later than an answer may begin."""
        turn = Turn(Voice.CALLER, text, start_s, end_s, language)
        place = len(self._turns)
        while place and self._turns[place - 1].start_s > start_s:
            place -= 1
        self._turns.insert(place, turn)

    def said_goodbye(self, language: str) -> bool:
        """Tell whether what the agent said last is a goodbye."""
        texts = (turn.text for turn in reversed(self._turns) if turn.voice is Voice.AGENT)
        return languages.says_goodbye(next(texts, ""), language)

    def close(self) -> None:
        """Leave out items whose words never came."""
        self._turns[:] = [turn for turn in self._turns if turn.text.strip()]


def part(text: str, heard: Heard) -> str:
    """Give the words that were heard, by the share of the sound that was played."""
    floor = Floor()
    generation = floor.begin()
    floor.play(generation, float(heard.sent_ms))
    floor.caption(generation, text)
    return floor.interrupt_at_ms(float(heard.played_ms)).heard
