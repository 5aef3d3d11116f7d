"""What a bridged call needs of the rest of the service."""

from __future__ import annotations

from typing import Protocol

from voice.line import vendor as v
from voice.line.observing import Observer, Wish


class Service(Protocol):
    """The service, for one call."""

    @property
    def observer(self) -> Observer:
        """The dialogue beside the vendor's model."""

    async def use_tool(self, wanted: v.ToolWanted) -> tuple[str, bool, Wish]:
        """Run a tool and give its answer for the model, whether it failed, and what the dialogue wants then."""

    def opening(self, wish: Wish) -> v.Opening:
        """Give what the vendor is told at the beginning."""

    def changed(self) -> None:
        """The session is worth saving."""

    def measured(self, stage: str, ms: float) -> None:
        """Keep a measurement, in milliseconds."""

    def fell_back(self, what: str) -> None:
        """Note that something was done in another way than planned."""

    def start_recording(self) -> None:
        """Begin to record, beside the conversation."""
