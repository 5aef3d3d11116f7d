"""Calls from the ring to the CRM: the voice service, a hub with its workers, and Salesforce in miniature."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hub.db import people
from hub.db.audit import AuditRow
from hub.db.telephone import CallRecording, RecordingPart
from hub.web.viewer import COOKIE
from tests.conftest import new_company
from tests.e2e.installation import Installation, environment, installation, run
from voice.analyse import analysis
from voice.hub_api import HubApi
from voice.profile import Profile
from voice.sandbox.redis import running
from voice.scenario.document import FOLDER, Captured, Expected, Scenario, load
from voice.scenario.judge import problems
from voice.scenario.play import Played, play
from voice.scenario.real_hub import RealHub

TOKEN = secrets.token_hex(24)
NUMBER = "+14155550100"


@dataclass(frozen=True, slots=True)
class Line:
    """A telephone line of the installation's tenant."""

    home: Installation
    redis_url: str

    def api(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask the hub as the tenant's own program."""
        return httpx.request(
            method,
            f"{self.home.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.home.home.api_key}"},
            timeout=30,
            trust_env=False,
        )

    def holds(self, **settings: Any) -> Profile:
        """Set through the hub's API how calls are held, and give the profile that the hub then has."""
        revision = self.api("GET", "/v1/voice/settings").json()["revision"]
        changed = self.api(
            "PUT", "/v1/voice/settings", {"revision": revision, "settings": settings}
        )
        assert changed.status_code == 200, changed.text
        profile = asyncio.run(self._profile())
        assert profile is not None
        return profile

    async def _profile(self) -> Profile | None:
        api = HubApi(self.home.url, TOKEN)
        try:
            return await api.profile(NUMBER)
        finally:
            await api.close()

    def plays(self, scenario: Scenario, profile: Profile, *, caller: str | None = None) -> Played:
        """Play a call against the hub; ``caller`` calls instead of the scenario's, who may be known by now."""
        if caller:
            who = scenario.caller.model_copy(update={"number": caller})
            scenario = scenario.model_copy(update={"caller": who})
        hub = RealHub(self.home.url, TOKEN, self.home.home.api_key)
        return play(scenario, redis_url=self.redis_url, profile=profile, hub=hub)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Give a line at a whole installation, whose tenant writes to Salesforce."""
    analysis.load()
    with (
        tempfile.TemporaryDirectory(prefix="afterbeep-", ignore_cleanup_errors=True) as folder,
        installation(Path(folder), "salesforce", AFTERBEEP_VOICE_TOKEN=TOKEN) as home,
        running() as redis_url,
    ):
        made = Line(home, redis_url)
        taken = made.api("PUT", f"/v1/voice/numbers/{NUMBER}", {"label": "Front desk"})
        assert taken.status_code == 201, taken.text
        yield made


def test_a_lead_is_in_the_crm_when_the_call_is_over(line: Line) -> None:
    """Settings and number by the API; the event is accepted, and a lead with its task lands once."""
    played = line.plays(load(FOLDER / "lead_all_at_once.yaml"), line.holds())

    assert problems(played) == []
    assert played.landed is not None
    assert played.landed.delivered == {"Lead": 1, "Task": 1}


@pytest.mark.parametrize(
    "name", ["support_outage", "hangs_up_after_reason", "relay_drops", "silent_caller"]
)
def test_other_calls_are_taken_as_well(line: Line, name: str) -> None:
    """In trouble, cut short or silent: each is an event, and whatever is to land lands."""
    scenario = load(FOLDER / f"{name}.yaml")
    caller = None if scenario.expect.captured.number else f"+14155550{150 + len(name)}"
    assert problems(line.plays(scenario, line.holds(records=False), caller=caller)) == []


def test_a_returning_caller_is_greeted_by_name(line: Line) -> None:
    """What the hub knows of a number comes from the calls before."""
    profile = line.holds()
    first = load(FOLDER / "lead_all_at_once.yaml")
    line.plays(first, profile)
    again = first.model_copy(
        update={"expect": Expected(heard=("Hello Dana",), captured=Captured(known=True))}
    )
    assert problems(line.plays(again, profile)) == []


def test_tools_are_in_the_audit_log_and_can_be_run_again(line: Line) -> None:
    """Each tool that the model used, with arguments and result; the command shows that the same comes of it."""
    caller = "+14155550171"
    scenario = load(FOLDER / "line_openai.yaml")
    played = line.plays(scenario, line.holds(line="openai"), caller=caller)
    sid, session = played.report.sid, played.session
    assert problems(played) == []
    assert session is not None
    assert len(session.tools) >= 3

    home = line.home
    kept = line.api("GET", f"/v1/voice/calls/{sid}/tools").json()["calls"]
    assert [one["tool"] for one in kept] == [one.tool for one in session.tools]
    with home.hub.tenant(home.home.tenant_id) as rows:
        noted = rows.scalars(
            select(AuditRow).where(AuditRow.action == "voice.tool_used", AuditRow.target == sid)
        ).all()
    assert len(noted) == len(kept)

    words = ("--replay", sid, "--number", NUMBER, "--caller", caller, "--json")
    env = {"AFTERBEEP_VOICE_TOKEN": TOKEN, "AFTERBEEP_HUB_URL": home.url}
    done = run("call", *words, env=environment(home.data_dir, **env))
    told = [json.loads(text) for text in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["is_same"] for one in told] == [True] * len(kept)


def test_a_recording_is_sealed_and_heard_by_its_tenant_alone(line: Line) -> None:
    """The hub keeps it encrypted, shows it to who is signed in there, and to nobody else."""
    scenario = load(FOLDER / "consent_asked_and_given.yaml")
    played = line.plays(scenario, line.holds(consent="ask"), caller="+14155550174")
    assert problems(played) == []
    home = line.home
    with home.hub.tenant(home.home.tenant_id) as rows:
        parts = [one.body for one in rows.scalars(select(RecordingPart))]
        token = people.start_sign_in(rows, person_id=home.home.person_id, lasts=timedelta(hours=1))
    stranger = new_company(home.hub)
    with home.hub.tenant(stranger.tenant_id) as rows:
        other = people.start_sign_in(rows, person_id=stranger.person_id, lasts=timedelta(hours=1))

    page = f"{home.url}/voicemails/{played.report.sid}/recording"
    own, strange, nobody = (
        httpx.get(page, cookies={COOKIE: value} if value else {}, trust_env=False)
        for value in (token, other, None)
    )

    assert parts
    assert not any(b"RIFF" in part for part in parts)
    assert own.status_code == 200
    assert own.content.startswith(b"RIFF")
    assert strange.status_code == 404
    assert nobody.status_code in {302, 303, 401}


def test_who_declines_is_not_recorded(line: Line) -> None:
    """No recording reaches the hub, the message does."""
    scenario = load(FOLDER / "consent_declined.yaml")
    played = line.plays(scenario, line.holds(consent="ask"), caller="+14155550173")
    assert problems(played) == []
    token = played.report.sid
    with line.home.hub.tenant(line.home.home.tenant_id) as rows:
        assert rows.scalars(select(CallRecording).where(CallRecording.call_id == token)).all() == []


def test_the_command_plays_against_a_hub(line: Line) -> None:
    """``afterbeep call --hub`` tells what landed where."""
    line.holds()
    env = environment(
        line.home.data_dir,
        AFTERBEEP_VOICE_TOKEN=TOKEN,
        AFTERBEEP_API_KEY=line.home.home.api_key,
        AFTERBEEP_REDIS_URL=line.redis_url,
    )
    words = ("--script", "lead_all_at_once", "--hub", line.home.url, "--number", NUMBER, "--json")
    done = run("call", *words, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["landed"]["Task"] == 1
