"""The agent's side of a ConversationRelay socket: words that go out, and what is written down of them.

An answer is a generation of the :class:`voice.turns.Floor`. What belongs to an answer that was interrupted is not
sent, and what was sent of it is cut to what the caller heard.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from voice import clock, languages, turns, twiml
from voice.conversation import Conversation
from voice.line import relay_messages
from voice.session import Turn, Voice
from voice.wording import fixed

_FILLERS = 3
_LOOK_S, _MOST_LOOKS = 0.1, 900
#: Twilio may never tell that the agent has stopped; what was sent is spoken at some time.
_SLACK_S = 4.0

_SENTENCE_END = re.compile(r"[.!?…؟।።]+[\"'”»)]*\s+|[。！？]+[」』]*")

Send = Callable[[str], Awaitable[None]]


class Speaker:
    """Speaks on one socket."""

    def __init__(self, talk: Conversation, send: Send) -> None:
        """Speak for a conversation; the floor is nobody's."""
        self._talk = talk
        self._send = send
        self.floor = turns.Floor(len(talk.session.turns))
        self.language = talk.session.talk.language
        self._turn: Turn | None = None
        self._is_begun = False
        self._fillers = 0
        self._asked_at: float | None = None
        self._is_audio_due = self._is_token_due = False
        self._waited_s = 0.0
        self._latest_s = 0.0
        self._is_mid_sentence = False

    def begin(self, *, asked_at: float | None = None, waited_s: float = 0.0) -> int:
        """Start an answer to what the caller said at this moment; what was still being said is over."""
        self._turn = None
        self._is_mid_sentence = False
        self._asked_at = asked_at
        self._is_audio_due = self._is_token_due = asked_at is not None
        self._waited_s = waited_s
        return self.floor.begin()

    def greeted(self, text: str) -> None:
        """Note what Twilio has said by itself as the call began."""
        generation = self.begin()
        self._said(generation, text)
        self.floor.finish(generation)

    async def say(
        self, generation: int, text: str, *, is_interruptible: bool = True, is_kept: bool = True
    ) -> bool:
        """Say a whole sentence; False when the answer was interrupted. Fillers are not kept in the history."""
        # What was passed on in tokens may have stopped in the middle of a word's sentence.
        gap = " " if self._is_mid_sentence else ""
        self._is_mid_sentence = False
        words = f"{gap}{text.strip()} "
        return await self._put(generation, words, True, is_interruptible, is_kept)

    async def token(self, generation: int, text: str) -> bool:
        """Pass on words of a sentence as they come; False when the answer was interrupted."""
        self._is_mid_sentence = not text[-1:].isspace() and bool(text)
        return await self._put(generation, text, False, True, True)

    async def flush(self, generation: int) -> None:
        """Say that the sentence passed on in tokens is whole."""
        self._is_mid_sentence = False
        if self.floor.is_current(generation):
            await self._send(
                relay_messages.text("", is_last=True, language=self.language, is_interruptible=True)
            )

    async def filler(self, generation: int) -> None:
        """Say that it takes a moment, in other words than the time before."""
        session = self._talk.session
        self._fillers += 1
        words = fixed("filler", self.language, session.profile, variant=self._fillers % _FILLERS)
        await self.say(generation, words, is_kept=False)

    async def speak_in(self, tag: str) -> None:
        """Go on in another language, where it can be spoken and heard."""
        if tag == self.language or not (
            languages.speaks(tag) or tag in self._talk.session.profile.voices
        ):
            return
        self.language = tag
        heard = languages.recognition(tag)
        is_multi = twiml.is_multi(self._talk.session.profile)
        hears = heard.language if heard and not is_multi else None
        await self._send(relay_messages.language(tag, hears=hears))

    async def end(self, following: str | None) -> None:
        """Let all be spoken, then end the session."""
        for _ in range(_MOST_LOOKS):
            if not self.is_speaking():
                break
            await asyncio.sleep(_LOOK_S)
        await self._send(relay_messages.end(following))

    def is_speaking(self) -> bool:
        """Tell whether the caller hears the agent."""
        now = clock.elapsed()
        return self.floor.is_speaking(now) and now < self._latest_s

    def interrupted(self, heard: str | None) -> turns.Cut:
        """The caller has cut in: nothing more of this answer is sent, and the history keeps what was heard."""
        floor, now = self.floor, clock.elapsed()
        cut = floor.interrupt(now) if heard is None else floor.interrupt_at_text(heard)
        if self._turn is not None:
            self._turn.heard = cut.heard
            self._turn.end_s = round(self._talk.now_s(), 3)
        self._turn = None
        self._is_audio_due = False
        return cut

    def failed(self) -> None:
        """The voice has failed: the sentence that it failed in, and all after it, count as not heard."""
        turn, has_begun = self._turn, self._is_begun
        cut = self.floor.interrupt(clock.elapsed())
        self._turn = None
        self._is_audio_due = False
        if turn is None:
            return
        turn.heard = _before_last_sentence(cut.heard) if has_begun else ""
        if not turn.heard and turn is self._talk.session.turns[0]:
            # Nothing was heard at all: the call begins anew.
            self._talk.session.turns.remove(turn)

    def waited(self, seconds: float) -> None:
        """Note time that was spent waiting for somebody else, which is not our own."""
        self._waited_s += seconds

    def told(self, *, is_speaking: bool) -> None:
        """Believe Twilio about whether the agent speaks; the first word of an answer is measured."""
        self.floor.told(is_speaking=is_speaking)
        if self._turn is not None:
            self._turn.end_s = round(self._talk.now_s(), 3)
            if is_speaking and not self._is_begun:
                self._turn.start_s = self._turn.end_s
                self._is_begun = True
        if is_speaking and self._is_audio_due and self._asked_at is not None:
            self._is_audio_due = False
            self._talk.measured("first_audio", (clock.elapsed() - self._asked_at) * 1000)

    async def _put(
        self,
        generation: int,
        text: str,
        is_last: bool,  # noqa: FBT001 - private, and always named by its callers
        is_interruptible: bool,  # noqa: FBT001 - private, and always named by its callers
        is_kept: bool,  # noqa: FBT001 - private, and always named by its callers
    ) -> bool:
        if not self.floor.is_current(generation):
            return False
        if is_kept:
            self._said(generation, text)
        else:
            self.floor.send(generation, text, clock.elapsed())
            self._lasts()
        self._answered()
        await self._send(
            relay_messages.text(
                text, is_last=is_last, language=self.language, is_interruptible=is_interruptible
            )
        )
        return True

    def _said(self, generation: int, text: str) -> None:
        self.floor.send(generation, text, clock.elapsed())
        self._lasts()
        if self._turn is None:
            self._turn = self._talk.wrote(Voice.AGENT, text, language=self.language)
            self._is_begun = False
        else:
            self._turn.text += text
        self._turn.end_s = round(self._talk.now_s() + turns.speaking_s(self._turn.text), 3)

    def _lasts(self) -> None:
        seconds = turns.speaking_s(self._turn.text if self._turn else "")
        self._latest_s = clock.elapsed() + 2 * seconds + 2 * _SLACK_S

    def _answered(self) -> None:
        """Measure the first words of an answer as they go out."""
        if self._asked_at is None or not self._is_token_due:
            return
        self._is_token_due = False
        took = clock.elapsed() - self._asked_at
        self._talk.answered(took, max(0.0, took - self._waited_s))


def _before_last_sentence(text: str) -> str:
    """Leave out the sentence that a text ends in, or ends with."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)]
    return text[: ends[-1]].rstrip() if ends else ""
