"""Sets an org up: the key field on each object that we write, and the user's right to use it.

A field that was made through an API is closed to everybody until a profile or permission set opens it.
Making both takes the rights "Customize Application" and "Manage Profiles and Permission Sets"; where
the connected user lacks them, an admin gets the steps instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import Rejected
from connectors.record import Account, Todo
from connectors.salesforce import soql
from connectors.salesforce.calls import Calls
from connectors.salesforce.lookup import KEY_FIELD

#: The objects that voicemails become.
OBJECTS = ("Lead", "Contact", "Task", "Case")
#: Custom fields of Task (and Event) are made on Activity. That an Activity field can be unique is not
#: documented, so we ask for it and are content with an external id: one connection writes at a time.
_MADE_ON = {"Task": "Activity"}
_PERMISSION_SET = "Afterbeep"
_LENGTH = 64


def prepare(calls: Calls, account: Account) -> list[Todo]:
    """Make what is missing; list what a person must do. Doing it again changes nothing."""
    missing = [name for name in OBJECTS if not _is_ready(calls, name)]
    if not missing:
        return []
    refused: dict[str, str] = {}
    for name in missing:
        try:
            _make_field(calls, name)
        except Rejected as err:
            refused[name] = err.detail
    try:
        _open_fields(calls, account, [name for name in missing if name not in refused])
    except Rejected as err:
        refused.update(dict.fromkeys(missing, err.detail))
    return [
        Todo(f"Create the key field on {name}", how=_steps(name, refused.get(name)))
        for name in missing
        if not _is_ready(calls, name)
    ]


def _is_ready(calls: Calls, object_name: str) -> bool:
    """Say whether we can upsert by our key. The field is not described to users who may not see it."""
    try:
        answer = calls.get(f"sobjects/{object_name}/describe")
    except Rejected:
        # The org has no such object, or the user may not see it: nothing to write to.
        return True
    fields = answer.get("fields") if isinstance(answer, Mapping) else None
    return any(
        field.get("name") == KEY_FIELD and field.get("externalId") and field.get("createable")
        for field in fields or []
    )


def _make_field(calls: Calls, object_name: str) -> None:
    """Make the field through the Tooling API; one that is there already is left as it is."""
    # Source (2026-11-22):
    # https://developer.salesforce.com/docs/atlas.en-us.api_tooling.meta/api_tooling/tooling_api_objects_customfield.htm
    metadata: dict[str, Any] = {
        "type": "Text",
        "label": "Afterbeep Key",
        "length": _LENGTH,
        "externalId": True,
        "unique": True,
        "caseSensitive": True,
        "description": "Keeps Afterbeep from writing the same voicemail twice. Do not change.",
    }
    entity = _MADE_ON.get(object_name, object_name)
    body = {"FullName": f"{entity}.{KEY_FIELD}", "Metadata": metadata}
    try:
        calls.write("POST", "tooling/sobjects/CustomField", body)
    except Rejected as err:
        if err.code == "DUPLICATE_DEVELOPER_NAME":
            return
        if entity == object_name or err.code != "FIELD_INTEGRITY_EXCEPTION":
            raise
        plain = {k: v for k, v in metadata.items() if k not in {"unique", "caseSensitive"}}
        calls.write("POST", "tooling/sobjects/CustomField", {**body, "Metadata": plain})


def _open_fields(calls: Calls, account: Account, objects: Sequence[str]) -> None:
    """Let the connected user read and edit the fields, through a permission set of our own."""
    if not objects:
        return
    set_id = _permission_set(calls)
    user_id = _user_id(calls, account)
    records: list[dict[str, Any]] = [
        {
            "attributes": {"type": "FieldPermissions"},
            "ParentId": set_id,
            "SobjectType": name,
            "Field": f"{name}.{KEY_FIELD}",
            "PermissionsRead": True,
            "PermissionsEdit": True,
        }
        for name in objects
    ]
    records.append(
        {
            "attributes": {"type": "PermissionSetAssignment"},
            "PermissionSetId": set_id,
            "AssigneeId": user_id,
        }
    )
    # What is there already is refused row by row as a duplicate, which is as good.
    calls.write("POST", "composite/sobjects", {"allOrNone": False, "records": records})


def _permission_set(calls: Calls) -> str:
    where = soql.any_of("Name", [_PERMISSION_SET])
    for row in calls.query(soql.select("PermissionSet", ["Id"], where)):
        return str(row["Id"])
    body = {"Name": _PERMISSION_SET, "Label": "Afterbeep"}
    return str(calls.write("POST", "sobjects/PermissionSet", body)["id"])


def _user_id(calls: Calls, account: Account) -> str:
    """Give the connected user's id, which ends the identity URL of the token answer."""
    # Source: https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_using_openid.htm (2026-11-22)
    identity = account.settings.get("id")
    if isinstance(identity, str) and "/005" in identity:
        return identity.rstrip("/").rpartition("/")[2]
    return str(calls.user()["user_id"])


def _steps(object_name: str, reason: str | None) -> str:
    where = "Activity" if object_name in _MADE_ON else object_name
    unique = "" if object_name in _MADE_ON else "Do not allow duplicate values, case sensitive; "
    because = f" We could not do it: {reason}" if reason else ""
    return (
        f"Setup > Object Manager > {where} > Fields & Relationships > New. Text, label "
        f"Afterbeep Key, name Afterbeep_Key, length {_LENGTH}, {unique}External ID on. On the next "
        "page make it visible and editable for the profile of the user who connected, then check "
        f"this connection again.{because}"
    )
