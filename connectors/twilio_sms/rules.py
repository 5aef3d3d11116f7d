"""What an admin has set for the connection: consent, quiet hours, how many texts, the usual sender and its rate.

::

    {"consent": "required",                              or "assumed"
     "quiet_hours": {"start": "21:00", "end": "08:00"},  or false
     "sender": "+14155550100",                           or the SID of a Messaging Service
     "countries": "US, CA",
     "texts_per_day": 3,
     "segments_per_s": 1}

Without a setting the cautious one holds, which is the one shown here; without a sender the account's only
number is used, and without countries texts stay in the sender's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Final

from connectors.errors import Rejected
from connectors.record import JSON, Choice, Setting
from connectors.twilio_sms.quiet import QuietHours
from connectors.twilio_sms.reach import is_country

_DEFAULT_QUIET = QuietHours(time(21, 0), time(8, 0))
_FASTEST = 1_000
_MOST_A_DAY = 1_000
SETTINGS: Final = (
    Setting(
        "sender",
        "Texts come from",
        "choice",
        "Not needed where the account has a single number.",
        is_from_account=True,
    ),
    Setting(
        "consent",
        "Texts go to",
        "choice",
        "Texting people who did not agree is against the law in many countries.",
        default="required",
        choices=(
            Choice("required", "Only callers who agreed on the phone"),
            Choice("assumed", "All callers: they agree in another way, and we can show it"),
        ),
    ),
    Setting(
        "quiet_hours",
        "No texts between",
        "time_span",
        "In the recipient's own time; what comes up then waits for the morning. Left empty, texts go out at any hour.",
        default={"start": "21:00", "end": "08:00"},
    ),
    Setting(
        "countries",
        "Countries",
        "text",
        "Where texts may go, by codes such as US, CA. Left empty, to the sender's own country only: a caller can name "
        "anybody's number.",
    ),
    Setting(
        "texts_per_day",
        "Texts to one recipient a day",
        "number",
        "Whoever calls again and again, or names somebody else's number, has no more sent; what comes then is parked. "
        "At most 1000.",
        default=3,
    ),
    Setting(
        "segments_per_s",
        "Parts of texts a second",
        "number",
        "What the sender can send: 1 for a US long code, more for short codes and pools, at most 1000.",
        default=1,
        is_advanced=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a connection, read."""

    needs_consent: bool = True
    quiet_hours: QuietHours | None = _DEFAULT_QUIET
    sender: str | None = None
    segments_per_s: float = 1.0
    countries: frozenset[str] = frozenset()
    texts_per_day: int = 3

    def sender_ms(self, segments: int) -> int:
        """Give for how many milliseconds so many parts keep the sender busy."""
        return max(1, round(segments * 1_000 / self.segments_per_s))


def rules_of(settings: Mapping[str, JSON]) -> Rules:
    """Read the settings; raises Rejected, naming the setting, when one of them is not what it can be."""
    consent = settings.get("consent", "required")
    if consent not in {"required", "assumed"}:
        raise _wrong("consent", 'must be "required" or "assumed"')
    sender = settings.get("sender")
    if sender is not None and not isinstance(sender, str):
        raise _wrong(
            "sender", "must be a number such as +14155550100, or a Messaging Service's SID"
        )
    rate = settings.get("segments_per_s", 1.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= _FASTEST:
        raise _wrong("segments_per_s", f"must be a number above 0, at most {_FASTEST}")
    most = settings.get("texts_per_day", 3)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_A_DAY:
        raise _wrong("texts_per_day", f"must be a whole number from 1 to {_MOST_A_DAY}")
    return Rules(
        needs_consent=consent == "required",
        quiet_hours=_quiet_hours(settings),
        sender=sender or None,
        segments_per_s=float(rate),
        countries=_countries(settings),
        texts_per_day=most,
    )


def _countries(settings: Mapping[str, JSON]) -> frozenset[str]:
    given = settings.get("countries")
    if given is not None and not isinstance(given, str):
        raise _wrong("countries", "must be codes such as US, CA")
    found = frozenset(one.upper() for one in (given or "").replace(",", " ").split())
    if not all(map(is_country, found)):
        raise _wrong("countries", "must be codes of countries, two letters each, such as US, CA")
    return found


def _quiet_hours(settings: Mapping[str, JSON]) -> QuietHours | None:
    if "quiet_hours" not in settings:
        return _DEFAULT_QUIET
    given = settings["quiet_hours"]
    if given is None or given is False:
        return None
    spans = given if isinstance(given, Mapping) else {}
    try:
        start, end = time.fromisoformat(str(spans["start"])), time.fromisoformat(str(spans["end"]))
    except (ValueError, KeyError) as err:
        raise _wrong("quiet_hours", 'must be {"start": "21:00", "end": "08:00"} or false') from err
    return QuietHours(start.replace(tzinfo=None), end.replace(tzinfo=None))


def _wrong(name: str, what: str) -> Rejected:
    return Rejected(f'The setting "{name}" of this connection {what}.', code="settings")
