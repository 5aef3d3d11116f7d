"""Tells what can be written: two objects, and their fields; the calendars are the account's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.errors import ContractBroken, Rejected
from connectors.google_calendar.drafts import SEND_UPDATES
from connectors.google_calendar.naming import EVENT, LABELS, PRIMARY
from connectors.google_calendar.preferences import preferences
from connectors.google_calendar.wire import Api, call
from connectors.record import Account, Choice, Field, Object, Todo

WRITERS: Final = frozenset({"owner", "writer", "writerWithoutPrivateAccess"})
_MAX_PAGES = 4
#: Titles and places have no documented length; descriptions are cut at 8 KB, say those who tried.
#: Source: https://github.com/rjhorniii/ical2org/issues/16 (2026-11-22)
_TITLE_CHARS, _DESCRIPTION_CHARS = 1_024, 8_192
#: A private property's value.
#: Source: https://developers.google.com/workspace/calendar/api/guides/extended-properties (2026-11-22)
_CONTACT_CHARS = 1_024
#: The colours of events as the calendar's own menu calls them; the API tells only their hues.
_COLOURS = (
    "Lavender",
    "Sage",
    "Grape",
    "Flamingo",
    "Banana",
    "Tangerine",
    "Peacock",
    "Graphite",
    "Blueberry",
    "Basil",
    "Tomato",
)


def describe_objects(account: Account) -> list[Object]:
    """List the objects; none where the person may not write to any calendar."""
    return [Object(name, label) for name, label in LABELS.items()] if writable(account) else []


def describe_fields(account: Account, object_name: str) -> list[Field]:
    """List an object's fields; raises Rejected when there is no such object."""
    if object_name not in LABELS:
        raise Rejected(f'Google Calendar has no object "{object_name}".')
    return fields_of(object_name, writable(account))


def fields_of(object_name: str, calendars: Sequence[Choice]) -> list[Field]:
    """Give the fields of an object in an account with these calendars."""
    return [*_times(object_name), *_texts(), *_choices(calendars), *_others()]


def writable(account: Account) -> list[Choice]:
    """List the calendars that the person may write to; the person's own is called "primary"."""
    return calendars(account, is_written_to=True)


def calendars(account: Account, *, is_written_to: bool) -> list[Choice]:
    """List the person's calendars, or only those that they may write to; their own is called "primary"."""
    found: list[Choice] = []
    api, token = Api(account), None
    for _ in range(_MAX_PAGES):
        page: dict[str, str] = {"pageToken": token} if token else {}
        said = call(account, api.calendars("list", maxResults=250, **page))
        listed = said.get("items")
        if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
            raise ContractBroken("Google Calendar's answer holds no list of calendars.")
        found += [
            _choice(one) for one in listed if not is_written_to or one.get("accessRole") in WRITERS
        ]
        token = said.get("nextPageToken")
        if not token:
            break
    return found


def prepare(account: Account) -> list[Todo]:
    """Check the connection's settings and calendar; there is nothing to create."""
    try:
        prefs = preferences(account.settings)
    except Rejected as err:
        return [Todo(f'The setting "{err.field}" is wrong', err.detail)]
    # A calendar may be named by "primary" or by its address.
    names = {choice.value for choice in writable(account)}
    if prefs.calendar in names or (prefs.calendar != PRIMARY and prefs.calendar in _own(account)):
        return []
    return [
        Todo(
            f'The calendar "{prefs.calendar}" cannot be written to',
            "In Google Calendar, open this calendar's settings, share it with the connected person with "
            '"Make changes to events", and let them add it to their list. Or choose another calendar in the '
            "settings of the connection.",
        )
    ]


def own_calendar(account: Account) -> Mapping[str, Any]:
    """Give the connected person's own calendar."""
    own = call(account, Api(account).calendars("get", calendarId=PRIMARY))
    if not isinstance(own.get("id"), str) or not own["id"]:
        raise ContractBroken("Google Calendar's answer names no calendar.")
    return own


def _own(account: Account) -> set[str]:
    return {str(own_calendar(account).get("id"))}


def _choice(entry: Mapping[str, Any]) -> Choice:
    name = str(entry.get("summaryOverride") or entry.get("summary") or entry.get("id"))
    is_own = entry.get("primary") is True
    return Choice(PRIMARY if is_own else str(entry.get("id")), name)


def _times(object_name: str) -> list[Field]:
    duration = Field("duration_minutes", "Length in minutes", "integer", can_match=False)
    if object_name == EVENT:
        return [
            Field("start", "Starts", "datetime", is_required=True, can_match=False),
            Field(
                "end",
                "Ends",
                "datetime",
                can_match=False,
                help="Without it the event lasts as long as Length says, or the connection's setting.",
            ),
            duration,
        ]
    placing = "Only where a hold is made; one that is there stays where it is."
    return [
        Field(
            "start",
            "Not before",
            "datetime",
            can_update=False,
            can_match=False,
            help=f"Without it the search starts now. {placing}",
        ),
        Field(
            "search_until",
            "Starts before",
            "datetime",
            can_update=False,
            can_match=False,
            help=f"Without it the connection's setting says how many days. {placing}",
        ),
        Field(
            "duration_minutes",
            "Length in minutes",
            "integer",
            can_update=False,
            can_match=False,
            help=placing,
        ),
    ]


def _texts() -> list[Field]:
    return [
        Field("summary", "Title", "string", max_chars=_TITLE_CHARS, can_match=False),
        Field("description", "Description", "html", max_chars=_DESCRIPTION_CHARS, can_match=False),
        Field("location", "Place", "string", max_chars=_TITLE_CHARS, can_match=False),
        Field(
            "contact",
            "Contact",
            "string",
            max_chars=_CONTACT_CHARS,
            help="The phone number or e-mail address of whom it is for. Nobody sees it in the calendar; events "
            "that have not ended are found again by it.",
        ),
    ]


def _choices(calendars: Sequence[Choice]) -> list[Field]:
    return [
        _picklist("calendar", "Calendar", calendars, can_update=False),
        _picklist("status", "Status", _same("tentative", "confirmed")),
        _picklist(
            "transparency", "Shown as", (Choice("opaque", "Busy"), Choice("transparent", "Free"))
        ),
        _picklist("visibility", "Visibility", _same("default", "public", "private")),
        _picklist(
            "colorId",
            "Colour",
            [Choice(str(number), name) for number, name in enumerate(_COLOURS, start=1)],
        ),
        _picklist("sendUpdates", "Invitations are sent to", _same(*SEND_UPDATES)),
    ]


def _others() -> list[Field]:
    return [
        Field(
            "attendees",
            "Guests",
            "email",
            can_match=False,
            help="Addresses, with commas between them. No invitation is sent unless sendUpdates says so.",
        ),
        Field(
            "reminder_minutes",
            "Reminder, minutes before",
            "integer",
            can_match=False,
            help="Without it there is no reminder.",
        ),
    ]


def _picklist(
    name: str, label: str, choices: Sequence[Choice], *, can_update: bool = True
) -> Field:
    return Field(
        name,
        label,
        "picklist",
        choices=tuple(choices),
        is_restricted=True,
        can_update=can_update,
        can_match=False,
    )


def _same(*values: str) -> list[Choice]:
    return [Choice(value, value) for value in values]
