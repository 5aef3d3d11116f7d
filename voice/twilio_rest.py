"""Twilio's REST API, as far as a live call and its recordings need it.

Errors say what must happen next: :class:`TwilioDown` is worth another try, :class:`TwilioRefused` is not, and
:class:`CallOver` says that there is nothing left to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from voice.settings import VoiceSettings
from voice.tls import trusted

#: Source: https://www.twilio.com/docs/api/errors/20404 (2026-11-30)
_NOT_FOUND = 20404
#: Source: https://www.twilio.com/docs/api/errors/21220 (2026-11-30): the call is not in-progress.
_NOT_IN_PROGRESS = 21220
_TIMEOUT_S = 10.0
_CONNECT_S = 3.0
_LARGEST_BYTES = 32 * 1024 * 1024


class TwilioError(Exception):
    """Twilio did not do what was asked."""


class TwilioDown(TwilioError):
    """Twilio gave no answer, or one that may be better later."""


class TwilioRefused(TwilioError):
    """Twilio said no; the same again is refused again."""


class CallOver(TwilioRefused):
    """The call, or the recording, is not there any more."""


class TwilioRest:
    """A client of one Twilio account. Without account or token everything raises TwilioRefused."""

    def __init__(self, settings: VoiceSettings) -> None:
        """Talk to the account of the settings."""
        self._account = settings.twilio_account_sid
        self._tokens = settings.auth_tokens
        self._client = httpx.AsyncClient(
            base_url=settings.twilio_base_url,
            timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_S),
            trust_env=False,
            verify=trusted(),
        )

    @property
    def is_ready(self) -> bool:
        """Whether there is an account to talk to."""
        return bool(self._account and self._tokens)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def update_call(
        self,
        call_sid: str,
        *,
        twiml: str | None = None,
        url: str | None = None,
        status: str | None = None,
    ) -> None:
        """Give a live call other TwiML, or end it (``status="completed"``). Raises CallOver."""
        said = {"Twiml": twiml, "Url": url, "Status": status}
        await self._post(f"Calls/{call_sid}.json", {k: v for k, v in said.items() if v})

    async def start_recording(self, call_sid: str, *, callback: str) -> str:
        """Record both sides of a live call from now on, each in its own channel; gives the recording's SID."""
        # Source: https://www.twilio.com/docs/voice/api/recording (2026-11-30)
        answer = await self._post(
            f"Calls/{call_sid}/Recordings.json",
            {
                "RecordingChannels": "dual",
                "RecordingTrack": "both",
                "RecordingStatusCallback": callback,
                "RecordingStatusCallbackEvent": ["completed", "absent"],
            },
        )
        return str(answer.get("sid", ""))

    async def stop_recording(self, call_sid: str, recording_sid: str = "Twilio.CURRENT") -> None:
        """End a recording of a live call."""
        await self._post(f"Calls/{call_sid}/Recordings/{recording_sid}.json", {"Status": "stopped"})

    async def start_transcription(self, call_sid: str, *, callback: str, language: str) -> str:
        """Write down both sides of a live call from now on; gives the transcription's SID."""
        # Source: https://www.twilio.com/docs/voice/api/realtime-transcription-resource (2026-11-30)
        answer = await self._post(
            f"Calls/{call_sid}/Transcriptions.json",
            {
                "Track": "both_tracks",
                "StatusCallbackUrl": callback,
                "LanguageCode": language,
                "PartialResults": "false",
            },
        )
        return str(answer.get("sid", ""))

    async def download(self, recording_url: str, *, channels: int = 1) -> bytes:
        """Give a recording's sound as a WAV file; raises CallOver when it is gone, TwilioDown when it is not ready.

        Only the path of ``recording_url`` is believed: credentials go to the account's own address.
        """
        path = httpx.URL(recording_url).path.removesuffix(".json").removesuffix(".wav")
        query = f"?RequestedChannels={channels}" if channels > 1 else ""
        answer = await self._sent("GET", f"{path}.wav{query}")
        if len(answer.content) > _LARGEST_BYTES:
            raise TwilioRefused("the recording is larger than 32 MiB")
        return answer.content

    async def delete_recording(self, recording_sid: str) -> None:
        """Remove a recording from Twilio; one that is gone already is no error."""
        try:
            await self._sent("DELETE", self._path(f"Recordings/{recording_sid}.json"))
        except CallOver:
            return

    async def _post(self, path: str, form: Mapping[str, str | Sequence[str]]) -> Mapping[str, Any]:
        answer = await self._sent("POST", self._path(path), data=form)
        try:
            found = answer.json()
        except ValueError:
            raise TwilioDown("Twilio's answer is not JSON") from None
        return found if isinstance(found, dict) else {}

    def _path(self, path: str) -> str:
        return f"/2010-04-01/Accounts/{self._account}/{path}"

    async def _sent(self, method: str, path: str, **request: Any) -> httpx.Response:
        if not (self._account and self._tokens):
            raise TwilioRefused("no Twilio account is set")
        auth = (self._account, self._tokens[0])
        try:
            answer = await self._client.request(method, path, auth=auth, **request)
        except httpx.HTTPError as err:
            raise TwilioDown(f"Twilio did not answer ({type(err).__name__})") from None
        if answer.is_success:
            return answer
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise TwilioDown(f"Twilio answered {answer.status_code}")
        code = _code(answer)
        if answer.status_code == httpx.codes.NOT_FOUND or code in {_NOT_FOUND, _NOT_IN_PROGRESS}:
            raise CallOver(f"Twilio answered {answer.status_code}, code {code}")
        raise TwilioRefused(f"Twilio answered {answer.status_code}, code {code}")


def _code(answer: httpx.Response) -> int | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, int) else None
