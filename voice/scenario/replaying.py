"""Runs the tool calls of a finished call again, as the hub has kept them."""

from __future__ import annotations

from voice import clock, dialogue, tools
from voice.hub_api import HubApi
from voice.profile import Profile
from voice.session import CallSession


async def replayed(
    hub: HubApi, profile: Profile, call_id: str, *, caller: str | None = None
) -> list[tools.Replayed]:
    """Give each call of a tool beside what comes of it now; [] where none is kept. Raises HubError.

    ``caller`` is the number that the call came from, which only ``look_up_caller`` and the caller's own number need.
    Nothing is written: a replay is not a call.
    """
    kept = await hub.used_tools(profile.tenant_id, call_id)
    session = CallSession(
        sid=call_id,
        token="",
        profile=profile,
        started_at=min((one.at for one in kept), default=clock.now()),
        line=profile.line,
        from_=caller,
        talk=dialogue.begin(profile, caller_id=caller).talk,
    )
    return await tools.replay(kept, profile=profile, session=session, hub=hub)
