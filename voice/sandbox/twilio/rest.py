"""Twilio's REST API, as far as a voicemail uses it: a live call, its recordings, their files.

Source: https://www.twilio.com/docs/voice/api (2026-11-30)
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from typing import TYPE_CHECKING, Any

from quart import Quart, Response, request

from voice.sandbox.faults import Do, Fault
from voice.sandbox.twilio.call import Call, Replacement
from voice.sandbox.twilio.recording import Recording
from voice.sandbox.twilio.schema import ELEMENTS
from voice.sandbox.twilio.twiml import Verb

if TYPE_CHECKING:
    from voice.sandbox.twilio.network import PhoneNetwork

Answer = tuple[dict[str, Any], int]
_TWIML_LIMIT = 4000


def rest_app(network: PhoneNetwork) -> Quart:
    """Make the API of a network."""
    app = Quart("twilio-in-miniature")
    _guard(app, network)
    _calls(app, network)
    _recordings(app, network)
    return app


def _guard(app: Quart, network: PhoneNetwork) -> None:
    @app.before_request
    async def guard() -> Answer | None:
        given = request.headers.get("Authorization", "")
        wanted = base64.b64encode(f"{network.account_sid}:{network.auth_token}".encode()).decode()
        if not hmac.compare_digest(given, f"Basic {wanted}"):
            return _problem(401, 20003, "Authenticate")
        if f"/Accounts/{network.account_sid}/" not in request.path:
            return _not_found()
        return await _suffer(network.faults.take("twilio.rest"))


async def _suffer(fault: Fault | None) -> Answer | None:
    if fault and fault.do is Do.STALL:
        await asyncio.sleep(fault.for_s)
    if fault and fault.do in {Do.ERROR, Do.REFUSE}:
        return _problem(fault.status or 500, 20500, "An internal error has occurred")
    return None


def _calls(app: Quart, network: PhoneNetwork) -> None:
    @app.post("/2010-04-01/Accounts/<account>/Calls/<sid>.json")
    async def update(account: str, sid: str) -> Answer:
        del account
        call = network.calls.get(sid)
        if call is None or call.is_over:
            return _not_found()
        form = await request.form
        if form.get("Status") in {"completed", "canceled"}:
            call.hang_up("api")
        elif form.get("Twiml") or form.get("Url"):
            if len(form.get("Twiml", "")) > _TWIML_LIMIT:
                return _problem(400, 21619, "Twiml is longer than 4000 characters")
            call.replace(
                Replacement(form.get("Twiml"), form.get("Url"), form.get("Method", "POST"))
            )
        else:
            return _problem(400, 21218, "Nothing to do: no Twiml, Url or Status")
        return _call_json(call), 200

    @app.get("/2010-04-01/Accounts/<account>/Calls/<sid>.json")
    async def fetch(account: str, sid: str) -> Answer:
        del account
        call = network.calls.get(sid)
        return (_call_json(call), 200) if call else _not_found()

    @app.post("/2010-04-01/Accounts/<account>/Calls/<sid>/Recordings.json")
    async def record(account: str, sid: str) -> Answer:
        del account
        call = network.calls.get(sid)
        if call is None or call.is_over:
            return _not_found()
        form = {name[0].lower() + name[1:]: value for name, value in (await request.form).items()}
        wanted = {k: v for k, v in form.items() if k in ELEMENTS["Recording"].attributes}
        channels = 2 if form.get("recordingChannels") == "dual" else 1
        recording = call.start_recording(
            Verb("Recording", wanted),
            "StartCallRecordingAPI",
            channels=channels,
            track=form.get("recordingTrack", "both"),
        )
        return recording.as_json(), 201


def _recordings(app: Quart, network: PhoneNetwork) -> None:
    @app.get("/2010-04-01/Accounts/<account>/Calls/<sid>/Recordings.json")
    async def listed(account: str, sid: str) -> Answer:
        del account
        found = [
            one.as_json()
            for one in network.recordings.by_sid.values()
            if one.call_sid == sid and not one.is_deleted
        ]
        return {"recordings": found}, 200

    @app.get("/2010-04-01/Accounts/<account>/Recordings/<name>")
    async def download(account: str, name: str) -> Answer | Response:
        del account
        sid, _, suffix = name.partition(".")
        recording = _existing(network, sid)
        if recording is None:
            return _not_found()
        if suffix == "json":
            return recording.as_json(), 200
        if failure := await _suffer(network.faults.take("twilio.recording")):
            return failure
        if recording.status != "completed":
            return _not_found()
        # There is no encoder here: an .mp3 holds the same WAV, under the type that was asked for.
        kind = "audio/mpeg" if suffix == "mp3" else "audio/x-wav"
        return Response(recording.wav(), content_type=kind)

    @app.delete("/2010-04-01/Accounts/<account>/Recordings/<name>")
    async def delete(account: str, name: str) -> Answer | Response:
        del account
        recording = _existing(network, name.removesuffix(".json"))
        if recording is None:
            return _not_found()
        recording.is_deleted = True
        return Response(status=204)


def _existing(network: PhoneNetwork, sid: str) -> Recording | None:
    recording = network.recordings.by_sid.get(sid)
    return None if recording is None or recording.is_deleted else recording


def _call_json(call: Call) -> dict[str, Any]:
    return {
        "sid": call.sid,
        "account_sid": call.network.account_sid,
        "status": call.report.status,
        "from": call.dialling.from_,
        "to": call.dialling.to,
        "direction": "inbound",
        "duration": str(round(call.report.duration_s)) if call.is_over else None,
    }


def _not_found() -> Answer:
    return _problem(404, 20404, "The requested resource was not found")


def _problem(status: int, code: int, message: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more, "status": status}, status
