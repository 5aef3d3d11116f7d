"""Which numbers texts may go to: a caller can name anybody's, and some cost whoever texts them a fortune.

Numbers that charge the sender, and those of satellites and of no country, get no text at all. Of the others only those
of the sender's own country do, unless the connection names more.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

from connectors.errors import Rejected

_COSTLY: Final = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
#: What +1 5xx is called; it costs what any number there costs.
_NORTH_AMERICA: Final = 1
_NO_COUNTRY: Final = frozenset({"001", "ZZ"})


def is_country(code: str) -> bool:
    """Say whether this is a country's code, two capital letters, of which there are telephone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def check(to: str, *, sender: str | None, countries: Collection[str]) -> None:
    """Raise Rejected for a number that gets no text from this sender.

    ``countries`` are those that are allowed; where there are none, it is the sender's own. A sender that tells no
    country (a Messaging Service, a short code, a name) leaves it to the account's own permissions at Twilio.
    """
    number = _parsed(to)
    country = None if number is None else _country(number)
    if number is None or country is None:
        raise Rejected(
            "The recipient's number belongs to no country, and may cost any price.",
            field="To",
            code="no_country",
        )
    is_personal = phonenumbers.number_type(number) == PhoneNumberType.PERSONAL_NUMBER
    is_usual = is_personal and number.country_code == _NORTH_AMERICA
    if phonenumbers.number_type(number) in _COSTLY and not is_usual:
        raise Rejected(
            "The recipient's number charges whoever calls or texts it.",
            field="To",
            code="costly_number",
        )
    known = _parsed(sender) if sender else None
    own = _country(known) if known is not None else None
    allowed = set(countries) or ({own} if own else {country})
    if country not in allowed:
        raise Rejected(
            f"The recipient's number is in {country}, and texts go to {', '.join(sorted(allowed))} only. "
            'If you have callers there, add it to the connection\'s "countries".',
            field="To",
            code="country",
        )


def _parsed(text: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None


def _country(number: PhoneNumber) -> str | None:
    """Give a number's country; that of its first digits, where the rest is not known to be in use."""
    found = phonenumbers.region_code_for_number(number)
    found = found or phonenumbers.region_code_for_country_code(number.country_code or 0)
    return None if found in _NO_COUNTRY else found
