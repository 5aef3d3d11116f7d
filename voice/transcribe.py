"""Write down a recording with a local speech model, where the extra ``speech`` is installed."""

from __future__ import annotations

from voice.session import Turn

MODEL = "whisper-base"


class NotHeard(Exception):
    """The recording could not be written down; ``why`` is a short constant."""

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


def is_installed() -> bool:
    """Tell whether the extra is here."""
    return False


async def turns(audio: bytes, *, language: str | None) -> list[Turn]:
    """Give what was said in a WAV file; of two channels the first is the caller's. Raises NotHeard."""
    del audio, language
    raise NotHeard("no-speech-model")
