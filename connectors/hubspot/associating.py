"""Associates records: what a mapping writes into fields such as ``association:contacts``.

Upsert takes no associations, so they are made by calls of their own, one for each pair of
objects, of HubSpot's default type. Making one again changes nothing, and none is ever taken away.
Source: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/associate-records/batch/create-associations
(2026-11-22)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from connectors.errors import ConnectorError, Rejected, Throttled, Unavailable, Uncertain
from connectors.hubspot import paths
from connectors.hubspot.calls import Answer, Refusal, attempt
from connectors.hubspot.objects import ASSOCIATION, KINDS
from connectors.hubspot.refusals import named_rows, row_refused
from connectors.record import JSON, Account, Field, RecordId

T = TypeVar("T")

_MAX_INPUTS = 1000
#: Calls that one batch may cost for each object with which it is associated.
_MAX_CALLS = 24


@dataclass(slots=True)
class Pair(Generic[T]):
    """Two records to associate, for one row; ``error`` says why that failed."""

    row: T
    one: str
    other: str
    error: ConnectorError | None = None


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
            Pair(row, record.id, other)
            for row, record, wanted in rows
            for other in wanted.get(target, ())
        ]
        for start in range(0, len(pairs), _MAX_INPUTS):
            part = pairs[start : start + _MAX_INPUTS]
            _associate(account, object_name, target, part)
            failed += [(pair.row, pair.error) for pair in part if pair.error is not None]
    return failed


def _associate(account: Account, object_name: str, target: str, pairs: Sequence[Pair[T]]) -> None:
    """Settle these pairs, the largest part first, within the calls that this may cost."""
    waiting, left, calls = [list(pairs)], list[Pair[T]](), 0
    while waiting:
        part = max(waiting, key=len)
        waiting.remove(part)
        if calls >= _MAX_CALLS:
            left += part
            continue
        calls += 1
        try:
            waiting += _once(account, object_name, target, part)
        except ConnectorError as err:
            for pair in part:
                pair.error = _again(err)
    out_of_calls = _out_of_calls(is_further=len(left) < len(pairs))
    for pair in left:
        pair.error = out_of_calls


def _once(
    account: Account, object_name: str, target: str, pairs: list[Pair[T]]
) -> list[list[Pair[T]]]:
    """Associate pairs in one call; give the parts that must be sent again."""
    made = attempt(
        account,
        "POST",
        paths.associate(object_name, target),
        body={"inputs": [{"from": {"id": p.one}, "to": {"id": p.other}} for p in pairs]},
        is_write=True,
    )
    if isinstance(made, Answer):
        errors = made.errors
        done = {(_id(result, "from"), _id(result, "to")) for result in made.results}
        rest = [pair for pair in pairs if (pair.one, pair.other) not in done] if errors else []
    elif isinstance(made.error, Rejected):
        errors, rest = [made.answer.body], list(pairs)
    else:
        raise made.error
    # One wrong id may make HubSpot refuse all of them. Those that it names are out, others tried again.
    named = [(pair, e) for e in errors for pair in rest if {pair.one, pair.other} & named_rows(e)]
    if len(pairs) == 1 and rest:
        named = [(pairs[0], errors[0])]
    for pair, error in named:
        pair.error = _again(row_refused(error, status=_status(made)), target=target)
    again = [pair for pair in rest if pair.error is None]
    if len(again) < len(pairs):
        return [again] if again else []
    middle = len(again) // 2
    return [again[:middle], again[middle:]]


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


def _out_of_calls(*, is_further: bool) -> ConnectorError:
    if is_further:
        text = "The record is written, and associated with the next batch."
        return Throttled(text, retry_after_s=1.0)
    # The same again would bring us no further either: that uses an attempt.
    return Unavailable("The record is written, but HubSpot refuses to associate the whole batch.")


def _status(made: Answer | Refusal) -> int:
    return made.status if isinstance(made, Answer) else made.answer.status


def _id(result: Mapping[str, Any], side: str) -> str:
    return str((result.get(side) or {}).get("id"))


def _ids(value: JSON) -> Iterable[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, Mapping):
        return []
    return [str(one) for one in value if one is not None]
