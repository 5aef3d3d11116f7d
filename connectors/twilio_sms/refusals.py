"""Twilio's refusals, turned into errors that say what happens next.

A refusal is ``{"code": 21211, "message": "...", "more_info": "...", "status": 400}``.
Source: https://www.twilio.com/docs/usage/twilios-response#exceptions (2026-11-22)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.http import redacted

#: How long a text whose answer was lost may still be on its way, in seconds: Twilio gives up a request of
#: ours after 15 s, and the list of messages that we then ask may lag behind. Four times that is cautious.
ASK_AFTER_S = 60.0
_TOO_MANY, _UNAUTHORIZED, _FORBIDDEN, _SERVER_ERRORS, _BAD_REQUEST = 429, 401, 403, 500, 400
#: A proxy before Twilio lost the answer; the text may have been taken.
_ANSWER_LOST = frozenset({502, 504})

#: Not now, by code: how many seconds to stay away.
#: Source: https://www.twilio.com/docs/api/errors (2026-11-22), the page of each code
_LATER_S: Mapping[int, float] = {
    20429: 5.0,  # too many calls at the same time; never processed
    21611: 600.0,  # ten hours of texts wait at this sender
    30001: 600.0,  # the same, of a Messaging Service
    14107: 60.0,  # the sender's rate
    63017: 60.0,  # the account's rate
    63038: 3_600.0,  # the account's texts of this day
}
_RECONNECT = frozenset({20003, 20005, 10001, 20006})

#: Codes of which our own sentence is clearer: the field, and what a person should do.
#: Source: https://www.twilio.com/docs/api/errors (2026-11-22), the page of each code
_REASONS: Mapping[int, tuple[str | None, str]] = {
    21610: (
        "To",
        "The recipient has opted out by replying STOP. Nothing can be sent until they reply START.",
    ),
    21211: ("To", "The recipient's number is not a telephone number."),
    21614: ("To", "The recipient's number cannot get texts; it is not a mobile number."),
    21612: ("To", "This sender cannot reach the recipient's number."),
    21408: (
        "To",
        "Texts to the recipient's country are switched off. Allow it under Messaging, Geo permissions.",
    ),
    21604: ("To", "A text needs a recipient: set To."),
    21608: ("To", "A trial account texts only numbers that were verified in its console."),
    21265: ("To", "The recipient's number is a short code."),
    21266: ("To", "Recipient and sender are the same number."),
    21212: ("From", "The sender is not a telephone number."),
    21603: ("From", "A text needs a sender: set From or MessagingServiceSid."),
    21606: ("From", "The account has no such sender, or it cannot send texts to this recipient."),
    21659: ("From", "The sender is not a number or short code of Twilio."),
    21660: ("From", "The sender does not belong to this account."),
    21703: ("MessagingServiceSid", "The Messaging Service has no senders."),
    21701: ("MessagingServiceSid", "There is no such Messaging Service in the account."),
    21602: ("Body", "A text needs words: set Body."),
    21617: ("Body", "The text is longer than 1,600 characters."),
    21609: (None, "Twilio does not take the address to which it should report."),
}


def refused(
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    sent: Iterable[object] = (),
    is_write: bool = False,
) -> ConnectorError:
    """Give the error that a refusal stands for; what was *sent* is not repeated in its sentence."""
    said = _read(text)
    code = _code(said)
    sentence = redacted(str(said.get("message") or said.get("detail") or ""), sent)
    name = None if code is None else str(code)
    if status == _TOO_MANY or code in _LATER_S:
        wait_s = _LATER_S.get(code or 0, 5.0)
        return Throttled(
            _told("Twilio says not now", sentence),
            retry_after_s=_retry_after_s(headers, at_least_s=wait_s),
            code=name,
            status=status,
        )
    if status in {_UNAUTHORIZED, _FORBIDDEN} or code in _RECONNECT:
        return NeedsReconnect(
            _told("Twilio does not accept the connection's keys", sentence),
            code=name,
            status=status,
        )
    if status in _ANSWER_LOST and is_write:
        return Uncertain(
            "Twilio was asked to send a text, and its answer was lost.",
            ask_after_s=ASK_AFTER_S,
            code="answer_lost",
            status=status,
        )
    if status >= _SERVER_ERRORS:
        return Unavailable(_told("Twilio is in trouble", sentence), code=name, status=status)
    if status < _BAD_REQUEST:
        return ContractBroken("Twilio's answer is not what its documents say.", status=status)
    return _rejected(status, code, sentence)


def _rejected(status: int, code: int | None, sentence: str) -> Rejected:
    name = None if code is None else str(code)
    if code is not None and code in _REASONS:
        field, reason = _REASONS[code]
        return Rejected(reason, field=field, code=name, status=status)
    return Rejected(_told("Twilio refused the text", sentence), code=name, status=status)


def _told(what: str, sentence: str) -> str:
    return f'{what}: "{sentence}"' if sentence else f"{what}."


def _read(text: str) -> Mapping[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _code(said: Mapping[str, Any]) -> int | None:
    code = said.get("code")
    if isinstance(code, bool) or not isinstance(code, int | str):
        return None
    return int(code) if str(code).isdecimal() else None


def _retry_after_s(headers: Mapping[str, str], *, at_least_s: float) -> float:
    told = headers.get("retry-after", "")
    return max(float(told), at_least_s) if told.isdecimal() else at_least_s
