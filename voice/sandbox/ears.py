"""Turn detection in miniature, for sandboxes of vendors that decide about turns themselves."""

from __future__ import annotations

from voice.sandbox import speech


class Ears:
    """Where speech begins and ends in the sound so far."""

    def __init__(self) -> None:  # noqa: D107 - the class says it
        self._decoder = speech.Decoder()
        self._said: list[str] = []
        self._began_s: float | None = None
        self._quiet_s: float | None = None
        self._is_told = False
        #: Words since speech began, and the item that they will be.
        self.words: list[str] = []
        self.item = ""

    @property
    def is_speech(self) -> bool:
        """Whether somebody speaks, or has not been silent for long enough."""
        return self._began_s is not None

    def feed(self, audio: bytes, *, onset_s: float, silence_s: float) -> list[tuple[str, int, str]]:
        """Take sound; gives ("started" or "stopped", milliseconds, text)."""
        told: list[tuple[str, int, str]] = []
        for event in self._decoder.feed(audio):
            if isinstance(event, speech.Started):
                self._began_s = event.at_s if self._began_s is None else self._began_s
                self._quiet_s = None
            elif isinstance(event, speech.Word):
                self.words.append(event.text)
            else:
                self._said.append(event.text)
                self._quiet_s = event.at_s
        now = self._decoder.position_s
        if self._began_s is None:
            return told
        loud_s = (now if self._quiet_s is None else self._quiet_s) - self._began_s
        if not self._is_told and loud_s >= onset_s:
            self._is_told = True
            told.append(("started", round(self._began_s * 1000), ""))
        if self._quiet_s is not None and now - self._quiet_s >= silence_s:
            if self._is_told:
                told.append(("stopped", round(now * 1000), " ".join(filter(None, self._said))))
            self._said, self._began_s, self._quiet_s, self._is_told = [], None, None, False
            self.words = []
        return told
