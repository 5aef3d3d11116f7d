"""Associates records: what a mapping writes into fields such as ``association:contacts``.

Upsert takes no associations, so they are made by calls of their own, one for each pair of
objects, of HubSpot's default type. Making one again changes nothing, and none is ever taken away.
Source: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/associate-records/batch/create-associations
(2026-11-22)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from connectors.errors import ConnectorError, Rejected, Throttled, Unavailable, Uncertain
from connectors.hubspot import paths
from connectors.hubspot.calls import Answer, attempt
from connectors.hubspot.objects import ASSOCIATION, KINDS
from connectors.hubspot.refusals import named_rows, row_refused
from connectors.record import JSON, Account, Field, RecordId

T = TypeVar("T")

_MAX_INPUTS = 1000


def association_fields(object_name: str) -> list[Field]:
    """Give the reserved fields by which a mapping associates records of this object."""
    kind = KINDS.get(object_name)
    return [
        Field(
            name=f"{ASSOCIATION}{target}",
            label=f"Associated {KINDS[target].label.lower()}",
            type="reference",
            references=(target,),
            can_match=False,
            help="The id of the record to associate with; use id_of for a record of this mapping.",
        )
        for target in (kind.targets if kind else ())
    ]


def split_fields(
    object_name: str, fields: Mapping[str, JSON]
) -> tuple[dict[str, JSON], dict[str, tuple[str, ...]], Rejected | None]:
    """Part a write's fields into properties and associations (object to record ids).

    The third is the refusal of an association that HubSpot does not know.
    """
    plain: dict[str, JSON] = {}
    associations: dict[str, tuple[str, ...]] = {}
    refusal: Rejected | None = None
    kind = KINDS.get(object_name)
    for name, value in fields.items():
        if not name.startswith(ASSOCIATION):
            plain[name] = value
            continue
        target = name.removeprefix(ASSOCIATION)
        if kind is not None and target not in kind.targets:
            known = ", ".join(f"{ASSOCIATION}{one}" for one in kind.targets)
            refusal = Rejected(
                f'{kind.label} has no field "{name}". There are: {known}.', field=name
            )
        ids = tuple(_ids(value))
        if ids:
            associations[target] = ids
    return plain, associations, refusal


def associate(
    account: Account,
    object_name: str,
    rows: Sequence[tuple[T, RecordId, Mapping[str, tuple[str, ...]]]],
) -> list[tuple[T, ConnectorError]]:
    """Make all associations of these rows; give the rows for which that failed, and why.

    The records themselves are written by then. An error that may pass asks for the whole row again.
    """
    failed: list[tuple[T, ConnectorError]] = []
    targets = dict.fromkeys(target for _, _, wanted in rows for target in wanted)
    for target in targets:
        pairs = [
            (row, record.id, other)
            for row, record, wanted in rows
            for other in wanted.get(target, ())
        ]
        for start in range(0, len(pairs), _MAX_INPUTS):
            failed += _associate(account, object_name, target, pairs[start : start + _MAX_INPUTS])
    return failed


def _associate(
    account: Account, object_name: str, target: str, pairs: Sequence[tuple[T, str, str]]
) -> list[tuple[T, ConnectorError]]:
    inputs = [{"from": {"id": one}, "to": {"id": other}} for _, one, other in pairs]
    try:
        made = attempt(
            account,
            "POST",
            paths.associate(object_name, target),
            body={"inputs": inputs},
            is_write=True,
        )
    except ConnectorError as err:
        return [(row, _again(err)) for row, _, _ in pairs]
    if isinstance(made, Answer):
        return _refused_pairs(target, pairs, made)
    if isinstance(made.error, Rejected) and len(pairs) > 1:
        # One wrong id makes HubSpot refuse all of them; each is then tried for itself.
        middle = len(pairs) // 2
        return [
            *_associate(account, object_name, target, pairs[:middle]),
            *_associate(account, object_name, target, pairs[middle:]),
        ]
    return [(row, _again(made.error, target=target)) for row, _, _ in pairs]


def _refused_pairs(
    target: str, pairs: Sequence[tuple[T, str, str]], answer: Answer
) -> list[tuple[T, ConnectorError]]:
    if not answer.errors:
        return []
    done = {
        (str(result.get("from", {}).get("id")), str(result.get("to", {}).get("id")))
        for result in answer.results
    }
    failed: list[tuple[T, ConnectorError]] = []
    for row, one, other in pairs:
        if (one, other) in done:
            continue
        errors = [e for e in answer.errors if {one, other} & named_rows(e)] or answer.errors
        failed.append((row, _again(row_refused(errors[0]), target=target)))
    return failed


def _again(error: ConnectorError, *, target: str = "") -> ConnectorError:
    """Give an error after which the whole row is written again, unless that would not help."""
    if isinstance(error, Uncertain | Unavailable):
        return Unavailable(
            "The record is written, but HubSpot did not say whether it is associated.",
            code=error.code,
            status=error.status,
        )
    if isinstance(error, Rejected):
        return Rejected(
            f"The record is written, but HubSpot refused to associate it: {error.detail}",
            field=f"{ASSOCIATION}{target}",
            code=error.code,
            status=error.status,
        )
    if isinstance(error, Throttled):
        return Throttled(
            f"The record is written, but not associated yet. {error.detail}",
            retry_after_s=error.retry_after_s,
            code=error.code,
            status=error.status,
        )
    return error


def _ids(value: JSON) -> Iterable[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, Mapping):
        return []
    return [str(one) for one in value if one is not None]
