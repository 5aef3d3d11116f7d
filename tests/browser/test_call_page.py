"""A call typed in Chromium: through the voice service's ConversationRelay, the hub and a worker to a record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypercorn.asyncio import serve as serve_app
from hypercorn.config import Config
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from hub.context import Hub
from hub.delivery import send
from hub.processes import free_port
from hub.voice import numbers
from hub.voice.settings import VoiceSettings, save, voice_settings
from tests.api.speaking import new_number
from tests.browser.seeding import PASSWORD, name_people
from tests.browser.serving import serving
from tests.browser.test_pages import check, press, see, wait
from tests.conftest import VOICE_TOKEN, Company, new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD, Connected, connect, unspent
from voice.app import create_app as create_voice
from voice.settings import load as load_voice

pytestmark = pytest.mark.browser
WHERE = "/settings/telephone/call"
#: Chromium without a sound card has neither voice nor ears: this voice begins, tells of one word, and speaks until it
#: is cut off; these ears hear what a test says into them.
SOUND = """
Object.defineProperty(window, "speechSynthesis", {value: {
  getVoices: () => [{lang: "en-US", localService: true}],
  addEventListener() {},
  speak(one) { window.spoken = one.text; setTimeout(() => { one.onstart(); one.onboundary({charIndex: 12}); }); },
  cancel() { window.isCut = true; },
}});
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
window.SpeechRecognition = class {
  start() { window.ears = this; }
  abort() {}
  hear(transcript, isFinal) { this.onresult({resultIndex: 0, results: [Object.assign([{transcript}], {isFinal})]}); }
};
"""


@dataclass(frozen=True)
class Installation:
    """A hub with its voice service and workers, and a company that has a number and a Salesforce."""

    url: str
    hub: Hub
    company: Company
    email: str
    box: Sandbox


@contextmanager
def voice_service(**settings: Any) -> Iterator[None]:
    """Serve the voice service in a thread of its own."""
    ready, loops = threading.Event(), []
    stop = asyncio.Event()

    async def serve() -> None:
        config = Config()
        config.bind = [f"127.0.0.1:{settings['voice_port']}"]
        config.accesslog = config.errorlog = None
        config.graceful_timeout = 1
        app = create_voice(load_voice(**settings))
        app.before_serving(told)
        loops.append(asyncio.get_running_loop())
        await serve_app(app, config, shutdown_trigger=stop.wait)

    async def told() -> None:
        ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(30)


@contextmanager
def worker(connected: Connected) -> Iterator[None]:
    """Deliver what is due as a worker does, for one account, as often as the sweep looks."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.3):
            send.drain(connected.hub, connected.connection.id)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


@pytest.fixture(scope="module")
def installation(hub: Hub, salesforce_box: Sandbox) -> Iterator[Installation]:
    """Hub and worker, which know where the voice service will be."""
    voice_url = f"http://127.0.0.1:{free_port()}"
    with serving(hub, voice_token=VOICE_TOKEN, voice_public_url=voice_url) as site:
        company, email, connected = _company(site.hub, salesforce_box)
        with worker(connected):
            yield Installation(site.url, site.hub, company, email, salesforce_box)


def _company(hub: Hub, box: Sandbox) -> tuple[Company, str, Connected]:
    company = new_company(hub, timezone="America/Los_Angeles")
    email = name_people(hub, company)
    numbers.put(hub, company.tenant_id, new_number(), label="Main line", actor="command")
    kept = voice_settings(hub, company.tenant_id)
    changed = VoiceSettings.model_validate(
        {**kept.settings.model_dump(), "consent": "none", "languages": ("en-US",)}
    )
    save(hub, company.tenant_id, changed, revision=kept.revision, actor="command")
    unspent(hub)
    connected = connect(hub, company, box)
    connected.publish(
        LEAD.replace(
            "  - {field: bucket, in: [new_lead]}\n", "  - {field: caller.phone, present: true}\n"
        )
    )
    return company, email, connected


@pytest.fixture
def voice(installation: Installation, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The voice service of one test; called, it stops."""
    settings = installation.hub.settings
    with ExitStack() as stack:
        stack.enter_context(
            voice_service(
                data_dir=tmp_path,
                redis_url=settings.redis_url.get_secret_value(),
                hub_url=installation.url,
                voice_port=int(settings.voice_url.rpartition(":")[2]),
                voice_token=VOICE_TOKEN,
            )
        )
        yield stack.close


@pytest.fixture(scope="module")
def browser(start_browser: Callable, installation: Installation) -> webdriver.Chrome:
    """Chromium, signed in, with a voice."""
    driver = start_browser()
    driver.get(f"{installation.url}/")
    driver.switch_to.active_element.send_keys(installation.email, Keys.TAB, PASSWORD, Keys.ENTER)
    wait(driver, lambda: driver.title.startswith("Overview"))
    return driver


def say(driver: webdriver.Chrome, words: str) -> None:
    """Type it, as a caller would say it, and wait for an answer."""
    agents = "return document.querySelectorAll('#talk .agent').length"
    before = driver.execute_script(agents)
    driver.switch_to.active_element.send_keys(words, Keys.ENTER)
    wait(driver, lambda: driver.execute_script(agents) > before)


@pytest.mark.usefixtures("voice")
def test_a_typed_call_lands(browser: webdriver.Chrome, installation: Installation) -> None:
    """By keyboard alone: slots come as they are said, and the event and its record are shown when they are there."""
    browser.get(f"{installation.url}{WHERE}")
    see(browser, "A real call")
    browser.get_log("browser")  # what other tests have left
    check(browser, "call")
    browser.find_element(By.ID, "dialled").send_keys(Keys.TAB, "+14155550177", Keys.ENTER)
    wait(browser, lambda: browser.switch_to.active_element.get_attribute("id") == "says")
    say(browser, "Hi, this is Dana Whitfield, my kitchen tap is leaking, call me at 415 555 0132.")
    see(browser, "+14155550132 (not confirmed yet)")
    say(browser, "Yes, that's right.")
    see(browser, "Dana Whitfield")
    check(browser, "call-talking")
    press(browser, "Hang up")

    see(browser, "What became of it")
    see(browser, "Salesforce Lead")
    see(browser, "Open record")
    see(browser, "kitchen tap")
    check(browser, "call-landed")
    phones = [one["fields"].get("Phone") for one in installation.box.records("Lead")]
    assert "+14155550177" in phones


def test_a_spoken_call_that_breaks_off(
    browser: webdriver.Chrome, installation: Installation, voice: Callable[[], None]
) -> None:
    """Who speaks while the agent does cuts it off; a service that goes away is told of, and what was said stays."""
    sound = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SOUND})
    browser.get(f"{installation.url}{WHERE}")
    browser.find_element(By.ID, "listens").click()
    press(browser, "Call")
    wait(browser, lambda: browser.execute_script("return window.spoken"))
    browser.execute_script("ears.hear('Hi', false)")

    wait(browser, lambda: browser.execute_script("return window.isCut"))
    [lost] = browser.find_elements(By.CSS_SELECTOR, "#talk del")
    assert lost.text.endswith("the reason for your call.")
    browser.execute_script("ears.hear('Hi, this is Dana Whitfield.', true)")
    see(browser, "Dana Whitfield.")
    wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#talk .agent")) > 1)
    voice()
    see(browser, "The connection was lost")
    see(browser, "Hi, this is Dana Whitfield.")
    press(browser, "Call again")
    press(browser, "Call")
    see(browser, "The voice service does not answer")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", sound)
