"""How Twilio reaches the application: signed posts and signed sockets, within their time, with what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect

from voice.sandbox.faults import Do, Faults
from voice.sandbox.twilio.report import Posted, Report
from voice.sandbox.twilio.signing import Signer
from voice.sandbox.twilio.sound import Sound

#: Twilio waits no longer than this for an answer. Source: https://www.twilio.com/docs/api/errors/11200 (2026-11-30)
PATIENCE_S = 15.0
#: … and for a socket to open [not documented; our assumption].
OPEN_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where the public address of the application really is: on a loopback port."""

    public_url: str
    at: str

    def http(self, url: str) -> tuple[str, str]:
        """Give the address to connect to, and the Host to name."""
        parts = urlsplit(url)
        public = urlsplit(self.public_url)
        if parts.netloc != public.netloc:
            return url, parts.netloc
        return urlunsplit(("http", self.at, parts.path, parts.query, "")), parts.netloc

    def socket(self, url: str) -> tuple[str, str, int]:
        """Give the address of a socket without TLS, and the host and port to connect to."""
        parts = urlsplit(url)
        public = urlsplit(self.public_url)
        at = self.at if parts.netloc == public.netloc else parts.netloc
        host, _, port = at.partition(":")
        plain = urlunsplit(("ws", parts.netloc, parts.path, parts.query, ""))
        return plain, host, int(port or 80)


class NoAnswer(Exception):
    """The application could not be reached, or not in time, or said it had failed."""


class Web:
    """Makes the requests of one call and writes them down."""

    def __init__(  # noqa: D107 - the class says it
        self, route: Route, signer: Signer, faults: Faults, sound: Sound, report: Report
    ) -> None:
        self._route = route
        self._signer = signer
        self._faults = faults
        self._sound = sound
        self._report = report
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - the limit is Twilio's, below
            trust_env=False,
            verify=False,  # noqa: S501 - all that is reached is plain HTTP on loopback; certificates take 0.1 s to read
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def ask(
        self, why: str, url: str, form: Mapping[str, str], method: str = "POST"
    ) -> Posted:
        """Request TwiML; at ``twilio.webhook`` it may come twice, or its answer too late."""
        fault = self._faults.take("twilio.webhook")
        if fault and fault.do is Do.REFUSE:
            return self._write(why, url, form, self._sound.now, None)
        if fault and fault.do is Do.DUPLICATE:
            first = asyncio.create_task(self._post(why, url, form, method))
            await asyncio.sleep(fault.for_s)
            await self._post(why, url, form, method)
            return await first
        late = fault.for_s if fault and fault.do is Do.STALL else 0.0
        return await self._post(why, url, form, method, late_s=late)

    async def tell(self, why: str, url: str, form: Mapping[str, str], method: str = "POST") -> None:
        """Post a callback, whose answer does not matter; at ``twilio.callback`` it may be late, lost or doubled."""
        fault = self._faults.take("twilio.callback")
        match fault.do if fault else None:
            case Do.STOP | Do.REFUSE:
                return
            case Do.STALL:
                await asyncio.sleep(fault.for_s if fault else 0)
            case Do.DUPLICATE:
                await self._post(why, url, form, method)
                await asyncio.sleep(fault.for_s if fault else 0)
            case _:
                pass
        await self._post(why, url, form, method)

    async def fetch(self, url: str) -> bytes:
        """Fetch media, as <Play> does."""
        address, host = self._route.http(url)
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.get(address, headers={"Host": host})
        except (TimeoutError, httpx.HTTPError) as error:
            raise NoAnswer(url) from error
        if answer.is_error:
            raise NoAnswer(url)
        return answer.content

    async def open(self, url: str) -> ClientConnection:
        """Open a socket with a signed upgrade. OSError, TimeoutError or InvalidHandshake when it is refused."""
        plain, host, port = self._route.socket(url)
        return await connect(
            plain,
            host=host,
            port=port,
            additional_headers=self._signer.upgrade(url),
            user_agent_header="TwilioMediaStreams",
            compression=None,
            ping_interval=None,
            open_timeout=OPEN_PATIENCE_S,
            close_timeout=1,
            max_size=None,
            proxy=None,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def _post(
        self, why: str, url: str, form: Mapping[str, str], method: str, *, late_s: float = 0.0
    ) -> Posted:
        began = self._sound.now
        signed = dict(form)
        if method == "GET":
            url, signed = str(httpx.URL(url, params=form)), {}
        address, host = self._route.http(url)
        headers = {
            "Host": host,
            "User-Agent": "TwilioProxy/1.1",
            **self._signer.webhook(url, signed),
        }
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.request(
                    method, address, data=signed or None, headers=headers
                )
                await asyncio.sleep(late_s)
        except (TimeoutError, httpx.HTTPError):
            return self._write(why, url, form, began, None)
        return self._write(why, url, form, began, answer)

    def _write(
        self,
        why: str,
        url: str,
        form: Mapping[str, str],
        began: float,
        answer: httpx.Response | None,
    ) -> Posted:
        posted = Posted(
            began,
            why,
            url,
            dict(form),
            answer.status_code if answer is not None else None,
            answer.text if answer is not None else "",
            round(self._sound.now - began, 6),
        )
        self._report.posted.append(posted)
        return posted
