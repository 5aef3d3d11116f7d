"""Sends texts, one call each, at most once.

Before a text is sent, its recipient's texts of the last day are listed. Twilio has no key of ours to keep a second
text out, so of a text that may have been sent before, one of the same words is taken for it. And a recipient gets only
so many a day. A text cannot be changed: a write whose record is known sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connectors.errors import (
    ConnectorError,
    ContractBroken,
    NeedsReconnect,
    NotYet,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from connectors.record import JSON, Account, Outcome, RecordId, Write
from connectors.twilio_sms import reach
from connectors.twilio_sms.calls import CONCURRENCY, charged, client, reading
from connectors.twilio_sms.describing import Numbers, numbers
from connectors.twilio_sms.finding import OBJECT, Text, plain, texts_to
from connectors.twilio_sms.quiet import quiet_until, time_zones
from connectors.twilio_sms.refusals import ASK_AFTER_S
from connectors.twilio_sms.rules import Rules, rules_of
from connectors.twilio_sms.segments import segments

#: Each text is a call of its own; a batch only shares the look-ups.
MAX_BATCH = 10
SENDER_MS = "sender_ms"
#: How far back a write that may be a second one looks for the first, and the day of which texts are counted.
LOOKS_BACK = timedelta(hours=24)
#: Texts that have waited this long at Twilio are dropped rather than sent: 4 hours.
VALIDITY_S = 14_400
_MAX_VALIDITY_S = 36_000
_E164 = re.compile(r"\+[1-9]\d{3,14}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
FIELDS = ("To", "Body", "From", "MessagingServiceSid", "ValidityPeriod", "consent")
#: States of a text that reached nobody.
_NOT_GOT = frozenset({"failed", "undelivered", "canceled"})
#: Errors after which the rest of a batch waits.
_STOPS = (Throttled, Unavailable, NeedsReconnect, Uncertain, ContractBroken)


@dataclass(frozen=True, slots=True)
class Message:
    """A text, ready to be sent; ``words`` are compared with earlier texts unless it ``is_first``."""

    key: str
    is_first: bool
    to: str
    body: str
    sender: str | None
    service: str | None
    validity_s: int

    @property
    def words(self) -> tuple[str, str]:
        """Give what makes it the same text as another."""
        return self.to, plain(self.body)


def cost(writes: Sequence[Write]) -> Mapping[str, int]:
    """Count calls and the sender's time: one call for each text.

    There is one more for each recipient, and one to find the sender where a write names none, unless the connection
    does.
    """
    new = [write for write in writes if write.record_id is None]
    if not new:
        return {}
    asks_sender = any(not _sender_fields(write.fields) for write in new)
    recipients = {str(write.fields.get("To")) for write in new}
    parts = sum(segments(str(write.fields.get("Body") or "")) for write in new)
    return {
        CONCURRENCY: len(new) + len(recipients) + asks_sender,
        SENDER_MS: Rules().sender_ms(parts),
    }


def write(account: Account, writes: Sequence[Write]) -> list[Outcome]:
    """Send the texts that may be sent now and were not sent yet; outcome i belongs to write i."""
    try:
        rules = rules_of(account.settings)
    except Rejected as err:
        return [Outcome(error=err)] * len(writes)
    outcomes: dict[int, Outcome] = {}
    messages: dict[int, Message] = {}
    for place, one in enumerate(writes):
        if one.object != OBJECT:
            outcomes[place] = Outcome(error=Rejected(f'Twilio has no object "{one.object}".'))
        elif one.record_id is not None:
            outcomes[place] = Outcome(RecordId(OBJECT, one.record_id), is_new=False)
        else:
            try:
                messages[place] = _ready(one, rules)
            except (Rejected, NotYet) as err:
                outcomes[place] = Outcome(error=err)
    if messages:
        messages = _with_senders(account, messages, outcomes)
        messages = _within_reach(messages, rules, outcomes)
        _send_all(account, messages, rules, outcomes)
    return _told([outcomes[place] for place in range(len(writes))])


def _ready(one: Write, rules: Rules) -> Message:
    """Give the text of a write; raises Rejected or, in quiet hours, NotYet."""
    fields = one.fields
    for name in fields:
        if name not in FIELDS:
            raise Rejected(f'A text has no field "{name}".', field=name)
    to, body = fields.get("To"), fields.get("Body")
    if not isinstance(to, str) or not _E164.fullmatch(to):
        raise Rejected("To must be a telephone number with + and country code.", field="To")
    if not isinstance(body, str) or not body.strip():
        raise Rejected("A text needs words: set Body.", field="Body")
    if rules.needs_consent and fields.get("consent") is not True:
        raise Rejected(
            "The caller has not agreed to get texts. Fill consent in the mapping from the field that says "
            'so, or set the connection\'s "consent" to "assumed" if they agree in another way.',
            field="consent",
            code="no_consent",
        )
    sender, service = _sender_fields(fields) or _sender_of(rules.sender)
    made = Message(one.key, one.is_first, to, body, sender, service, _validity_s(fields))
    _hold_while_quiet(to, rules)
    return made


def _sender_fields(fields: Mapping[str, JSON]) -> tuple[str | None, str | None] | None:
    sender, service = fields.get("From"), fields.get("MessagingServiceSid")
    if not sender and not service:
        return None
    return (str(sender) if sender else None), (str(service) if service else None)


def _sender_of(setting: str | None) -> tuple[str | None, str | None]:
    if setting is not None and _SERVICE.fullmatch(setting):
        return None, setting
    return setting, None


def _validity_s(fields: Mapping[str, JSON]) -> int:
    given = fields.get("ValidityPeriod")
    if given is None:
        return VALIDITY_S
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MAX_VALIDITY_S:
        raise Rejected(
            f"ValidityPeriod must be 1 to {_MAX_VALIDITY_S} seconds.", field="ValidityPeriod"
        )
    return given


def _hold_while_quiet(to: str, rules: Rules) -> None:
    if rules.quiet_hours is None:
        return
    zones = time_zones(to)
    if not zones:
        raise Rejected(
            "Nobody knows the country of the recipient's number, nor then what time it is there.",
            field="To",
        )
    now = datetime.now(UTC)
    until = quiet_until(zones, rules.quiet_hours, now)
    if until is not None:
        raise NotYet(
            "It is night where the recipient lives; the text waits for the morning.",
            retry_after_s=(until - now).total_seconds(),
            code="quiet_hours",
        )


def _with_senders(
    account: Account, messages: Mapping[int, Message], outcomes: dict[int, Outcome]
) -> dict[int, Message]:
    """Give texts without a sender the account's only number."""
    if all(message.sender or message.service for message in messages.values()):
        return dict(messages)
    only = only_sender(numbers(account))
    made: dict[int, Message] = {}
    for place, message in messages.items():
        if message.sender or message.service:
            made[place] = message
        elif only is None:
            error = Rejected(
                "Which number should send the text? Set From or MessagingServiceSid in the mapping, or "
                'the connection\'s "sender".',
                field="From",
                code="no_sender",
            )
            outcomes[place] = Outcome(error=error)
        else:
            made[place] = replace(message, sender=only)
    return made


def _within_reach(
    messages: Mapping[int, Message], rules: Rules, outcomes: dict[int, Outcome]
) -> dict[int, Message]:
    """Leave out texts to numbers that get none; a pool's sender tells no country, whatever number stands beside it."""
    made: dict[int, Message] = {}
    for place, message in messages.items():
        sender = None if message.service else message.sender
        try:
            reach.check(message.to, sender=sender, countries=rules.countries)
        except Rejected as err:
            outcomes[place] = Outcome(error=err)
        else:
            made[place] = message
    return made


def only_sender(found: Numbers) -> str | None:
    """Give the number to send from when there is no choice."""
    return found.sms[0] if len(found.sms) == 1 else None


def _send_all(
    account: Account, messages: Mapping[int, Message], rules: Rules, outcomes: dict[int, Outcome]
) -> None:
    texts = _texts(account, messages.values())
    earlier = _by_words(texts)
    by_key: dict[str, Outcome] = {}
    stopped: ConnectorError | None = None
    for place, message in messages.items():
        outcome = by_key.get(message.key)
        if outcome is not None:
            # The same key twice in a batch: there is one text, and it was made for the first.
            outcome = replace(outcome, is_new=False) if outcome.record else outcome
        elif not message.is_first and earlier.get(message.words):
            record = RecordId(OBJECT, earlier[message.words].pop())
            outcome = Outcome(record, is_new=False)
        elif stopped is not None:
            outcome = Outcome(error=stopped)
        elif _counted(message, texts[message.to]) >= rules.texts_per_day:
            outcome = Outcome(error=_enough(rules))
        else:
            outcome = _attempt(account, message, rules)
            stopped = _for_the_rest(outcome.error)
            if outcome.record is not None:
                texts[message.to].append(_sent(message, outcome.record.id))
        outcomes[place] = by_key[message.key] = outcome


def _texts(account: Account, messages: Iterable[Message]) -> dict[str, list[Text]]:
    """List what was sent to the recipients in the last day, newest first."""
    since = datetime.now(UTC) - LOOKS_BACK
    recipients = dict.fromkeys(message.to for message in messages)
    return {to: texts_to(account, to, since=since) for to in recipients}


def _by_words(texts: Mapping[str, Sequence[Text]]) -> dict[tuple[str, str], list[str]]:
    """Give the SIDs by recipient and words; each stands for one text, the oldest last."""
    found: dict[tuple[str, str], list[str]] = {}
    for to, sent in texts.items():
        for text in sent:
            found.setdefault((to, text.body), []).append(text.sid)
    return found


def _counted(message: Message, texts: Iterable[Text]) -> int:
    """Count the texts that this sender's recipient has got; which numbers are of a pool, only Twilio knows."""
    return sum(
        text.status not in _NOT_GOT and (message.sender is None or text.sender == message.sender)
        for text in texts
    )


def _sent(message: Message, sid: str) -> Text:
    return Text(sid, message.to, plain(message.body), message.sender, "queued", datetime.now(UTC))


def _enough(rules: Rules) -> Rejected:
    number = rules.texts_per_day
    had = "a text" if number == 1 else f"{number} texts"
    return Rejected(
        f"The recipient has been sent {had} in the last 24 hours, and gets no more. Send this one again later, or "
        'raise the connection\'s "texts_per_day".',
        code="texts_per_day",
    )


def _attempt(account: Account, message: Message, rules: Rules) -> Outcome:
    try:
        sid = _send(account, message, rules)
    except (Rejected, *_STOPS) as err:
        return Outcome(error=err)
    return Outcome(RecordId(OBJECT, sid), is_new=True)


def _send(account: Account, message: Message, rules: Rules) -> str:
    """Send one text and give its SID."""
    paying = charged(account, **{SENDER_MS: rules.sender_ms(segments(message.body))})
    optional: dict[str, object] = {
        "from_": message.sender,
        "messaging_service_sid": message.service,
        "status_callback": account.webhook_url,
    }
    try:
        with reading():
            made = client(paying).messages.create(
                to=message.to,
                body=message.body,
                validity_period=message.validity_s,
                # Twilio would else replace letters, and we could not find the text by its words.
                smart_encoded=False,
                **{name: value for name, value in optional.items() if value},
            )
            sid = made.sid
    except Uncertain as err:
        raise Uncertain(
            err.detail, ask_after_s=ASK_AFTER_S, code=err.code, status=err.status
        ) from err
    if not isinstance(sid, str) or not sid:
        raise ContractBroken("Twilio took a text without naming its SID.")
    return sid


def _for_the_rest(err: ConnectorError | None) -> ConnectorError | None:
    """Give the error of the rows that are not sent because of this one, or None when they may be."""
    if isinstance(err, Uncertain | ContractBroken):
        return Unavailable("Not sent, since the answer to the text before it was lost.")
    return err if isinstance(err, _STOPS) else None


def _told(outcomes: list[Outcome]) -> list[Outcome]:
    """Raise the error that all rows share, when it is one that concerns them all."""
    errors = {id(outcome.error): outcome.error for outcome in outcomes}
    (first, *others) = errors.values()
    if not others and isinstance(first, _STOPS):
        raise first
    return outcomes
