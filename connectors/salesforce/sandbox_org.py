"""An org in miniature: its fields, who may see them, its rules, and its records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from connectors.salesforce.sandbox_objects import OBJECTS, SandboxField, SandboxObject
from connectors.sandbox import clock
from connectors.sandbox.oauth import SandboxAccount
from connectors.sandbox.store import Record, Store

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_BASE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EMAIL = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")
_ID_CHARS = (15, 18)
#: Metadata types of custom fields that can be made here, and what describe calls them.
CUSTOM_TYPES = {"Text": "string", "Checkbox": "boolean", "Number": "double", "Date": "date"}


class Refused(Exception):
    """The org refuses a whole request: HTTP status, error code and sentence."""

    def __init__(self, status: int, code: str, message: str, *, fields: Sequence[str] = ()) -> None:
        """Keep what the answer says."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.fields = list(fields)


@dataclass(frozen=True, slots=True)
class RowError:
    """Why the org refuses one record."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


def make_id(prefix: str, number: int) -> str:
    """Give an id of 18 characters: prefix, number, and the checksum of the capital letters."""
    # Source: https://help.salesforce.com/s/articleView?id=000385585 (2026-11-22)
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE[rest] + digits
    short = f"{prefix}bm0{digits:0>9}"
    return short + "".join(_checksum(short[start : start + 5]) for start in (0, 5, 10))


@lru_cache(maxsize=4_096)
def _checksum(part: str) -> str:
    return _DIGITS[sum(1 << i for i, c in enumerate(part) if c.isascii() and c.isupper())]


@lru_cache(maxsize=16)
def user_id(account: SandboxAccount) -> str:
    """Give the id of the user who connects this org."""
    return make_id("005", int(account.id[-5:], 36) % 100_000)


class Org:
    """One account's org; give it the store of the sandbox."""

    def __init__(self, store: Store, account: SandboxAccount) -> None:
        """Look at this account's part of the store."""
        self._store = store
        self._account = account
        # An Org lives for one request; fields are looked up once for all its rows.
        self._fields: dict[str, dict[str, SandboxField]] = {}

    # What there is.

    def object(self, name: str) -> SandboxObject:
        """Give an object; raises Refused with 404."""
        found = OBJECTS.get(name)
        if found is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        return found

    def fields(self, name: str) -> dict[str, SandboxField]:
        """Give the fields of an object that this user may see."""
        if name not in self._fields:
            visible = dict(self.object(name).by_name)
            visible.update((f.name, f) for f in self._custom(name) if self._may_see(name, f.name))
            self._fields[name] = visible
        return self._fields[name]

    def create_field(self, full_name: str, metadata: Mapping[str, Any]) -> str:
        """Make a custom field as the Tooling API does, and give its id; raises Refused."""
        entity, _, name = full_name.partition(".")
        # Custom fields of Task and Event are made on Activity, which both share.
        # Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/customobject.htm (2026-11-22)
        if entity not in {"Activity", *OBJECTS} - {"Task"} or not name.endswith("__c"):
            raise Refused(
                400, "INVALID_FIELD", f"Invalid FullName: {full_name}", fields=["FullName"]
            )
        if self._store.kept(self._kind, full_name):
            message = f"There is already a field named {name[:-3]} on {entity}."
            raise Refused(400, "DUPLICATE_DEVELOPER_NAME", message, fields=["DeveloperName"])
        kind = CUSTOM_TYPES.get(str(metadata.get("type")))
        if kind is None or not metadata.get("label"):
            raise Refused(400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]")
        if entity == "Activity" and metadata.get("unique"):
            message = "Activity custom fields cannot be unique"
            raise Refused(400, "FIELD_INTEGRITY_EXCEPTION", message, fields=["Metadata"])
        self._store.keep(self._kind, full_name, {**metadata, "kind": kind})
        for entity_name in ("Task",) if entity == "Activity" else (entity,):
            if metadata.get("externalId") and entity_name in OBJECTS:
                self._store.index(name)
        return make_id("00N", self._store.add("numbers", "record"))

    @property
    def _kind(self) -> str:
        return f"field:{self._account.id}"

    def _custom(self, object_name: str) -> list[SandboxField]:
        entity = "Activity" if object_name == "Task" else object_name
        made = []
        for full_name, metadata in self._store.all_kept(self._kind).items():
            owner, _, name = full_name.partition(".")
            if owner == entity:
                made.append(
                    SandboxField(
                        name=name,
                        label=str(metadata["label"]),
                        type=metadata["kind"],
                        length=int(metadata.get("length", 0)),
                        is_unique=bool(metadata.get("unique")),
                        is_external_id=bool(metadata.get("externalId")),
                    )
                )
        return made

    def _may_see(self, object_name: str, field_name: str) -> bool:
        """Say whether a permission set of this user opens the field; a new field is closed to all."""
        account = self._account.id
        permissions = self._store.find(
            account, "FieldPermissions", {"Field": f"{object_name}.{field_name}"}
        )
        mine = self._store.find(
            account, "PermissionSetAssignment", {"AssigneeId": user_id(self._account)}
        )
        sets = {record.fields.get("PermissionSetId") for record in mine}
        return any(
            p.fields.get("PermissionsEdit") and p.fields.get("ParentId") in sets
            for p in permissions
        )

    # Records.

    def row(self, record: Record) -> dict[str, Any]:
        """Give all fields of a record, the computed ones too."""
        made, changed = _stamp(record.created_at), _stamp(record.updated_at)
        row: dict[str, Any] = {
            **record.fields,
            "Id": record.id,
            "IsDeleted": False,
            "CreatedDate": made,
            "LastModifiedDate": changed,
            "SystemModstamp": changed,
        }
        found = OBJECTS[record.object]
        if record.object in {"Lead", "Contact"}:
            names = (record.fields.get("FirstName"), record.fields.get("LastName"))
            row["Name"] = " ".join(name for name in names if name)
        if record.object == "Lead":
            row.setdefault("IsConverted", False)
        if found.closed_statuses:
            status = record.fields.get("Status", record.fields.get("StageName"))
            row["IsClosed"] = status in found.closed_statuses
            row["IsWon"] = status == "Closed Won"
        return row

    def insert(self, name: str, fields: Mapping[str, Any]) -> str | RowError:
        """Create a record and give its id, or say why not."""
        problem = self._check(name, fields, current=None)
        if problem:
            return problem
        found = self.object(name)
        defaults = {f.name: f.default for f in found.defaulted}
        defaults["OwnerId"] = user_id(self._account)
        number = self._store.add("numbers", "record")
        whole = {**defaults, **{k: v for k, v in fields.items() if v is not None}}
        if name == "Case":
            whole["CaseNumber"] = f"{number:08d}"
        whole = self._closed(found, whole, None)
        record_id = make_id(found.prefix, number)
        self._store.insert(self._account.id, name, record_id, whole)
        return record_id

    def update(self, record: Record, fields: Mapping[str, Any]) -> str | RowError:
        """Change a record and give its id, or say why not."""
        problem = self._check(record.object, fields, current=record)
        if problem:
            return problem
        self._store.update(record, self._closed(self.object(record.object), fields, record))
        return record.id

    def get(self, name: str, record_id: str) -> Record | None:
        """Give a record of this org by its id of 15 or 18 characters."""
        if len(record_id) == _ID_CHARS[0]:
            record_id = next(
                (r.id for r in self._store.scan(self._account.id, name) if r.id[:15] == record_id),
                record_id,
            )
        return self._store.get(name, record_id, account=self._account.id)

    def by_field(self, name: str, field: str, values: Sequence[Any]) -> dict[Any, list[Record]]:
        """Give the records of this org by the value of a field; upper and lower case differ."""
        found: dict[Any, list[Record]] = {}
        for record in self._store.find_any(self._account.id, name, field, values):
            found.setdefault(record.fields[field], []).append(record)
        return found

    def _closed(
        self, found: SandboxObject, fields: Mapping[str, Any], record: Record | None
    ) -> dict[str, Any]:
        """Add the moment of closing when this write closes the record."""
        status = fields.get("Status")
        was_closed = record is not None and record.fields.get("Status") in found.closed_statuses
        moment = {"Task": "CompletedDateTime", "Case": "ClosedDate"}.get(found.name)
        if moment is None or status is None:
            return dict(fields)
        if status not in found.closed_statuses:
            return {**fields, moment: None}
        return dict(fields) if was_closed else {**fields, moment: _stamp(clock.seconds())}

    # Rules.

    def _check(
        self, name: str, fields: Mapping[str, Any], *, current: Record | None
    ) -> RowError | None:
        known = self.fields(name)
        for field_name, value in fields.items():
            field = known.get(field_name)
            if field is None:
                message = f"No such column '{field_name}' on sobject of type {name}"
                return RowError("INVALID_FIELD", message)
            if not (field.can_create if current is None else field.can_update):
                message = (
                    f"Unable to create/update fields: {field_name}. Please check the security "
                    "settings of this field and verify that it is read/write for your profile or "
                    "permission set."
                )
                return RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, (field_name,))
            problem = _check_value(field, value) or self._check_links(field, value)
            if problem:
                return problem
        return (
            _missing(known, fields, current)
            or self._duplicate(name, known, fields, current)
            or _broken_rule(name, fields)
        )

    def _check_links(self, field: SandboxField, value: Any) -> RowError | None:
        if field.type != "reference" or value is None or field.references == ("User",):
            return None
        text = str(value)
        targets = [n for n in field.references if OBJECTS[n].prefix == text[:3]]
        if len(text) not in _ID_CHARS or not targets:
            if field.references == ("PermissionSet",) and text.startswith("0PS"):
                return None
            message = f"{field.label}: id value of incorrect type: {text}"
            return RowError("MALFORMED_ID", message, (field.name,))
        if self.get(targets[0], text) is None:
            code = "INVALID_CROSS_REFERENCE_KEY"
            return RowError(code, "invalid cross reference id", (field.name,))
        return None

    def _duplicate(
        self,
        name: str,
        known: Mapping[str, SandboxField],
        fields: Mapping[str, Any],
        current: Record | None,
    ) -> RowError | None:
        for field_name, value in fields.items():
            if not known[field_name].is_unique or value is None:
                continue
            for other in self._store.find(self._account.id, name, {field_name: value}):
                if current is None or other.id != current.id:
                    message = (
                        f"duplicate value found: {field_name} duplicates value on record with "
                        f"id: {other.id}"
                    )
                    return RowError("DUPLICATE_VALUE", message)
        if name == "Contact" and current is None and fields.get("Email"):
            # The standard duplicate rule for contacts. Without a header that allows saving, its
            # alert is an error for API clients.
            # Source (2026-11-22):
            # https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_duplicaterules.htm
            same = {"Email": fields["Email"], "LastName": fields.get("LastName")}
            if self._store.find(self._account.id, "Contact", same):
                return RowError("DUPLICATES_DETECTED", "Use one of these records?")
        return None


def _missing(
    known: Mapping[str, SandboxField], fields: Mapping[str, Any], current: Record | None
) -> RowError | None:
    missing = [
        field.name
        for field in known.values()
        if field.is_required
        and (
            (field.name in fields and fields[field.name] in {None, ""})
            or (current is None and field.default is None and not fields.get(field.name))
        )
    ]
    if not missing:
        return None
    message = f"Required fields are missing: [{', '.join(missing)}]"
    return RowError("REQUIRED_FIELD_MISSING", message, tuple(missing))


def _broken_rule(name: str, fields: Mapping[str, Any]) -> RowError | None:
    """Apply the validation rule that this org's admin has made."""
    if name == "Lead" and str(fields.get("Company", "")).casefold() == "do not contact":
        message = "Companies on the do-not-contact list cannot become leads."
        return RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, ("Company",))
    return None


def _check_value(field: SandboxField, value: Any) -> RowError | None:
    if value is None:
        return None
    _check_type(field, value)
    text = str(value)
    if field.is_restricted and text not in field.values:
        message = f"{field.label}: bad value for restricted picklist field: {text}"
        return RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))
    if field.length and field.type != "reference" and len(text) > field.length:
        message = f"{field.label}: data value too large: {text} (max length={field.length})"
        return RowError("STRING_TOO_LONG", message, (field.name,))
    if field.type == "email" and not _EMAIL.match(text):
        message = f"{field.label}: invalid email address: {text}"
        return RowError("INVALID_EMAIL_ADDRESS", message, (field.name,))
    return None


def _check_type(field: SandboxField, value: Any) -> None:
    """Refuse the whole request, as the JSON reader does, when a value has the wrong type."""
    if field.type == "boolean":
        fits = isinstance(value, bool)
    elif field.type in {"int", "double", "currency"}:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif field.type in {"date", "datetime"}:
        fits = isinstance(value, str) and _is_date(value[:10])
    else:
        fits = isinstance(value, str | int | float)
    if not fits:
        seen = {"dict": "START_OBJECT", "list": "START_ARRAY"}.get(
            type(value).__name__, "VALUE_STRING"
        )
        message = (
            f"Cannot deserialize instance of {field.type} from {seen} value or request may be "
            "missing a required field at [line:1, column:1]"
        )
        raise Refused(400, "JSON_PARSER_ERROR", message)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _stamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
