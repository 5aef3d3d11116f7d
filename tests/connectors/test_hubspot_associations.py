"""HubSpot: what a mapping hangs on what, for each pair of objects that a voicemail becomes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
import running

from connectors.errors import NotYet, Rejected, Throttled, Unavailable, Uncertain
from connectors.hubspot.connector import HubSpot
from connectors.record import Account, Outcome, Write

HUBSPOT = HubSpot()
DUE = "2026-11-23T09:00:00Z"
#: Fields of a good record.
FIELDS: dict[str, dict[str, str]] = {
    "contacts": {"lastname": "Whitfield"},
    "deals": {"dealname": "Boiler", "dealstage": "contractsent"},
    "tickets": {"subject": "Boiler", "hs_pipeline": "0", "hs_pipeline_stage": "1"},
    "tasks": {"hs_timestamp": DUE, "hs_task_subject": "Call back"},
    "notes": {"hs_timestamp": DUE, "hs_note_body": "Called"},
}
#: What hangs on what, with the number of HubSpot's own default type in that direction, and in the other.
#: Source: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/associations-guide (2026-11-22)
PAIRS = [
    ("tickets", "contacts", 16, 15),
    ("tasks", "contacts", 204, 203),
    ("tasks", "tickets", 230, 229),
    ("tasks", "deals", 216, 215),
    ("notes", "contacts", 202, 201),
    ("notes", "tickets", 228, 227),
    ("notes", "deals", 214, 213),
    ("deals", "contacts", 3, 4),
    ("deals", "tickets", 27, 28),
    ("tickets", "deals", 28, 27),
    ("contacts", "tickets", 15, 16),
    ("tickets", "tasks", 229, 230),
    ("tickets", "notes", 227, 228),
]
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS, ids=[f"{a}-{b}" for a, b, *_ in PAIRS])


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("hubspot", tmp_path_factory.mktemp("associations")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    """Give a connected, prepared account whose limits are out of the way."""
    box.set(limits={"requests": 100_000, "search": 100_000})
    account = running.account(box, HUBSPOT, running.authorise(box, HUBSPOT.oauth))
    HUBSPOT.prepare(account)
    yield account
    box.clear_faults()
    _names_rows(box, whether=True)


def _names_rows(box: running.Sandbox, *, whether: bool) -> None:
    answer = box.http.post(f"{box.url}/_hubspot/settings", json={"names_rows": whether})
    answer.raise_for_status()


def _writes(kind: str, number: int, **fields: object) -> list[Write]:
    return [Write(uuid.uuid4().hex, kind, {**FIELDS[kind], **fields}) for _ in range(number)]


def _made(account: Account, kind: str, number: int = 1) -> list[str]:
    """Make records and give their ids, as id_of does."""
    outcomes = HUBSPOT.write(account, _writes(kind, number))
    return [one.record.id for one in outcomes if one.record]


def _hung(writes: list[Write], target: str, ids: list[str]) -> list[Write]:
    """Hang write i on record i."""
    pairs = zip(writes, ids, strict=True)
    return [
        replace(one, fields={**one.fields, f"association:{target}": other}) for one, other in pairs
    ]


def _seen(account: Account, kind: str, target: str, ids: list[str]) -> list[list[tuple[str, int]]]:
    """Read what records are associated with, as another program of the customer would."""
    http = running.httpx.Client(headers={"Authorization": f"Bearer {account.token}"})
    with http:
        answer = http.post(
            f"{account.base_url}/crm/associations/2026-03/{kind}/{target}/batch/read",
            json={"inputs": [{"id": one} for one in ids]},
        )
    return [
        [(str(to["toObjectId"]), to["associationTypes"][0]["typeId"]) for to in one["to"]]
        for one in answer.raise_for_status().json()["results"]
    ]


def _ids(outcomes: list[Outcome]) -> list[str]:
    assert [one.error for one in outcomes if one.error] == []
    return [one.record.id for one in outcomes if one.record]


@EACH_PAIR
def test_a_mapping_may_hang_one_on_the_other(account, pair):
    """The field is described as a reference to that object, which is what id_of is checked against."""
    kind, target, _, _ = pair
    fields = {field.name: field for field in HUBSPOT.describe(account, kind)}
    field = fields[f"association:{target}"]

    assert (field.type, field.references) == ("reference", (target,))
    assert (field.can_create, field.can_update, field.is_required) == (True, True, False)


@EACH_PAIR
def test_a_batch_is_hung_on_its_records_in_one_call(account, pair):
    """Thirty pairs cost two calls; each is of HubSpot's default type, and seen from both sides."""
    kind, target, number, back = pair
    others = _made(account, target, 30)
    writes = _hung(_writes(kind, 30), target, others)
    spent: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: spent.append(units))

    ids = _ids(list(HUBSPOT.write(counted, writes)))

    assert spent == [{"requests": 1}] * 2
    assert HUBSPOT.write_cost(writes) == {"requests": 2}
    assert _seen(account, kind, target, ids) == [[(other, number)] for other in others]
    assert _seen(account, target, kind, others) == [[(one, back)] for one in ids]


@EACH_PAIR
@pytest.mark.parametrize("path", ["associate/default", "batch/upsert"])
def test_a_lost_answer_is_made_good(box, account, pair, path):
    """The rows come again in full: no record twice, every pair associated once."""
    kind, target, number, _ = pair
    others = _made(account, target, 3)
    writes = _hung(_writes(kind, 3), target, others)
    box.fault(kind="cut_after", path=path)

    try:
        errors = [one.error for one in HUBSPOT.write(account, writes)]
    except Unavailable as err:
        errors = [err] * 3
    ids = _ids(list(HUBSPOT.write(account, writes)))

    assert all(isinstance(error, Unavailable) for error in errors)
    assert not any(isinstance(error, Uncertain | NotYet) for error in errors)
    assert _seen(account, kind, target, ids) == [[(other, number)] for other in others]
    assert box.stats()["duplicate_keys"] == []


@EACH_PAIR
@pytest.mark.parametrize("is_named", [True, False])
def test_a_record_that_is_gone_fails_its_row_alone(box, account, pair, is_named):
    """Whether HubSpot names the pair (207) or refuses all of them (400), the others are associated."""
    kind, target, number, _ = pair
    others = _made(account, target, 12)
    others[7] = "999999999"
    _names_rows(box, whether=is_named)

    outcomes = list(HUBSPOT.write(account, _hung(_writes(kind, 12), target, others)))

    bad = outcomes.pop(7)
    assert isinstance(bad.error, Rejected)
    assert bad.error.field == f"association:{target}"
    assert "The record is written" in bad.error.detail
    del others[7]
    assert _seen(account, kind, target, _ids(outcomes)) == [[(other, number)] for other in others]


def test_a_task_hangs_on_contact_ticket_and_deal_at_once(account):
    """One call for each object, whatever the number of rows."""
    targets = ("contacts", "tickets", "deals")
    others = {target: _made(account, target)[0] for target in targets}
    fields = {f"association:{target}": other for target, other in others.items()}
    writes = _writes("tasks", 20, **fields)

    ids = _ids(list(HUBSPOT.write(account, writes)))

    assert HUBSPOT.write_cost(writes) == {"requests": 4}
    for target in targets:
        seen = _seen(account, "tasks", target, ids)
        assert [[one for one, _ in row] for row in seen] == [[others[target]]] * 20


def test_all_pairs_refused_without_a_name_end(box, account):
    """Twenty-four calls, then the rows come with a growing delay, not at once and for ever."""
    _names_rows(box, whether=False)
    writes = _hung(_writes("notes", 100), "contacts", ["999999999"] * 100)
    spent: list[dict[str, int]] = []

    with pytest.raises(Unavailable):
        HUBSPOT.write(replace(account, spend=lambda **units: spent.append(units)), writes)

    assert len(spent) == 1 + 24


def test_a_batch_refused_without_a_name_ends(box, account):
    """The same for the records themselves: an attempt is used, where nothing came of the calls."""
    _names_rows(box, whether=False)
    writes = _writes("contacts", 100, lifecyclestage="no such stage")
    spent: list[dict[str, int]] = []
    counted = replace(account, spend=lambda **units: spent.append(units))

    outcomes: list[Outcome] = []
    try:
        outcomes = list(HUBSPOT.write(counted, writes))
    except Unavailable as err:
        outcomes = [Outcome(error=err)] * 100

    assert len(spent) <= 24
    assert all(isinstance(one.error, Unavailable | Rejected) for one in outcomes)
    assert not any(isinstance(one.error, Throttled) for one in outcomes)
