"""The call page without a browser: what it says, whom it gives passes, and what it shows of a call."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from hub.app import create_app
from hub.context import Hub, open_hub
from hub.db.audit import AuditRow
from hub.db.people import Role
from hub.installation import addresses
from hub.settings import SettingsProblem, load
from hub.voice import numbers
from tests.api.speaking import new_number
from tests.conftest import VOICE_TOKEN, Company, new_company
from tests.delivery.connected import LEAD, Connected, voicemail
from tests.web.visitor import Visitor, signed_in
from voice.call_pass import Pass, Refused, read

WHERE = "/settings/telephone/call"
CALL = "WB" + "5" * 32


def own_app(hub: Hub, **settings: object) -> Flask:
    """Give the application of a hub with other settings."""
    kept = hub.settings.model_dump()
    made = create_app(open_hub(load(**(kept | settings))))
    made.testing = False
    return made


@pytest.fixture(scope="module")
def app(hub: Hub) -> Flask:
    """A hub that knows where the voice service is."""
    return own_app(hub, voice_public_url="https://voice.example/phone/")


def number_of(hub: Hub, company: Company) -> str:
    """Give a company a number."""
    number = new_number()
    numbers.put(hub, company.tenant_id, number, label="Main line", actor="command")
    return number


def test_it_says_what_to_set_without_a_voice_service(hub: Hub, company: Company) -> None:
    """With the way to the trial that needs none."""
    page = signed_in(own_app(hub), hub, company).page(WHERE)

    assert "No voice service is set up" in page.text
    assert "AFTERBEEP_RUN_VOICE=1 afterbeep up" in page.text
    assert ("a", {"class": "button", "href": "/settings/telephone/try"}) in page.elements


def test_it_says_that_a_secret_is_missing(hub: Hub, company: Company) -> None:
    """Both sides need the same."""
    app = own_app(hub, voice_public_url="https://voice.example", voice_token=None)

    assert "AFTERBEEP_VOICE_TOKEN" in signed_in(app, hub, company).page(WHERE).text


def test_it_asks_for_a_number_first(visitor: Visitor) -> None:
    """Nothing can be dialled without one."""
    assert "No number yet" in visitor.page(WHERE).text


def test_only_this_page_reaches_the_voice_service(
    app: Flask, hub: Hub, visitor: Visitor, company: Company
) -> None:
    """Its policy names the socket's origin and nothing else, and lets it use the microphone."""
    number_of(hub, company)

    call = visitor.get(WHERE).headers
    other = visitor.get("/settings/telephone").headers

    assert "connect-src 'self' wss://voice.example;" in call["Content-Security-Policy"]
    assert "microphone=(self)" in call["Permissions-Policy"]
    assert "voice.example" not in other["Content-Security-Policy"]
    assert "microphone=()" in other["Permissions-Policy"]


def test_nothing_can_be_put_into_the_policy(hub: Hub) -> None:
    """An address with more than host and port is refused."""
    with pytest.raises(SettingsProblem, match="AFTERBEEP_VOICE_PUBLIC_URL"):
        load(**hub.settings.model_dump() | {"voice_public_url": "https://voice.example;x"})


def test_beside_the_hub_no_address_is_needed(hub: Hub) -> None:
    """Where `up` runs the voice service, its own address is used."""
    settings = load(**hub.settings.model_dump() | {"run_voice": True, "voice_port": 9123})

    assert settings.voice_url == "http://127.0.0.1:9123"


def test_beside_the_hub_the_voice_service_knows_its_pages(hub: Hub) -> None:
    """`up` and `demo` tell it where browsers reach the hub."""
    settings = load(
        **hub.settings.model_dump() | {"public_url": "https://hub.example", "port": 8123}
    )

    assert addresses(settings) == {
        "AFTERBEEP_HUB_URL": "http://127.0.0.1:8123",
        "AFTERBEEP_HUB_PUBLIC_URL": "https://hub.example",
    }


def test_the_microphone_stays_off_with_health_data(app: Flask, hub: Hub) -> None:
    """A browser may send its sound to its maker."""
    company = new_company(hub, is_phi=True)
    number_of(hub, company)

    answer = signed_in(app, hub, company).get(WHERE)

    assert "microphone=()" in answer.headers["Permissions-Policy"]
    assert "so the microphone stays off" in answer.text


def test_a_pass_is_for_one_call_of_this_company(
    hub: Hub, visitor: Visitor, company: Company
) -> None:
    """The voice service reads who calls which number, and the audit log says who was let in."""
    number = number_of(hub, company)

    given = visitor.post(
        f"{WHERE}/pass", {"number": number, "caller": "+1 (415) 555-0177"}
    ).get_json()

    assert given["socket"] == "wss://voice.example/phone/browser/relay"
    assert read(given["pass"], VOICE_TOKEN, datetime.now(UTC)) == Pass(
        given["call"], company.tenant_id, company.person_id, number, "+14155550177"
    )
    with hub.tenant(company.tenant_id) as session:
        row = session.scalars(
            select(AuditRow).where(AuditRow.action == "voice.browser_called")
        ).one()
        assert (row.actor, row.target) == (f"person:{company.person_id}", given["call"])


def test_a_pass_says_nothing_of_the_token(hub: Hub, visitor: Visitor, company: Company) -> None:
    """It is signed by a key of its own, not by the token itself."""
    given = visitor.post(f"{WHERE}/pass", {"number": number_of(hub, company)}).get_json()

    assert VOICE_TOKEN not in str(given)
    with pytest.raises(Refused):
        read(given["pass"], VOICE_TOKEN[::-1], datetime.now(UTC))


def test_no_pass_for_another_companys_number(hub: Hub, visitor: Visitor) -> None:
    """Nor for one that nobody has."""
    theirs = number_of(hub, new_company(hub))

    assert visitor.post(f"{WHERE}/pass", {"number": theirs}).status_code == 404
    assert visitor.post(f"{WHERE}/pass", {"number": "+15005550006"}).status_code == 404


def test_a_number_that_calls_must_be_one(hub: Hub, visitor: Visitor, company: Company) -> None:
    """What is wrong is said for the field."""
    number = number_of(hub, company)

    answer = visitor.post(f"{WHERE}/pass", {"number": number, "caller": "Dana"})

    assert answer.status_code == 422
    assert "country's code" in answer.get_json()["problem"]


@pytest.mark.parametrize("role", [Role.MAPPER, Role.OPERATOR, Role.VIEWER])
def test_only_admins_get_a_pass(app: Flask, hub: Hub, role: Role) -> None:
    """A call writes records to the company's accounts."""
    company = new_company(hub, role=role)
    number = number_of(hub, company)

    answer = signed_in(app, hub, company).post(f"{WHERE}/pass", {"number": number})

    assert answer.status_code == 403


def called(connected: Connected, call_id: str) -> str:
    """Let the event of a call from a browser come in; gives its id in the hub."""
    event = voicemail(extra={"placed_in": "browser"})
    [accepted] = connected.accept(event.model_copy(update={"id": call_id, "source": "/voice"}))
    return accepted.id


def test_what_became_of_a_call(app: Flask, hub: Hub, connected: Connected) -> None:
    """Not there before its event is; then with urgency, deliveries, and the way to the voicemail."""
    connected.publish(LEAD)
    visitor = signed_in(app, hub, connected.company)
    before = visitor.get(f"{WHERE}/{CALL}")
    event_id = called(connected, CALL)

    after = visitor.get(f"{WHERE}/{CALL}")

    assert before.status_code == 404
    assert "Salesforce Lead" in after.text
    assert "data-moving" in after.text
    assert f'href="/voicemails/{event_id}"' in after.text
    assert "Called in the browser" in visitor.get(f"/voicemails/{event_id}").text


def test_another_companys_call_is_not_found(app: Flask, hub: Hub, connected: Connected) -> None:
    """Whoever guesses its id."""
    called(connected, CALL)

    assert signed_in(app, hub).get(f"{WHERE}/{CALL}").status_code == 404


def test_with_health_data_the_words_are_on_the_voicemail_alone(
    app: Flask, hub: Hub, connected: Connected
) -> None:
    """There it is written down who reads them; this page asks again and again."""
    from hub.db.tenants import Tenant

    called(connected, CALL)
    with hub.everyone("a test changes what a company is") as session:
        session.get(Tenant, connected.company.tenant_id).is_phi = True
    visitor = signed_in(app, hub, connected.company)

    answer = visitor.get(f"{WHERE}/{CALL}")

    assert answer.status_code == 200
    assert "Open the voicemail" in answer.text
    assert voicemail().data.summary not in answer.text
