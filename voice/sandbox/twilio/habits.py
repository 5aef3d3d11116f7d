"""How long things take at Twilio's side, and how people behave: the stated models, each of which can be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voice.sandbox.speech import Pace


@dataclass(frozen=True, slots=True)
class Habits:
    """The models. Defaults are round numbers near those that people publish; a bench states its own."""

    pace: Pace = field(default_factory=Pace)
    #: Silence after which a turn is over when ``speechTimeout`` is "auto".
    end_of_turn_s: float = 0.7
    #: From the end of a turn being known to its text being sent.
    recognition_s: float = 0.1
    #: From a text arriving, when nothing is being said, to its first sound.
    synthesis_s: float = 0.15
    #: How long the caller must speak to interrupt, by ``interruptSensitivity``.
    interrupt_s: Mapping[str, float] = field(
        default_factory=lambda: {"high": 0.15, "medium": 0.4, "low": 0.8}
    )
    #: From audio played or said to its real-time transcription.
    transcription_s: float = 0.6
    #: From the end of a recording to its file.
    recording_s: float = 2.0
    #: A frame of a media stream, and (for rough networks) the least and most bytes of a frame, drawn by chance.
    frame_s: float = 0.02
    frame_bytes: tuple[int, int] | None = None
    #: How long a caller waits for what their script awaits, and stays when the script is over.
    patience_s: float = 45.0
    stays_s: float = 30.0
    #: Whether recognition set to one language hears nothing of another.
    hears_one_language: bool = False


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody whom <Dial> rings: answers after so many seconds (None: never), talks for so long; or is busy."""

    answers_after_s: float | None = None
    talks_s: float = 20.0
    says: str = "Hello, how can I help?"
    is_busy: bool = False
    fails: bool = False


#: What a listener says to show that they listen. Source: Twilio's ``ignoreBackchannel``, whose list is not published.
BACKCHANNELS = frozenset(
    {
        "uh-huh",
        "uh huh",
        "mm-hmm",
        "mhm",
        "mm",
        "hmm",
        "yeah",
        "yep",
        "okay",
        "ok",
        "right",
        "sure",
        "i see",
    }
)


def is_backchannel(text: str) -> bool:
    """Tell whether a text is no more than a sign of listening."""
    return text.strip(" .,!?").lower() in BACKCHANNELS
