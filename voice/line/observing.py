"""The dialogue beside a model that speaks for itself: it listens, keeps the slots, and steps in where it must.

On lines (b) and (c) the vendor's model answers before anybody has read what the caller said. So the dialogue is
given every turn and every tool's answer, and of its acts only those are carried out that a model must not be
trusted with: the emergency text, re-prompts in a silence, putting through, and the end. Pure but for what it
keeps in the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voice import wording
from voice.dialogue import begin, number, step
from voice.dialogue.types import (
    Act,
    End,
    Heard,
    Input,
    Listen,
    Patience,
    Pressed,
    Saved,
    Say,
    Silent,
    Slot,
    SpeakIn,
    Stage,
    StartRecording,
    Step,
    TakeMessage,
    Talk,
    ToolDone,
    Transfer,
)
from voice.profile import Profile
from voice.session import CallSession, Voice

#: What the line is to do after what was said: as ``session.after``.
TRANSFER, MESSAGE, END = "transfer", "message", "end"
#: So many earlier turns are told to a vendor that takes a call over.
TURNS_TOLD = 40
SILENCE_S = Listen().silence_s


@dataclass(frozen=True, slots=True)
class Wish:
    """What must happen now. ``lines`` are spoken word for word; ``must_say``: even if that needs another line.

    ``farewell`` is for the end, if the model does not say goodbye by itself.
    """

    lines: tuple[str, ...] = ()
    must_say: bool = False
    farewell: tuple[str, ...] = ()
    is_interruptible: bool = True
    #: None: as it was.
    patience: Patience | None = None
    silence_s: float = SILENCE_S
    tell: str | None = None
    starts_recording: bool = False
    is_over: bool = False


class Observer:
    """The dialogue of one call. Each method is told what happened and gives what must be done."""

    def __init__(self, session: CallSession) -> None:
        """Go on where the session's talk is."""
        self._session = session
        self._goal: str | None = None
        #: The read-back of a number that is due as soon as the model has noted it too.
        self._read_back: Wish | None = None

    def opening(self) -> Wish:
        """Give what is spoken first: the greeting, or what was asked last where a call goes on."""
        session, talk = self._session, self._session.talk
        begun = begin(self._profile, caller_id=session.from_, known=talk.known)
        left = self._left(begun.acts)
        if left is None:
            return self._wish((*talk.last, Listen(_patience(talk))), speaks=True)
        if not talk.last:
            session.talk = begun.talk
        return self._wish(left, speaks=True)

    def _left(self, acts: Sequence[Act]) -> tuple[Act, ...] | None:
        """Give what is left of the first acts, as Twilio may have spoken the first line; None when the call goes on."""
        said = [turn.text for turn in self._session.turns]
        if not said:
            return tuple(acts)
        first = next((act for act in acts if isinstance(act, Say)), None)
        if first is None or first.is_interruptible or said != [self._words(first)]:
            return None
        return tuple(act for act in acts if act is not first)

    def said(self) -> tuple[tuple[str, str], ...]:
        """Give what was said so far, oldest first, for a vendor that takes the call over."""
        who = {Voice.CALLER: "user", Voice.AGENT: "assistant"}
        turns = self._session.turns[-TURNS_TOLD:]
        told = (
            (who[turn.voice], turn.text if turn.heard is None else turn.heard) for turn in turns
        )
        return tuple((one, text) for one, text in told if text.strip())

    def heard(self, text: str, language: str | None) -> Wish:
        """Take what the caller said; the model has heard it too and answers."""
        before = self._session.talk
        taken = step(self._session.talk, Heard(text, language), self._profile)
        emergency = taken.talk.emergency
        is_new_emergency = emergency is not None and emergency != before.emergency
        wish = self._take(taken, speaks=True, must_say=is_new_emergency)
        if is_new_emergency or before.stage is Stage.CONSENT:
            return wish
        self._read_back = wish if taken.talk.pending and not before.pending else None
        # The model answers this turn itself; only the end is told in our words, if it leaves them out.
        return replace(wish, lines=(), farewell=wish.lines if wish.is_over else ())

    def pressed(self, digits: str) -> Wish:
        """Take keys, which the model cannot hear."""
        return self._take(step(self._session.talk, Pressed(digits), self._profile), speaks=True)

    def silent(self) -> Wish:
        """Take a silence."""
        return self._take(step(self._session.talk, Silent(), self._profile), speaks=True)

    def used(
        self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any] | None
    ) -> Wish:
        """Take a tool's answer; the model reads it too."""
        given: Input = ToolDone(tool, arguments, result)
        if tool == "save_slot":
            if not result:
                return self._wish(())
            slot, value = str(result.get("slot")), str(result.get("value"))
            read_back, self._read_back = self._read_back, None
            if read_back and (slot, value) == (Slot.NUMBER, self._session.talk.pending):
                return read_back
            self._read_back = read_back
            given = Saved(slot, value)
        taken = step(self._session.talk, given, self._profile)
        wish = self._take(taken, speaks=True)
        # The model may have said goodbye in the same breath.
        return replace(wish, lines=(), farewell=wish.lines) if wish.is_over else wish

    @property
    def _profile(self) -> Profile:
        return self._session.profile

    def _take(self, taken: Step, *, speaks: bool, must_say: bool = False) -> Wish:
        self._session.talk = taken.talk
        tell = None
        if taken.may_think and taken.goal and taken.goal != self._goal:
            self._goal = tell = taken.goal
        acts = [
            act for act in taken.acts if act_is_ours(act, may_think=taken.may_think) or must_say
        ]
        return self._wish(acts, speaks=speaks, must_say=must_say, tell=tell)

    def _wish(
        self,
        acts: Sequence[Act],
        *,
        speaks: bool = False,
        must_say: bool = False,
        tell: str | None = None,
    ) -> Wish:
        says = [act for act in acts if isinstance(act, Say)] if speaks else []
        listen = next((act for act in reversed(acts) if isinstance(act, Listen)), None)
        self._note_end(acts)
        return Wish(
            lines=tuple(self._words(say) for say in says),
            must_say=must_say,
            is_interruptible=all(say.is_interruptible for say in says),
            patience=_patience(self._session.talk) if listen else None,
            silence_s=listen.silence_s if listen else SILENCE_S,
            tell=tell,
            starts_recording=any(isinstance(act, StartRecording) for act in acts),
            is_over=self._session.after is not None,
        )

    def _note_end(self, acts: Sequence[Act]) -> None:
        session = self._session
        for act in acts:
            match act:
                case Transfer(number=number):
                    session.after, session.transfer_to = TRANSFER, number
                case TakeMessage():
                    session.after = MESSAGE
                case End() if session.after is None:
                    session.after = END
                case SpeakIn() | _:
                    pass

    def _words(self, say: Say) -> str:
        return wording.text_of(say, self._session.talk.language, self._profile)


def act_is_ours(act: Act, *, may_think: bool) -> bool:
    """Tell whether an act must be carried out although a model talks: all but speech that it may put better."""
    return not isinstance(act, Say) or act.is_fixed or not may_think


def _patience(talk: Talk) -> Patience:
    """Tell how long a pause may be. Where the caller's own number is offered, a yes or no is awaited, no digits."""
    return Patience.DIGITS if number.is_expected(talk) else Patience.NORMAL
