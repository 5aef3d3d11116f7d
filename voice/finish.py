"""What happens when a call is over: transcript, analysis, event, outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice.session import CallSession

if TYPE_CHECKING:
    from voice.context import Context


async def ended(context: Context, session: CallSession) -> None:
    """Make the event of a call that is over and give it to the outbox; returns when it is in there.

    The session needs ``ended_at`` and phase ENDED. Twice is harmless: the event has the same id.
    """


async def recorded(context: Context, session: CallSession) -> None:
    """Take a recording that came when the event was made already (phase DONE); earlier ones do not need this."""


async def keep_watch(context: Context) -> None:
    """Finish calls that nobody else finishes, until cancelled: their process died, or Redis was away."""
