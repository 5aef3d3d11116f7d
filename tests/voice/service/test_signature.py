"""Only Twilio is believed: signatures of webhooks and sockets, and what is refused before they are looked at."""

from __future__ import annotations

import json

import httpx
import pytest
import websockets
from twilio.request_validator import RequestValidator
from websockets.exceptions import InvalidStatus

from tests.voice.service.world import ACCOUNT, CALLER, NUMBER, PUBLIC, world
from voice.sandbox import virtual

SID = "CA" + "2" * 32
FORM = {
    "CallSid": SID,
    "AccountSid": ACCOUNT,
    "From": CALLER,
    "To": NUMBER,
    "CallStatus": "ringing",
}
TOKEN = "sandbox-auth-token"


def signed(path="/twilio/voice", form=FORM, *, secret=TOKEN, url=PUBLIC, **more):
    """Give the headers of a request."""
    return {
        "X-Twilio-Signature": RequestValidator(secret).compute_signature(url + path, form, **more)
    }


def posted(redis_url, tmp_path, headers, *, form=FORM, path="/twilio/voice", **settings):
    """Post a form and give the answer."""

    async def play():
        async with world(redis_url, tmp_path, **settings) as made, httpx.AsyncClient() as client:
            return await client.post(f"http://{made.at}{path}", data=form, headers=headers)

    return virtual.run(play())


def test_a_signed_webhook_is_answered(redis_url, tmp_path):
    """The answer is TwiML that connects the call."""
    answer = posted(redis_url, tmp_path, signed())

    assert answer.status_code == 200
    assert "<ConversationRelay" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Twilio-Signature": "nonsense"},
        signed(secret="another"),
        signed(path="/twilio/status"),
        signed(url="https://elsewhere.example"),
        signed(form={**FORM, "From": "+19995550000"}),
        {**signed(), "X-Twilio-Webhooks-Signature-Settings": "key=none,algorithm=HMAC_SHA256"},
        {**signed(), "X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=MD5"},
    ],
)
def test_anything_else_is_refused(redis_url, tmp_path, headers):
    """Unsigned, signed with another secret, or for another address or form: 403."""
    answer = posted(redis_url, tmp_path, headers)

    assert answer.status_code == 403
    assert "<" not in answer.text


def test_the_port_may_be_part_of_what_was_signed(redis_url, tmp_path):
    """Twilio signs with and without it."""
    assert posted(redis_url, tmp_path, signed(url=f"{PUBLIC}:443")).status_code == 200


def test_the_address_of_a_proxy_does_not_count(redis_url, tmp_path):
    """Forwarded headers change nothing."""
    told = {
        "X-Forwarded-Host": "elsewhere.example",
        "X-Forwarded-Proto": "http",
        "Host": "x.example",
    }

    assert posted(redis_url, tmp_path, {**signed(), **told}).status_code == 200


def test_an_old_token_counts_while_it_is_listed(redis_url, tmp_path):
    """Tokens are replaced without a call lost."""
    answer = posted(redis_url, tmp_path, signed(), twilio_auth_tokens=f"the-new-one,{TOKEN}")

    assert answer.status_code == 200


def test_a_shared_key_signs_with_sha256(redis_url, tmp_path):
    """The header names the key."""
    headers = signed(secret="shared", algorithm="HMAC_SHA256")
    headers["X-Twilio-Webhooks-Signature-Settings"] = "key=webhooks_1,algorithm=HMAC_SHA256"
    answer = posted(redis_url, tmp_path, headers, twilio_signing_keys="webhooks_1:shared")

    assert answer.status_code == 200


def test_a_form_that_is_too_large_is_not_read(redis_url, tmp_path):
    """Some two kilobytes are usual."""
    form = {**FORM, "CallerName": "x" * 70_000}

    assert posted(redis_url, tmp_path, signed(form=form), form=form).status_code == 413


def test_a_form_without_a_call_is_told_so(redis_url, tmp_path):
    """400 says what is missing."""
    form = {**FORM, "CallSid": "CA1"}

    assert posted(redis_url, tmp_path, signed(form=form), form=form).status_code == 400


def test_a_socket_needs_a_signature_and_the_calls_token(redis_url, tmp_path):
    """Unsigned: no upgrade. Signed, with another call's token: closed."""

    async def play():
        async with world(redis_url, tmp_path) as made:
            address = f"ws://{made.at}/twilio/relay"
            with pytest.raises(InvalidStatus) as refused:
                async with websockets.connect(address):
                    pass
            headers = signed("/twilio/relay", {}, url=PUBLIC.replace("https", "wss"))
            async with websockets.connect(address, additional_headers=headers) as socket:
                setup = {"type": "setup", "callSid": SID, "customParameters": {"token": "guessed"}}
                await socket.send(json.dumps(setup))
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()
                code = socket.close_code
            metrics = made.context.metrics.text().decode()
            return refused.value.response.status_code, code, metrics

    status, code, metrics = virtual.run(play())

    assert status == 403
    assert code == 1008
    assert 'afterbeep_voice_refused_requests_total{reason="socket_signature"} 1.0' in metrics


def test_garbage_on_a_socket_is_ignored(redis_url, tmp_path):
    """Whatever comes that is no message, the call goes on."""

    async def play():
        async with world(redis_url, tmp_path) as made, httpx.AsyncClient() as client:
            answer = await client.post(
                f"http://{made.at}/twilio/voice", data=FORM, headers=signed()
            )
            token = answer.text.partition('name="token" value="')[2].partition('"')[0]
            headers = signed("/twilio/relay", {}, url=PUBLIC.replace("https", "wss"))
            address = f"ws://{made.at}/twilio/relay"
            async with websockets.connect(address, additional_headers=headers) as socket:
                setup = {"type": "setup", "callSid": SID, "customParameters": {"token": token}}
                await socket.send(json.dumps(setup))
                for garbage in (
                    "",
                    "{",
                    "[]",
                    '{"type": 5}',
                    b"\x00\x01",
                    "x" * 100_000,
                    "[" * 5000,
                ):
                    await socket.send(garbage)
                await socket.send('{"type": "interrupt", "utteranceUntilInterrupt": 7}')
                await socket.send(
                    '{"type": "prompt", "voicePrompt": "My tap leaks.", "last": true}'
                )
                return json.loads(await socket.recv())

    assert virtual.run(play())["type"] == "text"
