"""A call held by the voice service against the real hub: its profile, its token, its event."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from werkzeug.serving import make_server

from hub.app import create_app
from tests.api.calling import program
from tests.api.speaking import new_number
from tests.conftest import VOICE_TOKEN, new_company
from tests.voice.service.world import text_of, world
from voice.sandbox import virtual
from voice.sandbox.twilio.caller import Speak


@contextmanager
def served(app):
    """Serve the hub on loopback, in a thread."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)


def test_a_call_becomes_an_event_of_the_tenant_whose_number_was_dialled(hub, services, tmp_path):
    """Settings and number are set through the API; the event is in the hub, under the call's id."""
    app = create_app(hub)
    company = new_company(hub)
    caller = program(app, hub, company.tenant_id)
    number = new_number()
    revision = caller.get("/v1/voice/settings").json["revision"]
    settings = {"consent": "none", "records": False, "languages": ["en-US"]}
    changed = caller.send("/v1/voice/settings", {"revision": revision, "settings": settings}, "PUT")
    taken = caller.send(f"/v1/voice/numbers/{number}", {}, "PUT")
    assert (changed.status_code, taken.status_code) == (200, 201), (changed.text, taken.text)

    async def play(url):
        async with world(
            services.redis_url, tmp_path, hub_url=url, voice_token=VOICE_TOKEN
        ) as made:
            made.phone.number(number)
            return await made.call(
                Speak(
                    "Hi, this is Dana Whitfield, my kitchen tap is leaking, call me at 415 555 0132."
                ),
                Speak("Yes, that's right."),
                Speak("No, it is not urgent."),
                Speak("No, that's all."),
                to=number,
            )

    with served(app) as url:
        report = virtual.run(play(url))
    [item] = caller.get("/v1/events").json["items"]
    found = caller.get(f"/v1/events/{item['id']}")

    assert "Harbor Home Services" in text_of(report)
    assert found.status_code == 200, found.text
    assert report.sid in found.text
    assert "Dana Whitfield" in found.text
