"""Google Calendar: what the conformance suite, which every connector passes, does not cover."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import running

from connectors.errors import (
    ConnectorError,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.google_calendar.connector import GoogleCalendar
from connectors.google_calendar.naming import event_id
from connectors.interface import Subscribes
from connectors.record import (
    Account,
    Closure,
    Lookup,
    Outcome,
    RecordId,
    Subscription,
    WebhookRequest,
    Write,
)
from hub.oauth.client import VendorClient
from hub.settings import VendorSettings

GOOGLE = GoogleCalendar()
PRIMARY, CREW = (
    "desk@whitfield-plumbing.example",
    "whitfield-plumbing-crew@group.calendar.google.example",
)
HOLIDAYS = "desk.holidays@group.v.calendar.google.example"
#: Nobody's day in particular: a Tuesday that nothing else in these tests uses.
_days = iter(range(1, 10_000))


def _day() -> datetime:
    """Give midnight UTC of a day of its own for each test, so that they do not take each other's slots."""
    return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=next(_days))


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Sandbox]:
    with running.sandbox("google_calendar", tmp_path_factory.mktemp("google")) as box:
        yield box


@pytest.fixture(name="account")
def _account(box: running.Sandbox) -> Iterator[Account]:
    """Give a connected account that is open day and night, whose quotas are out of the way."""
    box.set(limits={"user": 100_000, "project": 100_000})
    account = running.account(box, GOOGLE, running.authorise(box, GOOGLE.oauth))
    hours = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "09:00-17:00")
    yield replace(account, settings={"business_hours": hours, "time_zone": "UTC"})
    box.clear_faults()


def _set(account: Account, **settings: Any) -> Account:
    return replace(account, settings={**account.settings, **settings})


def _hold(day: datetime, *, hours: tuple[int, int] = (0, 24), **fields: Any) -> Write:
    start, until = (day + timedelta(hours=hour) for hour in hours)
    wanted = {"start": start.isoformat(), "search_until": until.isoformat()}
    return Write(uuid.uuid4().hex, "hold", {"summary": "Boiler", **wanted, **fields})


def _event(start: datetime, **fields: Any) -> Write:
    key = uuid.uuid4().hex
    return Write(key, "event", {"summary": "Boiler", "start": start.isoformat(), **fields})


def _one(account: Account, write: Write) -> RecordId:
    (outcome,) = GOOGLE.write(account, [write])
    assert outcome.record is not None, outcome.error
    return outcome.record


def _refusal(outcome: Outcome) -> ConnectorError:
    assert outcome.error is not None
    return outcome.error


def _seen(box: running.Sandbox, record: RecordId) -> dict[str, Any]:
    stored = record.id.replace("@primary", f"@{PRIMARY}")
    found = next(one for one in box.records("event", limit=1000) if one["id"] == stored)
    fields: dict[str, Any] = found["fields"]
    return fields


def _starts(box: running.Sandbox, outcomes: list[Outcome]) -> list[str]:
    return [_seen(box, one.record)["start"]["dateTime"][11:16] for one in outcomes if one.record]


def _busy(account: Account, start: datetime, end: datetime, calendar: str = "primary") -> None:
    """Book something as a person does."""
    fields = {"end": end.isoformat(), "calendar": calendar, "summary": "Dentist"}
    _one(account, _event(start, **fields))


def _act(box: running.Sandbox, record: RecordId, act: str, **fields: Any) -> None:
    asked = {"id": record.id, "act": act, "fields": fields}
    box.http.post(f"{box.url}/_google/act", json=asked).raise_for_status()


def _counting(account: Account) -> tuple[Account, list[int]]:
    """Give the account with a list of what each call costs a person's quota."""
    spent: list[int] = []

    def spend(**units: int) -> None:
        assert units["app_minute"] == units["user_minute"]
        spent.append(units["user_minute"])

    return replace(account, spend=spend), spent


@pytest.mark.parametrize(
    ("login_url", "tokens"),
    [
        ("https://accounts.google.com", "https://oauth2.googleapis.com"),
        ("http://127.0.0.1:8304", "http://127.0.0.1:8304"),
    ],
)
def test_each_address_of_googles_is_used(login_url: str, tokens: str) -> None:
    """The authorise page, the API and the token server are three hosts; a sandbox is all of them."""
    registration = VendorSettings("id", "secret", None, None)
    client = VendorClient(GOOGLE.oauth, registration, login_url, "https://hub.example/callback")

    asked = parse_qs(urlsplit(page := client.authorize_url(state="s", verifier="v" * 43)).query)

    assert page.startswith(f"{login_url}/o/oauth2/v2/auth?")
    assert (asked["access_type"], asked["prompt"]) == (["offline"], ["consent"])
    assert asked["code_challenge_method"] == ["S256"]
    assert client.url(GOOGLE.oauth.token_url) == f"{tokens}/token"
    assert client.url(str(GOOGLE.oauth.revoke_url)) == f"{tokens}/revoke"


# Holds.


def test_holds_of_one_batch_take_different_slots(box: running.Sandbox, account: Account) -> None:
    """Ten holds for one day are placed one after the other, and free/busy is asked once for all."""
    watched, spent = _counting(account)
    day = _day()

    outcomes = GOOGLE.write(watched, [_hold(day) for _ in range(10)])

    assert _starts(box, outcomes) == [f"{9 + n // 2:02}:{n % 2 * 30:02}" for n in range(10)]
    # The calendar and its busy times in one call, then ten inserts in one.
    assert spent == [2, 10]
    assert all(one["status"] == "tentative" for one in (_seen(box, o.record) for o in outcomes))


def test_a_hold_keeps_off_what_a_person_has_booked(box: running.Sandbox, account: Account) -> None:
    """Busy times and the buffer around them are left free."""
    day = _day()
    _busy(account, day + timedelta(hours=8), day + timedelta(hours=10))
    careful = _set(account, buffer_minutes=20)

    outcomes = GOOGLE.write(careful, [_hold(day), _hold(day, duration_minutes=45)])

    assert _starts(box, outcomes) == ["10:30", "11:30"]


def test_an_event_shown_as_free_blocks_nothing(box: running.Sandbox, account: Account) -> None:
    """Who marks an event as free can be booked meanwhile."""
    day = _day()
    _one(account, _event(day + timedelta(hours=9), transparency="transparent"))

    assert _starts(box, GOOGLE.write(account, [_hold(day)])) == ["09:00"]


def test_other_calendars_block_where_the_admin_says_so(
    box: running.Sandbox, account: Account
) -> None:
    """The crew's busy times count for the desk's holds, when they are set to."""
    day = _day()
    _busy(account, day + timedelta(hours=9), day + timedelta(hours=11), calendar=CREW)

    alone = GOOGLE.write(account, [_hold(day)])
    both = GOOGLE.write(_set(account, busy_calendars=[CREW]), [_hold(day)])

    assert _starts(box, [*alone, *both]) == ["09:00", "11:00"]


def test_one_calendar_under_two_names_is_one_calendar(
    box: running.Sandbox, account: Account
) -> None:
    """Two holds of a batch do not collide because one names the calendar by its address."""
    day = _day()

    outcomes = GOOGLE.write(account, [_hold(day), _hold(day, calendar=PRIMARY)])

    assert _starts(box, outcomes) == ["09:00", "09:30"]


def test_opening_hours_are_the_calendars_own_without_a_setting(
    box: running.Sandbox, account: Account
) -> None:
    """The crew's calendar is in Denver: nine o'clock there."""
    day = datetime(2031, 1, 8, 12, tzinfo=UTC)
    plain = replace(account, settings={})

    (outcome,) = GOOGLE.write(plain, [_hold(day, calendar=CREW)])

    assert _seen(box, outcome.record)["start"] == {
        "dateTime": "2031-01-08T09:00:00-07:00",
        "timeZone": "America/Denver",
    }


def test_a_hold_without_a_free_slot_is_parked_with_a_sentence(
    box: running.Sandbox, account: Account
) -> None:
    """A person reads when nothing was free; the other holds of the batch are placed."""
    day = _day()
    writes = [_hold(day, hours=(16, 17)) for _ in range(3)]

    outcomes = GOOGLE.write(account, writes)

    assert _starts(box, outcomes) == ["16:00", "16:30"]
    error = _refusal(outcomes[2])
    assert isinstance(error, Rejected)
    assert (error.field, error.code) == ("start", "no_free_slot")
    assert error.detail.startswith("No 30 minutes are free that start between")
    assert f"{day:%a %d %b %Y} 16:00" in error.detail


@pytest.mark.parametrize(
    ("start_h", "until_h", "code"),
    [(-72, -48, "window_over"), (-1, 0.5, "window_too_near"), (0.1, 0.2, "window_too_near")],
)
def test_a_window_that_is_over_is_parked(
    account: Account, start_h: float, until_h: float, code: str
) -> None:
    """A voicemail that is replayed days later does not hold a time that nobody asked for."""
    wanted = _hold(datetime.now(UTC), hours=(start_h, until_h))  # type: ignore[arg-type] # parts of hours

    (outcome,) = GOOGLE.write(account, [wanted])

    assert (_refusal(outcome).code, getattr(outcome.error, "field", "")) == (code, "search_until")


def test_without_a_window_the_search_starts_now(box: running.Sandbox, account: Account) -> None:
    """Nobody said when: the first slot after the notice, within the days that are set."""
    (outcome,) = GOOGLE.write(account, [Write(uuid.uuid4().hex, "hold", {"summary": "Boiler"})])

    start = datetime.fromisoformat(_seen(box, outcome.record)["start"]["dateTime"])
    assert timedelta(minutes=60) <= start - datetime.now(UTC) < timedelta(days=14)


def test_windows_far_apart_are_asked_for_by_themselves(
    box: running.Sandbox, account: Account
) -> None:
    """Google refuses to tell of many months at once, so each part of the year is one question."""
    watched, spent = _counting(account)
    far = [_day(), _day() + timedelta(days=400), _day() + timedelta(days=800)]

    outcomes = GOOGLE.write(watched, [_hold(day) for day in far])

    assert [one.error for one in outcomes] == [None, None, None]
    assert spent == [4, 3]


def test_a_hold_that_is_there_is_not_refused_for_want_of_its_own_slot(
    box: running.Sandbox, account: Account
) -> None:
    """Written again, the hold that took the last slot is found, where it was."""
    day = _day()
    write = _hold(day, hours=(16, 16.5))  # type: ignore[arg-type] # half past
    first = _one(account, write)

    (again,) = GOOGLE.write(account, [write])

    assert (again.record, again.is_new) == (first, False)
    assert box.stats()["duplicate_keys"] == []


def test_a_slot_that_is_not_needed_goes_to_the_next(box: running.Sandbox, account: Account) -> None:
    """One slot is left; the hold that gets it first turns out to be there already, so another takes it."""
    day = _day()
    there = _hold(day, hours=(16, 17))
    record = _one(account, there)
    other = _hold(day, hours=(16, 17))

    outcomes = GOOGLE.write(account, [there, other])

    assert outcomes[0].record == record
    assert _starts(box, outcomes) == ["16:00", "16:30"]


def test_a_hold_is_never_moved_by_writing_it_again(box: running.Sandbox, account: Account) -> None:
    """Another window and title for the same key: the title changes, time and status stay."""
    day = _day()
    write = _hold(day)
    record = _one(account, write)
    _act(box, record, "confirm")
    later = _hold(day, hours=(14, 17), summary="Boiler and tap")

    (again,) = GOOGLE.write(account, [replace(write, fields=later.fields)])

    seen = _seen(box, record)
    assert again.record == record
    assert seen["summary"] == "Boiler and tap"
    assert seen["start"]["dateTime"][11:16] == "09:00"
    assert seen["status"] == "confirmed"


def test_free_busy_whose_answer_is_lost_leaves_nothing_in_doubt(
    box: running.Sandbox, account: Account
) -> None:
    """Nothing was written yet: the rows come again with growing delay, without asking by key."""
    before = box.stats()["records"].get("event", 0)
    box.fault(kind="cut_after", path="/batch/")

    with pytest.raises(Unavailable):
        GOOGLE.write(account, [_hold(_day())])

    assert box.stats()["records"].get("event", 0) == before


def test_holds_whose_insert_is_lost_are_found_and_kept_apart(
    box: running.Sandbox, account: Account
) -> None:
    """Cut after the insert: the holds are there once, are found by key, and take no second slot."""
    day = _day()
    writes = [_hold(day) for _ in range(4)]

    def cut_next(status: int, headers: object, ms: float) -> None:
        box.fault(kind="cut_after", path="/batch/")

    with pytest.raises(Uncertain):
        GOOGLE.write(replace(account, observe=cut_next), writes)
    found = GOOGLE.find(account, [Lookup("hold", key=w.key, fields=w.fields) for w in writes])
    outcomes = GOOGLE.write(account, writes)

    assert [one.candidates[0].record.id for one in found] == [o.record.id for o in outcomes]
    assert _starts(box, outcomes) == ["09:00", "09:30", "10:00", "10:30"]
    assert box.stats()["duplicate_keys"] == []


@pytest.mark.parametrize(
    ("calendar", "words"), [(HOLIDAYS, "may not write"), ("nobody@x.example", "no calendar")]
)
def test_a_calendar_that_cannot_be_written_is_named(
    account: Account, calendar: str, words: str
) -> None:
    """The hold for it is parked; that for another calendar is placed."""
    day = _day()

    outcomes = GOOGLE.write(account, [_hold(day, calendar=calendar), _hold(day)])

    assert words in _refusal(outcomes[0]).detail
    assert getattr(outcomes[0].error, "field", None) == "calendar"
    assert outcomes[1].record is not None


def test_a_wrong_setting_parks_the_rows_and_is_a_todo(account: Account) -> None:
    """The admin reads what is wrong, and so does who looks at the row."""
    wrong = _set(account, slot_minutes=1)

    (outcome,) = GOOGLE.write(wrong, [_hold(_day())])
    (todo,) = GOOGLE.prepare(wrong)

    assert getattr(outcome.error, "field", None) == "slot_minutes"
    assert "slot_minutes" in todo.title
    assert "from 5 to 240" in todo.how


def test_a_calendar_that_is_read_only_is_a_todo(account: Account) -> None:
    """Before anything is written, the admin learns that it cannot be."""
    assert GOOGLE.prepare(_set(account, calendar=CREW)) == []
    assert GOOGLE.prepare(_set(account, calendar=PRIMARY)) == []
    (todo,) = GOOGLE.prepare(_set(account, calendar=HOLIDAYS))
    assert HOLIDAYS in todo.title


# Events.


def test_writing_again_what_is_there_changes_nothing(
    box: running.Sandbox, account: Account
) -> None:
    """A repeated event costs one call more, and Google sees no change."""
    watched, spent = _counting(account)
    write = _event(
        _day(), attendees="dana@x.example", reminder_minutes=30, contact="+1 415 555 0132"
    )
    record = _one(account, write)
    before = _seen(box, record)

    (again,) = GOOGLE.write(watched, [write])

    assert (again.record, again.is_new) == (record, False)
    assert spent == [1, 1]
    assert _seen(box, record) == before


def test_only_what_differs_is_patched(box: running.Sandbox, account: Account) -> None:
    """A new time moves an event; what a person noted elsewhere stays."""
    day = _day()
    write = _event(day, location="Elm Street")
    record = _one(account, write)
    _act(box, record, "edit", colorId="5")
    moved = {**write.fields, "start": (day + timedelta(hours=2)).isoformat()}

    GOOGLE.write(account, [replace(write, fields=moved)])

    seen = _seen(box, record)
    assert datetime.fromisoformat(seen["start"]["dateTime"]) == day + timedelta(hours=2)
    assert (seen["colorId"], seen["location"]) == ("5", "Elm Street")


def test_a_deleted_event_is_not_made_again(box: running.Sandbox, account: Account) -> None:
    """Somebody did not want it: the row is parked, the key still tells that it was written."""
    write = _event(_day())
    record = _one(account, write)
    _act(box, record, "cancel")

    (again,) = GOOGLE.write(account, [write])
    (update,) = GOOGLE.write(account, [Write("u", "event", {"location": "Elm"}, record.id)])
    (found,) = GOOGLE.find(account, [Lookup("event", key=write.key)])

    assert _refusal(again).code == "deleted"
    assert isinstance(update.error, Rejected)
    assert [one.record.id for one in found.candidates] == [record.id]


def test_an_event_of_whole_days_becomes_one_of_hours(
    box: running.Sandbox, account: Account
) -> None:
    """A patch takes the form away that is not meant any more."""
    write = Write(uuid.uuid4().hex, "event", {"summary": "Away", "start": "2030-05-06"})
    record = _one(account, write)

    day = _seen(box, record)
    GOOGLE.write(account, [replace(write, fields={"start": "2030-05-06T10:00:00Z"})])

    assert (day["start"], day["end"]) == ({"date": "2030-05-06"}, {"date": "2030-05-07"})
    assert "date" not in _seen(box, record)["start"]


def test_vendor_words_name_the_field_and_not_the_value(account: Account) -> None:
    """Google says that a time range is empty; the reader learns of "end" and not of what was sent."""
    day = _day()

    (outcome,) = GOOGLE.write(account, [_event(day, end=(day - timedelta(hours=1)).isoformat())])

    assert getattr(outcome.error, "field", None) == "end"
    assert str(day.year) not in _refusal(outcome).detail


def test_guests_are_invited_silently(box: running.Sandbox, account: Account) -> None:
    """Addresses in a list or a text are guests; invitations are only sent when a mapping says so."""
    one = _one(account, _event(_day(), attendees=["Dana@x.example", "kim@x.example"]))
    two = _one(account, _event(_day(), attendees="dana@x.example; kim@x.example"))

    assert [len(_seen(box, record)["attendees"]) for record in (one, two)] == [2, 2]


def test_contacts_find_what_is_still_to_come(box: running.Sandbox, account: Account) -> None:
    """The caller's events that have not ended are found, of the kind that is asked for, however it is typed."""
    number = f"+1415555{uuid.uuid4().int % 10_000:04}"
    past = datetime.now(UTC) - timedelta(days=3)
    _one(account, _event(past, contact=number))
    _one(account, _hold(_day(), contact=number))
    coming = _one(account, _event(_day(), contact=f" {number} "))

    by = {"contact": number}
    events, holds, crews = GOOGLE.find(
        account,
        [
            Lookup("event", by=by, read=("contact", "start", "summary")),
            Lookup("hold", by=by),
            Lookup("event", by={**by, "calendar": CREW}),
        ],
    )

    (candidate,) = events.candidates
    assert candidate.record == coming
    assert candidate.values["contact"] == number
    assert candidate.label.startswith("Boiler, 2030-")
    assert (len(holds.candidates), crews.candidates) == (1, ())


def test_only_contacts_can_be_looked_up(account: Account) -> None:
    """Anything else is refused rather than answered with nothing."""
    with pytest.raises(Rejected) as caught:
        GOOGLE.find(account, [Lookup("event", by={"location": "Elm Street"})])

    assert caught.value.field == "location"


def test_a_record_knows_its_calendar(box: running.Sandbox, account: Account) -> None:
    """An update goes to the calendar in which the record is, whatever the mapping says now."""
    write = _event(_day(), calendar=CREW)
    record = _one(account, write)

    (outcome,) = GOOGLE.write(account, [Write("k", "event", {"location": "Elm"}, record.id)])

    assert record.id == f"{event_id(write.key)}@{CREW}"
    assert outcome.record == record
    assert _seen(box, record)["location"] == "Elm"


def test_each_account_has_calendars_of_its_own(account: Account) -> None:
    """The picklist shows those that can be written to, with the person's own first."""
    fields = {one.name: one for one in GOOGLE.describe(account, "hold")}

    assert [one.value for one in fields["calendar"].choices] == ["primary", CREW]
    assert not fields["start"].can_update
    assert [one.name for one in fields.values() if one.can_match] == ["contact"]


# Limits.


def test_a_users_quota_refuses_rows_and_loses_none(box: running.Sandbox, account: Account) -> None:
    """Three calls are left of the minute: three rows are written, two wait, and none is written twice."""
    del (
        account
    )  # Its quotas are out of the way; an account that nobody has used yet has a known rest.
    tokens = running.authorise(box, GOOGLE.oauth, account="front@lakeside-dental.example")
    idle = running.account(box, GOOGLE, tokens)
    writes = [_event(_day()) for _ in range(5)]
    box.set(limits={"user": 3})

    outcomes = GOOGLE.write(idle, writes)
    box.set(limits={"user": 100_000})
    again = GOOGLE.write(idle, [w for w, o in zip(writes, outcomes, strict=True) if o.error])

    waiting = [one.error for one in outcomes if one.error]
    assert len(waiting) == 2
    assert all(isinstance(one, Throttled) and one.retry_after_s >= 30 for one in waiting)
    assert [one.is_new for one in again] == [True, True]
    assert box.stats()["duplicate_keys"] == []


def test_the_projects_quota_is_shared_by_all_accounts(
    box: running.Sandbox, account: Account
) -> None:
    """What one tenant uses is missing to the others: a limit of the app."""
    other = running.account(
        box,
        GOOGLE,
        running.authorise(box, GOOGLE.oauth, account="front@lakeside-dental.example"),
    )
    box.set(limits={"project": 0})

    for one in (account, other):
        with pytest.raises(Throttled) as caught:
            GOOGLE.identify(one)
        assert caught.value.code == "rateLimitExceeded"

    scopes = {limit.name: limit.scope for limit in GOOGLE.limits}
    assert scopes == {"app_minute": "app", "user_minute": "account"}


def test_a_patch_costs_three(box: running.Sandbox, account: Account) -> None:
    """What we charge for an update is what Google counts: where two calls a minute are allowed, it is refused."""
    record = _one(account, _event(_day()))
    watched, spent = _counting(account)
    update = Write("k", "event", {"location": "Elm"}, record.id)
    box.set(limits={"user": 2})

    with pytest.raises(Throttled):
        GOOGLE.write(watched, [update])
    box.set(limits={"user": 100_000})
    (outcome,) = GOOGLE.write(watched, [update])

    assert outcome.record == record
    assert spent == [3, 3]


def test_a_row_that_is_too_fast_waits_alone(box: running.Sandbox, account: Account) -> None:
    """A part refused by a calendar's own limit is that row's Throttled, for hours rather than seconds."""
    box.fault(kind="row", code="quotaExceeded", path="/batch/")

    outcomes = GOOGLE.write(account, [_event(_day()), _event(_day())])

    assert isinstance(outcomes[0].error, Throttled)
    assert outcomes[0].error.retry_after_s >= 1_800
    assert outcomes[1].record is not None


def test_the_budget_may_end_between_the_calls(box: running.Sandbox, account: Account) -> None:
    """Rows that are written stay written when the budget does not allow to look at the others."""
    calls: list[int] = []

    def spend(**units: int) -> None:
        calls.append(units["user_minute"])
        if len(calls) > 1:
            raise Throttled("the budget is spent", retry_after_s=9)

    there = _event(_day())
    _one(account, there)

    outcomes = GOOGLE.write(replace(account, spend=spend), [there, _event(_day())])

    assert isinstance(outcomes[0].error, Throttled)
    assert outcomes[1].is_new


def test_threads_share_the_connector(box: running.Sandbox, account: Account) -> None:
    """Five threads write at once through one transport; each gets its own answers."""
    results: dict[int, list[Outcome]] = {}
    writes = {n: [_event(_day(), summary=f"Call {n}") for _ in range(3)] for n in range(5)}

    def work(n: int) -> None:
        results[n] = list(GOOGLE.write(account, writes[n]))

    threads = [threading.Thread(target=work, args=(n,)) for n in writes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for n, outcomes in results.items():
        assert [_seen(box, one.record)["summary"] for one in outcomes] == [f"Call {n}"] * 3


# Outcomes.


def _result(account: Account, record: RecordId) -> tuple[str, bool, bool] | None:
    found: list[Closure] = list(GOOGLE.closed(account, [record]))
    return (found[0].result, found[0].is_closed, found[0].is_success) if found else None


def _guest_accepts(box: running.Sandbox, record: RecordId) -> None:
    _act(box, record, "edit", attendees=[{"email": "dana@x.example"}])
    _act(box, record, "accept")


@pytest.mark.parametrize(
    ("act", "result"),
    [
        (lambda box, record: _act(box, record, "cancel"), ("cancelled", True, False)),
        (lambda box, record: _act(box, record, "confirm"), ("confirmed", True, True)),
        (_guest_accepts, ("confirmed", True, True)),
        (lambda box, record: _act(box, record, "edit", summary="x"), ("edited", False, True)),
        (lambda box, record: _act(box, record, "edit", location="Elm"), ("edited", False, True)),
        (lambda box, record: _act(box, record, "edit", colorId="3"), None),
        (lambda *_: None, None),
    ],
    ids=["cancel", "confirm", "accept", "rename", "place", "colour", "nothing"],
)
def test_what_a_person_does_is_told(
    box: running.Sandbox,
    account: Account,
    act: Callable[[running.Sandbox, RecordId], None],
    result: tuple[str, bool, bool] | None,
) -> None:
    """Each thing that people do with a hold counts as the README says."""
    record = _one(account, _hold(_day(), location="Oak Street"))

    act(box, record)

    assert _result(account, record) == result


def test_our_own_updates_are_no_touch(account: Account) -> None:
    """What we wrote later is ours as much as what we wrote first."""
    record = _one(account, _hold(_day()))
    fields = {"summary": "Boiler, urgent", "location": None, "attendees": "dana@x.example"}

    GOOGLE.write(account, [Write("k", "hold", fields, record.id)])

    assert _result(account, record) is None


@pytest.mark.parametrize("edits", [True, False])
def test_what_is_over_took_place_or_lapsed(
    box: running.Sandbox, account: Account, *, edits: bool
) -> None:
    """A tentative hold that nobody touched came to nothing; one that somebody renamed took place."""
    record = _one(account, _hold(_day()))
    ended = datetime.now(UTC) - timedelta(hours=1)
    # A day passes: the record is put into the past together with the mark of its times.
    _put_back(account, record, ended)
    if edits:
        _act(box, record, "edit", summary="Boiler at Whitfield's")

    (closure,) = GOOGLE.closed(account, [record])

    expected = ("took place", True) if edits else ("lapsed", False)
    assert (closure.result, closure.is_success) == expected
    assert abs(closure.closed_at - ended) < timedelta(seconds=2)


def _put_back(account: Account, record: RecordId, end: datetime) -> None:
    times = {"start": (end - timedelta(hours=1)).isoformat(), "end": end.isoformat()}
    (outcome,) = GOOGLE.write(account, [Write("k", "event", times, record.id)])
    assert outcome.error is None


def test_an_event_that_is_over_took_place(account: Account) -> None:
    """Events are agreed upon: unless somebody cancels one, it took place."""
    record = _one(account, _event(datetime.now(UTC) - timedelta(hours=5)))

    assert _result(account, record) == ("took place", True, True)


def test_many_records_are_polled_with_one_call(box: running.Sandbox, account: Account) -> None:
    """Twelve records of a calendar cost a single call, deleted ones too; strange ones are asked for by id."""
    outcomes = GOOGLE.write(account, [_hold(_day()) for _ in range(12)])
    records = [one.record for one in outcomes]
    _act(box, records[3], "cancel")
    _act(box, records[7], "confirm")
    watched, spent = _counting(account)
    gone = RecordId("hold", "0000000@primary")

    found = GOOGLE.closed(watched, [*records, gone])

    assert {one.record.id for one in found} == {records[3].id, records[7].id}
    assert spent == [1, 1]


# Push channels.


class _Hook:
    """An address of ours that keeps what Google sends."""

    def __init__(self) -> None:
        kept: list[dict[str, str]] = []

        class Keeping(BaseHTTPRequestHandler):
            """Keeps one message."""

            def do_POST(self) -> None:
                """Keep the headers."""
                kept.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.kept = kept
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Keeping)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/con_1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, number: int) -> dict[str, str]:
        """Give a message once so many have come."""
        until = time.monotonic() + 20
        while len(self.kept) < number:
            assert time.monotonic() < until, "no message came"
            time.sleep(0.02)
        return self.kept[number - 1]


@pytest.fixture(name="hook")
def _hook() -> Iterator[_Hook]:
    hook = _Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


def _request(hook: _Hook, message: dict[str, str], known: Subscription) -> WebhookRequest:
    return WebhookRequest(message, b"", hook.url, secret=known.secret, state=known.state)


def _open(box: running.Sandbox) -> list[str]:
    channels = box.http.get(f"{box.url}/_google/channels").json()["channels"]
    return [one["id"] for one in channels]


def test_a_push_tells_what_became_of_a_hold(
    box: running.Sandbox, account: Account, hook: _Hook
) -> None:
    """From opening the channel to the closure, with the record's id as it was written."""
    account = replace(account, webhook_url=hook.url)
    record = _one(account, _hold(_day()))
    known = GOOGLE.subscribe(account, None)

    opened = GOOGLE.webhook(account, _request(hook, hook.wait(1), known))
    _act(box, record, "confirm")
    found = GOOGLE.webhook(account, _request(hook, hook.wait(2), known))
    GOOGLE.unsubscribe(account, known)
    GOOGLE.unsubscribe(account, known)

    assert isinstance(GOOGLE, Subscribes)
    assert hook.kept[0]["x-goog-resource-state"] == "sync"
    assert opened == []
    mine = [one for one in found if one.record.id == record.id]
    assert [(one.record.object, one.result) for one in mine] == [("hold", "confirmed")]
    assert known.id not in _open(box)


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_message_without_the_channels_token_is_refused(
    account: Account, hook: _Hook, token: str
) -> None:
    """Who does not know the token cannot make us read the calendar."""
    known = Subscription("c", "right", state={"calendar": "primary"})
    message = {"x-goog-channel-token": token, "x-goog-resource-state": "exists"}

    with pytest.raises(Rejected):
        GOOGLE.webhook(account, _request(hook, message, known))


def test_a_fresh_channel_is_kept_and_an_old_one_renewed(
    box: running.Sandbox, account: Account, hook: _Hook
) -> None:
    """Asked again, the same subscription comes back; near its end there is a new one, and only that."""
    account = replace(account, id="con_renew", webhook_url=hook.url)
    known = GOOGLE.subscribe(account, None)
    assert known.expires_at is not None

    same = GOOGLE.subscribe(account, known)
    old = replace(known, expires_at=datetime.now(UTC) + timedelta(hours=3))
    renewed = GOOGLE.subscribe(account, old)

    assert timedelta(days=6) < known.expires_at - datetime.now(UTC) < timedelta(days=8)
    assert same == known
    assert renewed.id != known.id
    assert renewed.secret != known.secret
    assert renewed.id in _open(box)
    assert known.id not in _open(box)


def test_a_channel_whose_answer_was_lost_is_ended(
    box: running.Sandbox, account: Account, hook: _Hook
) -> None:
    """Cut after Google opened it: the next attempt opens one and stops the one that nobody knows."""
    account = replace(account, id="con_lost", webhook_url=hook.url)
    before = set(_open(box))
    box.fault(kind="cut_after", path="/events/watch")
    with pytest.raises(Uncertain):
        GOOGLE.subscribe(account, None)
    assert len(set(_open(box)) - before) == 1

    known = GOOGLE.subscribe(account, None)

    assert set(_open(box)) - before == {known.id}


def test_a_channel_can_be_opened_and_ended_any_number_of_times(
    box: running.Sandbox, account: Account, hook: _Hook
) -> None:
    """Ids of ended channels stay used; an admin may still switch reports on and off."""
    account = replace(account, id="con_often", webhook_url=hook.url)
    before = set(_open(box))

    for _ in range(5):
        GOOGLE.unsubscribe(account, GOOGLE.subscribe(account, None))
    known = GOOGLE.subscribe(account, None)

    assert set(_open(box)) - before == {known.id}


def test_a_hub_that_cannot_be_reached_opens_no_channel(account: Account) -> None:
    """Without a public address there is nothing to tell Google."""
    with pytest.raises(Rejected, match="https"):
        GOOGLE.subscribe(account, None)
