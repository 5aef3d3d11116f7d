"""What the parts after a call stand on: a context with a spool of its own, and a hub and Twilio in miniature."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from voice.context import Context
from voice.hub_api import HubApi
from voice.metrics import Metrics
from voice.seal import read_keys
from voice.settings import load
from voice.spool import Parcel, Spool
from voice.twilio_rest import TwilioRest

ACCOUNT = "AC" + "0" * 32
START = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)


def context_for(folder, hub_url, *, twilio_url="http://127.0.0.1:9", store=None, **settings):
    """Give a context whose outbox is in *folder*."""
    made = load(
        data_dir=folder,
        hub_url=hub_url,
        voice_token="t" * 40,
        twilio_account_sid=ACCOUNT,
        twilio_auth_tokens="secret",
        twilio_base_url=twilio_url,
        **settings,
    )
    return Context(
        settings=made,
        store=store,
        hub=HubApi(hub_url, "t" * 40),
        twilio=TwilioRest(made),
        metrics=Metrics(),
        seal=read_keys(None, folder),
    )


def parcel(name, *, minutes=0, **steps):
    """Give a call's parcel with its event and more steps."""
    event = {"specversion": "1.0", "id": name, "source": "/voice", "data": {"said": "chest pain"}}
    return Parcel(
        name,
        name,
        "ten_1",
        START + timedelta(minutes=minutes),
        {
            "1-event": json.dumps(event).encode(),
            **{k.replace("_", "-"): v for k, v in steps.items()},
        },
    )


@pytest.fixture
def spool(tmp_path):
    """The spool of the context that *context_for* gives for the test's folder."""
    return Spool(tmp_path / "outbox", read_keys(None, tmp_path))
