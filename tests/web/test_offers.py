"""Pages offer each role exactly what the server lets it do: nothing that is refused, nothing left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.exceptions import HTTPException

from hub.alerts import outbox
from hub.alerts.outbox import Item
from hub.context import Hub
from hub.db import mappings, people
from hub.db.alerts import AlertType
from hub.db.base import now
from hub.db.connections import Connection
from hub.db.deliveries import Delivery
from hub.db.people import Role
from hub.db.triage import SavedView
from hub.voice import recordings
from mappings.document import load
from tests.api.speaking import new_number
from tests.conftest import Company, new_company
from tests.delivery.connected import LEAD, Connected, connect, unspent, voicemail
from tests.delivery.judged import Story
from tests.web.offered import Offer, Offers
from tests.web.test_every_route import IDS, things
from tests.web.visitor import Visitor, signed_in

_SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(32)
#: So many pages of one kind are looked at; of those about one thing more, since each is in another state.
_EACH, _OF_THINGS = 2, 6
#: Ways that no page can offer here: in from outside, or only in states that this company is not in.
_ELSEWHERE = {
    "web.connections.come_back",
    "web.connections.new_keys",
    "web.connections.replace_keys",
    "web.people.join",
    "web.people.enter",
    "web.sign_in.show",
    "web.sign_in.enter",
    "web.sign_in.send_again",
    "web.oidc.begin",
    "web.oidc.back",
    "web.oidc.take_along",
    "web.notifications.test_mail",
    "web.triage.search_again",
    # The page says that no voice service is there to be called.
    "web.call_page.make_pass",
    "web.call_page.result",
    # Parts of the front page, asked for by themselves where counting takes long.
    "web.overview.became",
    "web.overview.volumes",
    "web.overview.sums",
}
#: The list of what was sent again is also the way to send more; then its link says so, to those who may.
_WAYS_TO_ACT = {("GET", "web.replays.show")}


@dataclass
class Site:
    """What people of one company see: for each role, page by page, the routes that are offered there."""

    app: Flask
    visitors: dict[Role, Visitor]
    pages: dict[Role, dict[str, set[tuple[str, str]]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def route(self, offer: Offer) -> str | None:
        """Give the endpoint that an offer leads to; None when there is none."""
        found = urlsplit(offer.url)
        try:
            return self.app.url_map.bind("localhost").match(found.path, offer.method)[0]
        except HTTPException:
            return None

    def needs(self, endpoint: str) -> Role:
        """Give the least role that may use a route."""
        return getattr(self.app.view_functions[endpoint], "needs_role", Role.VIEWER)

    def walk(self, role: Role) -> None:
        """Follow every link from the front page; notes what each page offers and what leads nowhere."""
        seen: dict[str, set[tuple[str, str]]] = {}
        kinds: Counter[object] = Counter()
        to_do = ["/"]
        while to_do:
            url = to_do.pop(0)
            if url in seen:
                continue
            answer = self.visitors[role].get(url)
            if answer.status_code not in {200, 303}:
                self.wrong.append(f"{role}: {url} answers {answer.status_code}")
            seen[url] = set()
            if answer.status_code == 303 and answer.location.startswith("/"):
                to_do.append(answer.location)
            if answer.status_code != 200 or answer.mimetype != "text/html":
                continue
            for offer in sorted(Offers(url, answer.text).found):
                endpoint = self.route(offer)
                if endpoint is None:
                    self.wrong.append(f"{role}: {url} leads to {offer.url}, which is nothing")
                    continue
                seen[url].add((offer.method, endpoint))
                kind = (endpoint, frozenset(parse_qs(urlsplit(offer.url).query)))
                is_page = endpoint.startswith("web.") and not endpoint.endswith(("static", "live"))
                if offer.method == "GET" and is_page and offer.url not in to_do:
                    kinds[kind] += offer.url not in seen
                    about = self.app.url_map.iter_rules(endpoint)
                    most = _OF_THINGS if next(about).arguments & IDS else _EACH
                    if kinds[kind] <= most:
                        to_do.append(offer.url)
        self.pages[role] = seen


def _person(hub: Hub, company: Company, role: Role, other: Company) -> Company:
    """Make a member with a kept view, another browser, and a second company."""
    person_id = new_company(hub).person_id
    for tenant_id in (company.tenant_id, other.tenant_id):
        with hub.tenant(tenant_id) as session:
            people.add_member(session, person_id=person_id, role=role)
    with hub.tenant(company.tenant_id) as session:
        people.start_sign_in(session, person_id=person_id, lasts=timedelta(hours=1))
        session.add(SavedView(person_id=person_id, name="Mine", query="tab=all"))
    return Company(company.tenant_id, person_id)


def _live_through(hub: Hub, connected: Connected) -> None:
    """Let the company have something in every state that a page has a button for."""
    values = things(connected)
    is_off = connected.publish(LEAD, name="Off")
    with hub.tenant(connected.company.tenant_id) as session:
        mappings.set_active(session, is_off, is_active=False, actor="command")
        mappings.save(
            session,
            connection_id=connected.connection.id,
            name="Lead",
            document=load(LEAD),
            source=f"# again\n{LEAD}",
            author="command",
            mapping_id=values["mapping_id"],
        )
    tenant_id = connected.company.tenant_id
    states = ("held", "parked", "rejected", "delivered")
    spoken = [voicemail(10 + place).model_copy(update={"source": "/voice"}) for place in range(4)]
    events = [connected.accept(one)[0].id for one in spoken]
    recordings.keep(
        hub, tenant_id, spoken[0].id, media_type="audio/wav", sound=_SOUND, actor="voice"
    )
    with hub.tenant(tenant_id) as session:
        for event_id, state in zip(events, states, strict=True):
            is_there = {"record_id": "rec", "delivered_at": now()} if state == "delivered" else {}
            session.execute(
                update(Delivery)
                .where(Delivery.event_id == event_id)
                .values(state=state, **is_there)
            )
        parked = session.scalars(select(Delivery).where(Delivery.event_id == events[1])).one()
        listed = json.dumps([{"id": "1", "label": "Dana", "url": None}])
        parked.candidates = hub.vault.seal_text(
            tenant_id, listed, about=f"deliveries.candidates:{parked.id}"
        )
    with hub.tenant(tenant_id) as session:
        news = Item(tenant_id, AlertType.DEGRADED, now(), {}, connected.connection)
        outbox.write(hub, session, [news], now())
    story = Story(hub, connected.company)
    story.connection("twilio_sms")
    pager = story.connection("pagerduty")
    with hub.tenant(tenant_id) as session:
        session.execute(update(Connection).where(Connection.id == pager).values(paused_at=now()))
    story.voicemail(now(), to=(pager, "incident"), touched=timedelta(minutes=3))


@pytest.fixture(scope="module")
def site(app: Flask, hub: Hub, salesforce_sandbox) -> Iterator[Site]:
    """Everybody has looked at everything."""
    company, other = new_company(hub), new_company(hub)
    salesforce_sandbox.clear_faults()
    unspent(hub)
    connected = connect(hub, company, salesforce_sandbox)
    _live_through(hub, connected)
    visitors = {
        role: signed_in(app, hub, _person(hub, company, role, other)) for role in reversed(Role)
    }
    owner = visitors[Role.OWNER]
    corrected = connected.accept(voicemail(20))[0].id
    owner.post(f"/voicemails/{corrected}/bucket", {"bucket": "billing"})
    owner.post("/settings/telephone/numbers", {"number": new_number(), "label": "Desk"})
    made = Site(app, visitors)
    for role in Role:
        made.walk(role)
    return made


def test_no_page_offers_what_leads_nowhere(site: Site) -> None:
    """No link is refused, missing or broken, whoever follows it."""
    assert site.wrong == []


@pytest.mark.parametrize("role", list(Role))
def test_no_page_offers_what_is_refused(site: Site, role: Role) -> None:
    """Neither a link nor a button needs more than the person has who sees it."""
    refused = {
        (url, way)
        for url, ways in site.pages[role].items()
        for way in ways
        if not role.covers(site.needs(way[1]))
    }

    assert refused == set()


@pytest.mark.parametrize("role", list(Role)[1:])
def test_no_page_hides_what_is_allowed(site: Site, role: Role) -> None:
    """Each page offers whoever may open it all that it offers the owner and their role may use."""
    hidden = {
        (url, way)
        for url, ways in site.pages[Role.OWNER].items()
        for way in ways
        if url in site.pages[role]
        if role.covers(site.needs(way[1])) and way not in site.pages[role][url] | _WAYS_TO_ACT
    }

    assert hidden == set()


@pytest.mark.parametrize("role", list(Role))
def test_every_page_and_button_is_found(site: Site, role: Role) -> None:
    """Whatever a role may use, it can reach from the front page."""
    found = {way for ways in site.pages[role].values() for way in ways}
    every = {
        (method, rule.endpoint)
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith("web.") and rule.endpoint != "web.static"
        for method in (rule.methods or set()) & {"GET", "POST"}
        if rule.endpoint not in _ELSEWHERE and role.covers(site.needs(rule.endpoint))
    }

    assert every - found == set()
