"""Callers name numbers: texts go to none that costs a fortune, and to no country that nobody meant."""

from __future__ import annotations

import pytest

from connectors.errors import Rejected
from connectors.record import Account, Write
from connectors.registry import connector
from connectors.twilio_sms import reach
from connectors.twilio_sms.rules import rules_of

DESK = "+14155550100"


def refused(to: str, *, sender: str | None = DESK, countries: str = "") -> str | None:
    """Give the code of the refusal, or None when a text may go there."""
    allowed = rules_of({"countries": countries}).countries
    try:
        reach.check(to, sender=sender, countries=allowed)
    except Rejected as err:
        return err.code if err.field == "To" and to not in err.detail else "told too much"
    return None


@pytest.mark.parametrize(
    "to", ["+19005550123", "+449012345678", "+447012345678", "+33899123456", "+498001234567"]
)
def test_costly_numbers_get_no_text_wherever_texts_may_go(to: str) -> None:
    """Premium rate and personal numbers, under any setting, and in no other country than was named."""
    expected = "country" if to.startswith("+49") else "costly_number"

    assert refused(to, countries="US GB FR") == expected


@pytest.mark.parametrize("to", ["+881612345678", "+882161234567", "+8835100123456", "+9990123456"])
@pytest.mark.parametrize("sender", [DESK, None])
def test_satellites_and_numbers_of_no_country_get_no_text(to: str, sender: str | None) -> None:
    """Also where the sender is a pool."""
    assert refused(to, sender=sender) == "no_country"


def test_texts_stay_in_the_senders_country() -> None:
    """Unless the connection names others; countries that share +1 are countries of their own."""
    assert refused("+14155550142") is None
    assert refused("+15005550006") is None
    assert refused("+447400123456") == "country"
    assert refused("+18765550123") == "country"
    assert refused("+447400123456", countries="us, gb") is None
    assert refused("+14155550142", countries="GB") == "country"


def test_a_sender_of_no_country_leaves_it_to_the_accounts_permissions() -> None:
    """A Messaging Service or a short code."""
    assert refused("+447400123456", sender=None) is None
    assert refused("+447400123456", sender="72345") is None
    assert refused("+447400123456", sender=None, countries="US") == "country"


def test_a_refused_number_reaches_no_network() -> None:
    """The row is refused before anything is asked of Twilio: this account leads nowhere."""
    token = (
        '{"account_sid": "AC00000000000000000000000000000000", "api_key_sid": "SK", '
        '"api_key_secret": "x", "auth_token": "x"}'
    )
    nowhere = Account("AC", "http://127.0.0.1:9", token, settings={"quiet_hours": False})
    fields = {"To": "+18765550123", "From": DESK, "Body": "Thank you.", "consent": True}

    (outcome,) = connector("twilio_sms").write(
        nowhere, [Write("key", "message", fields, is_first=True)]
    )

    assert isinstance(outcome.error, Rejected)
    assert outcome.error.code == "country"
