"""Which texts were sent already: the only way to know an earlier text of ours is by recipient and words.

Twilio takes no key of ours and has no field to keep one in. A text's own words are not touched to hold a
reference, since a person reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.errors import ContractBroken, Rejected
from connectors.record import JSON, Account, Candidate, Found, Lookup, RecordId
from connectors.twilio_sms.calls import client, reading

OBJECT = "message"
#: A lost answer may be asked for after days of trouble; in doubt nobody is texted twice.
ASKED_FOR = timedelta(days=7)
_PAGE_SIZE = 200
_MAX_PAGES = 5
#: Twilio puts this before the texts of trial accounts.
#: Source: https://www.twilio.com/docs/usage/tutorials/how-to-use-your-free-trial-account (2026-11-22)
_TRIAL = "Sent from your Twilio trial account - "


@dataclass(frozen=True, slots=True)
class Text:
    """A message that Twilio has of ours."""

    sid: str
    to: str
    body: str
    sender: str | None
    status: str
    created_at: datetime

    @property
    def values(self) -> Mapping[str, JSON]:
        """Give its fields by the names that mappings use."""
        return {"To": self.to, "Body": self.body, "From": self.sender}


def find(account: Account, lookups: Sequence[Lookup]) -> list[Found]:
    """Find the text that a write may have sent, by recipient and exact words, in the last seven days.

    Raises Rejected for a question that cannot be answered: by field values, or by key without the fields.
    """
    asked = [_question(lookup) for lookup in lookups]
    since = datetime.now(UTC) - ASKED_FOR
    texts = {to: texts_to(account, to, since=since) for to in dict.fromkeys(to for to, _ in asked)}
    by_key: dict[str, Text | None] = {}
    for (to, body), lookup in zip(asked, lookups, strict=True):
        if lookup.key is not None and lookup.key not in by_key:
            text = next((one for one in texts[to] if one.body == plain(body)), None)
            by_key[lookup.key] = text
            if text is not None:
                texts[to].remove(text)  # it answers one question: another key is another text
    return [_found(by_key[str(lookup.key)], lookup) for lookup in lookups]


def texts_to(account: Account, to: str, *, since: datetime) -> list[Text]:
    """List what the account has sent to a number since then, newest first."""
    found: list[Text] = []
    with reading():
        # Without a filter by DateSent: a text that is still queued may not have one.
        page = client(account).messages.page(to=to, page_size=_PAGE_SIZE)
        for _ in range(_MAX_PAGES):
            texts = [text for text in map(_text, page) if text is not None]
            found += [text for text in texts if text.created_at >= since]
            if texts and all(text.created_at < since for text in texts):
                break
            page = page.next_page()
            if page is None:
                break
    return sorted(found, key=lambda text: text.created_at, reverse=True)


def plain(body: str) -> str:
    """Give a text's words without what Twilio may add or take away at the ends."""
    return body.removeprefix(_TRIAL).strip()


def _text(message: object) -> Text | None:
    if not str(getattr(message, "direction", "")).startswith("outbound"):
        return None
    sid, to, created_at = (getattr(message, name) for name in ("sid", "to", "date_created"))
    if not sid or not to or not isinstance(created_at, datetime):
        raise ContractBroken("Twilio lists a message without its SID, recipient or date.")
    sender = getattr(message, "from_", None)
    return Text(
        sid=str(sid),
        to=str(to),
        body=plain(str(getattr(message, "body", None) or "")),
        sender=None if sender is None else str(sender),
        status=str(getattr(message, "status", "")),
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
    )


def _question(lookup: Lookup) -> tuple[str, str]:
    if lookup.object != OBJECT:
        raise Rejected(f'Twilio has no object "{lookup.object}".')
    if lookup.key is None:
        raise Rejected("A text belongs to nobody's record: take match out of the mapping.")
    to, body = lookup.fields.get("To"), lookup.fields.get("Body")
    if not isinstance(to, str) or not isinstance(body, str):
        raise Rejected("A text can only be found by its recipient and its words.")
    return to, body


def _found(text: Text | None, lookup: Lookup) -> Found:
    if text is None:
        return Found()
    label = f"Text of {text.created_at:%Y-%m-%d %H:%M} UTC ({text.status})"
    values = {name: text.values.get(name) for name in lookup.read}
    return Found((Candidate(RecordId(OBJECT, text.sid), label, values),))
