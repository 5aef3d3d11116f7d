"""The one place through which words of callers pass before a log, a model or an event gets them.

For tenants with health data personal data is taken out (``voice.analyse.redact``); for others words pass as they
are. What a person needs to call back stays in fields of its own: ``caller`` and ``callback``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.event import Appointment, Segment, Transcript, Urgency, UrgencyReason, Voicemail
from voice.analyse.redact import redact
from voice.dialogue.types import Slot
from voice.session import CallSession

_LINE = 140
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Gate:
    """Redacts for one call: ``names`` are those known from elsewhere, such as the dialogue."""

    is_closed: bool
    names: tuple[str, ...] = ()
    language: str | None = None

    def text(self, said: str) -> str:
        """Give a text as it may leave."""
        if not self.is_closed or not said:
            return said
        return redact(said, language=self.language, names=self.names)

    def segments(self, parts: Sequence[Segment]) -> tuple[Segment, ...]:
        """Give segments as they may leave."""
        return tuple(part.model_copy(update={"text": self.text(part.text)}) for part in parts)

    def event(self, data: Voicemail) -> Voicemail:
        """Give an event's data as it may leave: all free text redacted, and said to be so."""
        if not self.is_closed:
            return data
        gate = self._knowing(data)
        return data.model_copy(
            update={
                "transcript": Transcript(
                    segments=gate.segments(data.transcript.segments), redacted=True
                ),
                "summary": gate.maybe(data.summary, _LINE),
                "reason": gate.maybe(data.reason, _LONGEST),
                "urgency": Urgency(
                    score=data.urgency.score,
                    level=data.urgency.level,
                    reasons=tuple(map(gate.reason, data.urgency.reasons)),
                ),
                "appointment": Appointment(
                    window=data.appointment.window,
                    service=gate.maybe(data.appointment.service, 255),
                ),
                "extra": {
                    name: gate.text(value) if isinstance(value, str) else value
                    for name, value in data.extra.items()
                },
            }
        )

    def maybe(self, said: str | None, longest: int) -> str | None:
        """Give a text that may be missing, not longer than its field: a token may be longer than what it stands for."""
        return None if said is None else self.text(said)[:longest]

    def reason(self, one: UrgencyReason) -> UrgencyReason:
        """Give a reason as it may leave; the rubric's own words are the tenant's."""
        return one.model_copy(update={"evidence": self.maybe(one.evidence, _LONGEST)})

    def _knowing(self, data: Voicemail) -> Gate:
        """Give a gate that also knows the name that was found in the call."""
        name = data.caller.name
        found = [one for one in (name.full, name.given, name.family) if one]
        return Gate(self.is_closed, (*self.names, *found), data.language or self.language)


def of(session: CallSession) -> Gate:
    """Give the gate of a call: closed for tenants with health data."""
    profile, talk = session.profile, session.talk
    names = (talk.slots.get(Slot.NAME), talk.known.name if talk.known else None)
    known = [one.strip() for one in names if one and one.strip()]
    parts = [part for one in known for part in one.split() if len(part) > 1]
    return Gate(
        is_closed=profile.is_phi,
        names=tuple(dict.fromkeys([*known, *parts])),
        language=talk.language,
    )
