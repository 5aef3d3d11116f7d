"""The inbox and the accounts in a browser, as an operator and as a viewer, by keyboard, in both themes, on a phone."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from sqlalchemy import select, update

from hub.context import Hub
from hub.db import people
from hub.db.base import now
from hub.db.connections import CallCount, Connection
from hub.db.deliveries import Delivery
from hub.db.people import Role
from hub.delivery.plan import Incoming, accept
from hub.voice import recordings, tool_calls
from hub.voice.tool_calls import Used
from hub.web.viewer import COOKIE
from mappings.event import Event
from tests.browser.seeding import CALLS, URGENT_TASK, drain, event
from tests.browser.serving import Site
from tests.browser.test_pages import check, press, see, wait
from tests.conftest import Company, new_company
from tests.connectors.running import Sandbox
from tests.delivery.connected import LEAD_AND_TASK, Connected, connect, unspent

pytestmark = pytest.mark.browser

GERMAN: dict[str, Any] = {
    "name": ("Friedrich-Wilhelm", "von Hohenstein-Wartenberg"),
    "phone": "+498912345678",
    "company": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mbH",
    "bucket": "existing_customer",
    "score": 44,
    "level": "high",
    "reasons": [
        (
            "Heizungsausfall bei Außentemperaturen unter dem Gefrierpunkt",
            44,
            "die Heizung ist ausgefallen",
        )
    ],
    "summary": "Heizungsnotdienstbereitschaftsrückrufvereinbarung: bittet um Rückruf wegen der ausgefallenen Heizung",
    "said": [
        (
            "caller",
            (
                "Guten Tag, hier Friedrich-Wilhelm von Hohenstein-Wartenberg, die Heizung ist ausgefallen seit gestern "
                "Abend; die Wohnungseigentümergemeinschaftsversammlung wartet."
            ),
        )
    ],
    "language": "de-DE",
}


@dataclass(frozen=True)
class Morning:
    """A company with calls of its own: the first was recorded, and somebody must approve the second."""

    connected: Connected
    ids: tuple[str, ...]


def sound(seconds: int) -> bytes:
    """Make a WAV of silence."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(16_000 * seconds))
    return out.getvalue()


def spoken(call: dict[str, Any]) -> Event:
    """Make the event of a call that the voice front end took."""
    made = event(call, 4)
    data = made.data.model_dump(mode="json", by_alias=True, exclude_none=True)
    ended = now() - timedelta(minutes=4)
    data["call"] |= {
        "started_at": (ended - timedelta(seconds=41)).isoformat(),
        "ended_at": ended.isoformat(),
    }
    data["latency"] = {
        "first_audio": 640.0,
        "first_audio_max": 1_180.0,
        "own_share": 41.0,
        "bucket": 8.4,
    }
    sent = made.model_dump(mode="json", exclude_none=True)
    return Event.model_validate(sent | {"source": "/voice", "data": data})


@pytest.fixture(scope="module")
def morning(site: Site, salesforce_box: Sandbox) -> Morning:
    """Let it happen."""
    hub = site.hub
    unspent(hub)
    connected = connect(hub, new_company(hub, timezone="Europe/Berlin"), salesforce_box)
    connected.publish(LEAD_AND_TASK, name="New leads")
    connected.publish(URGENT_TASK, name="Emergencies")
    tenant_id = connected.company.tenant_id
    first = spoken(CALLS[0])
    calls = [event(call, 21 + 17 * place) for place, call in enumerate([*CALLS[1:], GERMAN])]
    ids = [accept(hub, tenant_id, [Incoming.of(one)])[0].id for one in (first, *calls)]
    recordings.keep(
        hub, tenant_id, first.id, media_type="audio/wav", sound=sound(41), actor="voice"
    )
    _use_tools(hub, tenant_id, first.id)
    drain(connected)
    with hub.tenant(tenant_id) as session:
        held = session.scalars(select(Delivery).where(Delivery.state == "held")).one()
        assert held.event_id == ids[1]
        # Few: other tests of this process use the same org, and would wait for calls that were never made.
        for days in range(7):
            at = (now() - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
            session.merge(
                CallCount(
                    tenant_id=tenant_id,
                    connection_id=connected.connection.id,
                    limit_name="requests",
                    hour=at,
                    units=90 + 40 * (days % 3),
                )
            )
    return Morning(connected, tuple(ids))


def _use_tools(hub: Hub, tenant_id: str, call_id: str) -> None:
    at = datetime(2026, 11, 30, 8, tzinfo=UTC)
    used = [
        Used(1, at, "find_caller", {"number": "+14155550132"}, {"known": False}, None, 18.0),
        Used(
            2,
            at,
            "offer_times",
            {"service": "Plumber"},
            None,
            "The calendar did not answer.",
            3_010.0,
        ),
    ]
    tool_calls.keep(hub, tenant_id, call_id, used)


def enter(start_browser: Callable, site: Site, company: Company, role: Role) -> webdriver.Chrome:
    """Give the browser of a person with this role."""
    person_id = company.person_id
    if role is not Role.OWNER:
        person_id = new_company(site.hub).person_id
        with site.hub.tenant(company.tenant_id) as session:
            people.add_member(session, person_id=person_id, role=role)
    with site.hub.tenant(company.tenant_id) as session:
        token = people.start_sign_in(session, person_id=person_id, lasts=timedelta(hours=1))
    driver = start_browser()
    driver.get(f"{site.url}/sign-in")
    driver.add_cookie({"name": COOKIE, "value": token})
    return driver


@pytest.fixture(scope="module")
def operator(start_browser: Callable, site: Site, morning: Morning) -> webdriver.Chrome:
    """Somebody who works through the inbox."""
    return enter(start_browser, site, morning.connected.company, Role.OPERATOR)


@pytest.fixture(scope="module")
def admin(start_browser: Callable, site: Site, morning: Morning) -> webdriver.Chrome:
    """Somebody who looks after the accounts."""
    return enter(start_browser, site, morning.connected.company, Role.ADMIN)


def rows(driver: webdriver.Chrome) -> list[str]:
    """Give the titles of the list."""
    found = driver.find_elements(By.CSS_SELECTOR, ".inbox .title")
    return [one.text for one in found]


def test_the_inbox_by_keyboard_alone(operator: webdriver.Chrome, site: Site) -> None:
    """Keys: j and k walk, x ticks, / searches, ? shows the keys, Enter opens, u leads back."""
    operator.get(f"{site.url}/voicemails")
    see(operator, "Nobody has seen to these yet")
    check(operator, "inbox-open")
    assert rows(operator)[0].startswith("Water through the kitchen ceiling")

    def keys(*words: str) -> None:
        operator.switch_to.active_element.send_keys(*words)

    operator.find_element(By.TAG_NAME, "body").send_keys("?")
    see(operator, "Next voicemail")
    check(operator, "inbox-keys")
    keys(Keys.ESCAPE)
    operator.find_element(By.TAG_NAME, "body").send_keys("j")
    keys("j")
    keys("x")
    see(operator, "1 chosen")
    assert operator.switch_to.active_element.text == rows(operator)[1]
    check(operator, "inbox-ticked")
    keys("k")
    keys("/")
    assert operator.switch_to.active_element.get_attribute("id") == "search"
    keys("heizung", Keys.ENTER)
    see(operator, "1 voicemail for heizung")
    wait(operator, lambda: len(rows(operator)) == 1)
    assert "heizung" not in operator.current_url
    check(operator, "inbox-found")
    operator.find_element(By.TAG_NAME, "body").send_keys("j")
    keys(Keys.ENTER)
    see(operator, "What was done")
    operator.find_element(By.TAG_NAME, "body").send_keys("u")
    see(operator, "Nobody has seen to these yet")


def test_single_keys_can_be_turned_off(operator: webdriver.Chrome, site: Site) -> None:
    """For people whose speech becomes keys; the choice stays in the browser."""
    operator.get(f"{site.url}/voicemails")
    press(operator, "Keys")
    operator.find_element(By.CSS_SELECTOR, "[data-keys-off]").click()
    press(operator, "Close", inside="#keys")
    operator.refresh()
    operator.find_element(By.TAG_NAME, "body").send_keys("j")

    assert operator.switch_to.active_element.tag_name == "body"
    press(operator, "Keys")
    operator.find_element(By.CSS_SELECTOR, "[data-keys-off]").click()
    press(operator, "Close", inside="#keys")


def test_filters_and_kept_views(operator: webdriver.Chrome, site: Site) -> None:
    """Filters narrow at once, can be kept under a name, and are there on the next day."""
    operator.get(f"{site.url}/voicemails?tab=all")
    press(operator, "More filters")
    Select(operator.find_element(By.ID, "filter-language")).select_by_visible_text("German")
    wait(operator, lambda: len(rows(operator)) == 1)
    assert "language=de" in operator.current_url
    check(operator, "inbox-filtered")

    press(operator, "Keep these filters as a view")
    operator.find_element(By.ID, "view-name").send_keys("Auf Deutsch", Keys.ENTER)
    see(operator, "Only you see it")
    check(operator, "inbox-view")
    operator.get(f"{site.url}/voicemails")
    press(operator, "Auf Deutsch")
    wait(operator, lambda: len(rows(operator)) == 1)

    operator.find_element(By.CSS_SELECTOR, ".views form button").click()
    see(operator, "is removed")


def test_the_transcript_is_in_step_with_the_player(
    operator: webdriver.Chrome, site: Site, morning: Morning
) -> None:
    """A time plays from there, the line that is heard is marked, and evidence stands marked in it."""
    operator.get(f"{site.url}/voicemails/{morning.ids[0]}")
    see(operator, "Tools the agent used")
    check(operator, "voicemail-heard")
    assert len(operator.find_elements(By.CSS_SELECTOR, ".transcript mark")) == 3

    operator.find_element(By.CSS_SELECTOR, "#line-2 [data-seek]").click()
    wait(operator, lambda: operator.find_element(By.CSS_SELECTOR, "#line-2.spoken"))
    at = operator.execute_script("return document.querySelector('audio').currentTime")
    assert 15.9 < at < 23
    check(operator, "voicemail-spoken")


def test_payloads_stand_side_by_side(
    operator: webdriver.Chrome, site: Site, morning: Morning
) -> None:
    """From a delivery to its three payloads and back."""
    operator.get(f"{site.url}/voicemails/{morning.ids[0]}")
    operator.find_element(By.CSS_SELECTOR, ".delivery a[href^='/deliveries/']").click()
    see(operator, "What Salesforce answered")
    see(operator, "Created")
    check(operator, "payloads")


def test_a_bucket_is_corrected_and_planned_anew(
    operator: webdriver.Chrome, site: Site, morning: Morning
) -> None:
    """The correction is kept, what it leads to is offered, and done with one press."""
    operator.get(f"{site.url}/voicemails/{morning.ids[6]}")
    Select(operator.find_element(By.ID, "bucket")).select_by_visible_text("New lead")
    press(operator, "Move it")
    see(operator, "Your correction is kept as feedback")
    see(operator, "Act on it under this bucket?")
    check(operator, "voicemail-corrected")

    press(operator, "Plan it anew")
    see(operator, "2 actions planned")
    drain(morning.connected)
    operator.refresh()
    see(operator, "Salesforce Lead created")


def test_many_are_approved_and_called_back(operator: webdriver.Chrome, site: Site) -> None:
    """What waits is approved from the list; who was called back leaves what is open."""
    operator.get(f"{site.url}/voicemails?tab=needs")
    check(operator, "inbox-needs")
    before = len(rows(operator))
    operator.find_element(By.CSS_SELECTOR, "input[name=voicemail]").click()
    press(operator, "Approve and send")
    see(operator, "1 delivery approved")
    assert len(rows(operator)) == before - 1
    operator.get(f"{site.url}/voicemails")
    before = len(rows(operator))
    operator.find_element(By.CSS_SELECTOR, "input[name=voicemail]").click()
    press(operator, "Called back")

    see(operator, "1 caller called back")
    assert len(rows(operator)) == before - 1
    press(operator, "All")
    see(operator, "Called back")
    check(operator, "inbox-all")


@pytest.mark.parametrize(("place", "name"), [(4, "arabic"), (9, "german")])
def test_long_words_and_other_directions_hold(
    operator: webdriver.Chrome, site: Site, morning: Morning, place: int, name: str
) -> None:
    """Nothing sticks out, in the list and on the page of one."""
    operator.get(f"{site.url}/voicemails/{morning.ids[place]}")

    check(operator, f"voicemail-{name}-walk")


def test_a_viewer_reads_and_nothing_else(
    start_browser: Callable, site: Site, morning: Morning
) -> None:
    """The same pages without a button that would be refused."""
    driver = enter(start_browser, site, morning.connected.company, Role.VIEWER)
    driver.get(f"{site.url}/voicemails?tab=all")
    check(driver, "inbox-viewer")
    assert not driver.find_elements(By.CSS_SELECTOR, "main form[data-selection]")
    driver.get(f"{site.url}/voicemails/{morning.ids[1]}")
    see(driver, "What was done")
    check(driver, "voicemail-viewer")
    words = driver.find_element(By.TAG_NAME, "main").text
    assert not {"Approve and send", "Move it", "Mark as called back", "Tools the agent used"} & {
        line.strip() for line in words.splitlines()
    }


def test_a_search_outlives_the_sign_in(
    start_browser: Callable, site: Site, morning: Morning
) -> None:
    """Without scripts too: after signing in again the words are still there, and found."""
    company = morning.connected.company
    driver = enter(start_browser, site, replace(company), Role.OWNER)
    driver.get(f"{site.url}/voicemails")
    with site.hub.tenant(company.tenant_id) as session:
        for row in session.scalars(select(people.SignIn)):
            people.end_sign_in(session, row.id)
    driver.execute_script("document.querySelector('.finder').removeAttribute('hx-post')")
    driver.execute_script("document.getElementById('search').value = 'boiler'")
    driver.execute_script("document.querySelector('.finder').submit()")

    see(driver, "What you typed is kept")


def test_an_account_has_a_page(admin: webdriver.Chrome, site: Site, morning: Morning) -> None:
    """From the list to the account: what it was granted, its calls, and pausing with what follows."""
    admin.get(f"{site.url}/connections")
    check(admin, "connections-list")
    admin.find_element(By.CSS_SELECTOR, ".account-list h2 a").click()
    see(admin, "What you can do")
    see(admin, "Everything that is asked for was granted")
    check(admin, "account")

    press(admin, "Pause")
    see(admin, "is paused")
    check(admin, "account-paused")
    press(admin, "Resume")
    see(admin, "is sending again")


def test_an_account_in_trouble_says_what_helps(
    admin: webdriver.Chrome, site: Site, morning: Morning
) -> None:
    """Its reason and what is to be done there, on the list and on its page."""
    changed: dict[str, Any] = {
        "health": "needs_reconnect",
        "health_reason": "Salesforce says that the refresh token was revoked.",
        "todos": ["Make the field Afterbeep key: Setup, Object Manager, Lead, Fields, New."],
        "granted_scopes": ["api"],
    }
    with site.hub.tenant(morning.connected.company.tenant_id) as session:
        kept = session.scalars(select(Connection)).one()
        before = {name: getattr(kept, name) for name in changed}
        session.execute(update(Connection).values(**changed))
    admin.get(f"{site.url}/connections")
    see(admin, "1 thing to do in Salesforce")
    check(admin, "connections-trouble")
    admin.find_element(By.CSS_SELECTOR, ".account-list h2 a").click()
    see(admin, "Missing")
    check(admin, "account-trouble")
    with site.hub.tenant(morning.connected.company.tenant_id) as session:
        session.execute(update(Connection).values(**before))


def test_the_wizard_shows_what_the_app_needs(admin: webdriver.Chrome, site: Site) -> None:
    """The redirect URL, the scopes and the vendor's steps, for one that is set up and one that is not."""
    admin.get(f"{site.url}/connections/new")
    admin.find_element(By.CSS_SELECTOR, "#salesforce > summary").click()
    press(admin, "What the app at Salesforce needs")
    see(admin, "Step by step")
    field = admin.find_element(By.ID, "redirect-salesforce")
    assert field.get_attribute("value") == f"{site.url}/connections/callback"

    check(admin, "connect-needs")
