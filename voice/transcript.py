"""What was said in a call, from all that heard it: the line, Twilio's transcription, a recording's transcript.

What the line heard in its dialogue is believed most: it is what the agent answered to. Where the line heard nothing
(it failed, or a message was left after the tone) the others fill in, in the order of time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mappings.event import Segment, Speaker
from voice.analyse.fold import folded
from voice.session import CallSession, Turn, Voice

#: Turns that begin within so many seconds of another one's span are about the same speech.
_NEAR_S = 1.5
#: With this share of its words said elsewhere, a turn says nothing new.
_KNOWN = 0.7
#: The transcription has heard so much more than the line that the line must have been deaf.
_DEAF = 2.0
_WORD = re.compile(r"\w+")
_LONGEST, _MOST = 20_000, 2_000


@dataclass(frozen=True, slots=True)
class Transcript:
    """Segments in the order of time, and who heard them: line, transcription, recording, speech."""

    segments: tuple[Segment, ...]
    sources: tuple[str, ...]

    @property
    def said(self) -> str:
        """What the caller said, in one string."""
        return " ".join(part.text for part in self.segments if part.speaker is Speaker.CALLER)


def of(session: CallSession, heard_later: Sequence[Turn] = ()) -> Transcript:
    """Give the transcript of a call; ``heard_later`` is what a speech model heard in its recording."""
    others = [
        ("transcription", session.transcribed),
        ("recording", list(_written(session))),
        ("speech", list(heard_later)),
    ]
    base = _spoken(session.turns)
    sources = ["line"] if _words(base) else []
    if _words(_spoken(session.transcribed)) > _DEAF * max(_words(base), 1):
        base, sources = _spoken(session.transcribed), ["transcription"]
        others[0] = ("line", session.turns)
    for name, turns in others:
        more = [turn for turn in _spoken(turns) if _is_new(turn, base)]
        if not more:
            continue
        base = sorted([*base, *more], key=lambda turn: turn.start_s)
        if any(turn.voice is Voice.CALLER for turn in more):
            sources.append(name)
    return Transcript(tuple(map(_segment, base[:_MOST])), tuple(dict.fromkeys(sources)))


def is_deaf(session: CallSession) -> bool:
    """Tell whether a recording may hold words of the caller that nobody has written down."""
    if not session.recordings:
        return False
    if not of(session).said.strip():
        return True
    # A message was left after the tone, for instance because the line failed in the middle.
    unheard = [one for one in session.recordings if one.channels == 1 and not one.transcript]
    start_s = message_start(session)
    later = [
        turn
        for turn in (*session.turns, *session.transcribed)
        if turn.voice is Voice.CALLER and turn.end_s >= start_s
    ]
    return bool(unheard) and not later


def has_listened(session: CallSession) -> bool:
    """Tell whether a line that understands words was there for the whole call: what it did not hear was not said."""
    is_message = any(one.channels == 1 for one in session.recordings)
    is_whole = session.owner is not None and not (session.drops or session.failed_lines)
    return is_whole and not is_message


def message_start(session: CallSession) -> float:
    """Give when the message after the tone began, as well as it is known."""
    length = max(
        (one.duration_s or 0.0 for one in session.recordings if one.channels == 1), default=0.0
    )
    return max(0.0, (session.duration_s or length) - length)


def _spoken(turns: Sequence[Turn]) -> list[Turn]:
    """Leave out what nobody heard: the rest of an interrupted sentence, silence."""
    kept = []
    for turn in turns:
        text = turn.text if turn.heard is None or turn.voice is Voice.CALLER else turn.heard
        # A lone surrogate cannot be written as JSON.
        text = text.encode("utf-8", "replace").decode("utf-8").strip()
        if text:
            start_s = max(0.0, turn.start_s)
            kept.append(Turn(turn.voice, text, start_s, max(start_s, turn.end_s), turn.language))
    return kept


def _written(session: CallSession) -> Iterator[Turn]:
    start_s = message_start(session)
    for one in session.recordings:
        if one.transcript:
            at = start_s if one.channels == 1 else 0.0
            yield Turn(Voice.CALLER, one.transcript, at, at + (one.duration_s or 0.0))


def _is_new(turn: Turn, base: Sequence[Turn]) -> bool:
    """Tell whether a turn says what no turn of the same voice says."""
    words = _WORD.findall(folded(turn.text))
    same = [one for one in base if one.voice is turn.voice]
    known = {word for one in same for word in _WORD.findall(folded(one.text))}
    if not words or sum(word in known for word in words) >= _KNOWN * len(words):
        return False
    is_near = any(
        one.start_s - _NEAR_S <= turn.start_s <= one.end_s + _NEAR_S
        and turn.end_s <= one.end_s + _NEAR_S
        for one in same
    )
    return not is_near


def _words(turns: Sequence[Turn]) -> int:
    return sum(len(turn.text.split()) for turn in turns if turn.voice is Voice.CALLER)


def _segment(turn: Turn) -> Segment:
    return Segment(
        speaker=Speaker.CALLER if turn.voice is Voice.CALLER else Speaker.AGENT,
        start_s=round(turn.start_s, 2),
        end_s=round(turn.end_s, 2),
        text=turn.text[:_LONGEST],
    )
