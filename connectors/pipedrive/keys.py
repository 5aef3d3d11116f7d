"""Where our key is kept: in a custom field, or in the text of what has no custom fields.

Pipedrive has neither an upsert nor an idempotency key. What is stored is a mark made of the key: thirty
characters, since an exact search takes no longer term, in small letters and digits, since it does not tell cases apart.
Source: https://developers.pipedrive.com/docs/api/v1/ItemSearch (2026-11-22)
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.pipedrive import paths
from connectors.pipedrive.calls import Row, call
from connectors.pipedrive.objects import KEY_NAME, Kind
from connectors.pipedrive.preferences import key_fields
from connectors.record import JSON, Account

_MARK_CHARS = 28
_PREFIX = "ab"
_MARKED = re.compile(r"\bAfterbeep (ab[0-9a-f]{28})\b")
_PAGE = 500
_MAX_PAGES = 20
_MAX_KEPT = 256


def mark_of(key: str) -> str:
    """Give what is stored for a key."""
    return _PREFIX + hashlib.sha256(key.encode()).hexdigest()[:_MARK_CHARS]


def with_mark(text: JSON, mark: str) -> str:
    """Add a mark to a text that holds HTML, as a small last line."""
    return f"{_without_mark(text if isinstance(text, str) else '')}<p>Afterbeep {mark}</p>"


def marks_in(text: object) -> frozenset[str]:
    """Give the marks that stand in a text."""
    return frozenset(_MARKED.findall(text)) if isinstance(text, str) else frozenset()


def _without_mark(text: str) -> str:
    return re.sub(r"<p>Afterbeep ab[0-9a-f]{28}</p>", "", text)


@dataclass(frozen=True, slots=True)
class Customs:
    """The custom fields of an object in an account: type by code, and the code of the field for our key."""

    types: Mapping[str, str]
    key_code: str | None


class KeyFields:
    """Remembers for each access token what custom fields there are.

    The codes are made by Pipedrive and differ in each account; to list them costs ten tokens. They are facts of the
    vendor and no state of ours: who forgets them asks again. Threads may share it.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], Customs] = OrderedDict()

    def of(self, account: Account, kind: Kind) -> Customs:
        """Give the custom fields of an object; asks Pipedrive when they are not known."""
        if kind.fields is None:
            return Customs({}, None)
        place = _place(account, kind)
        with self._lock:
            found = self._kept.get(place)
        if found is None:
            found = customs_in(list_fields(account, kind.fields))
            if found.key_code is not None:
                self.keep(account, kind, found)
        return found

    def code(self, account: Account, kind: Kind) -> str | None:
        """Give the code of the field that keeps our key; None when there is no such field.

        The connection's setting ``key_fields`` may name it, which saves asking.
        """
        named = key_fields(account.settings).get(kind.fields or "")
        return named or self.of(account, kind).key_code

    def keep(self, account: Account, kind: Kind, customs: Customs) -> None:
        """Remember what was just read or made."""
        with self._lock:
            self._kept[_place(account, kind)] = customs
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)

    def forget(self, account: Account, kind: Kind) -> None:
        """Ask again next time: a field that we knew is gone."""
        with self._lock:
            self._kept.pop(_place(account, kind), None)


def list_fields(account: Account, word: str) -> list[Row]:
    """List all fields of ``person``, ``organization`` or ``deal``."""
    found: list[Row] = []
    query = {"limit": str(_PAGE)}
    for _ in range(_MAX_PAGES):
        answer = call(account, paths.fields(word), query=query)
        found += answer.rows
        if answer.cursor is None:
            break
        query["cursor"] = answer.cursor
    return found


def customs_in(fields: list[Row]) -> Customs:
    """Read the custom fields of a list of fields; of two with our name, the first is ours."""
    own = [row for row in fields if row.get("is_custom_field")]
    codes = [
        str(row["field_code"])
        for row in own
        if row.get("field_name") == KEY_NAME and row.get("field_type") == "varchar"
    ]
    types = {str(row.get("field_code")): str(row.get("field_type")) for row in own}
    return Customs(types, codes[0] if codes else None)


def _place(account: Account, kind: Kind) -> tuple[str, str, str]:
    # The token, as a fingerprint, is what tells two companies at one address apart (a sandbox has two).
    token = hashlib.sha256(account.token.encode()).hexdigest()
    return account.base_url, token, kind.fields or ""
