"""The conversation with Anthropic's model: one turn is a stream of words and tool calls."""

from __future__ import annotations

from voice.settings import VoiceSettings


class Model:
    """A client of the Messages API; the work follows."""

    def __init__(self, settings: VoiceSettings) -> None:
        """Talk to the API of the settings."""
        self._settings = settings
