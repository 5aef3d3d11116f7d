"""Finds records: by our key where Zendesk reads its own tables, by other values with a search.

A list by ``external_id`` sees what was written a moment ago; a search sees it up to a few minutes later.
Source: https://developer.zendesk.com/api-reference/ticketing/ticket-management/search/ (2026-11-22)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import Rejected
from connectors.record import JSON, Account, Candidate, Found, Lookup, RecordId
from connectors.zendesk.calls import call
from connectors.zendesk.objects import KEY, LABELS, PATHS, TICKET, USER, label_of, value_of
from connectors.zendesk.phones import is_same, spellings

Hit = Mapping[str, Any]

MAX_READ = 100
#: Values that share one search: the address of a call has its bounds.
_SHARED = 12
_PAGE, _MAX_PAGES = 100, 5
#: From so many keys of tickets on, the jobs of the last hour are looked through first.
_MANY = 4
#: What a search calls a field.
#: Source: https://support.zendesk.com/hc/en-us/articles/4408886879258 (2026-11-22)
_WORDS = {
    "requester_id": "requester",
    "assignee_id": "assignee",
    "group_id": "group",
    "organization_id": "organization",
    "type": "ticket_type",
}


def find(account: Account, lookups: Sequence[Lookup]) -> list[Found]:
    """Answer every lookup; answer i belongs to lookup i."""
    hits: list[list[Hit]] = [[] for _ in lookups]
    for object_name in dict.fromkeys(one.object for one in lookups):
        if object_name not in PATHS:
            raise Rejected(f'Zendesk is not asked for "{object_name}".')
        keyed = [i for i, one in enumerate(lookups) if one.object == object_name and _key(one)]
        keys = [_key(lookups[i]) for i in keyed]
        for i, own in zip(keyed, by_key(account, object_name, keys), strict=True):
            hits[i] = own
        rest = [i for i, one in enumerate(lookups) if one.object == object_name and not _key(one)]
        for i, own in zip(
            rest, _by_values(account, object_name, [lookups[i] for i in rest]), strict=True
        ):
            hits[i] = own
    return [
        Found(tuple(_candidate(lookup, hit) for hit in own))
        for lookup, own in zip(lookups, hits, strict=True)
    ]


def by_key(account: Account, object_name: str, keys: Sequence[str]) -> list[list[Hit]]:
    """Give the records that carry each of these keys; most have one, or none."""
    if object_name == USER:
        listed = _show(account, object_name, keys, by="external_ids")
        return [[hit for hit in listed if _same(hit.get(KEY), key)] for key in keys]
    known = _made_by_jobs(account, set(keys)) if len(set(keys)) >= _MANY else {}
    for key in dict.fromkeys(keys):
        if key not in known:
            answer = call(account, "GET", "/tickets", params={KEY: key})
            known[key] = [one for one in answer.listed("tickets") if one.get(KEY) == key]
    return [known[key] for key in keys]


def show(account: Account, object_name: str, ids: Sequence[str], *, include: str = "") -> list[Hit]:
    """Read records by their ids, a hundred a call; those that are gone are left out."""
    numbers = [one for one in dict.fromkeys(ids) if one.isdecimal()]
    return _show(account, object_name, numbers, by="ids", include=include)


def users_with_email(account: Account, email: str) -> list[Hit]:
    """Give the users who have this e-mail address, as their first or another one."""
    if not email:
        return []
    answer = call(account, "GET", "/users/search", params={"query": f"email:{_quoted(email)}"})
    return answer.listed("users")


def _key(lookup: Lookup) -> str:
    """Give the key that a lookup asks for; "" when it asks for something else."""
    if lookup.key is not None:
        return lookup.key
    own = lookup.by.get(KEY) if len(lookup.by) == 1 else None
    return str(own) if own else ""


def _show(
    account: Account, object_name: str, values: Sequence[str], *, by: str, include: str = ""
) -> list[Hit]:
    name, found = PATHS[object_name], list[Hit]()
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), MAX_READ):
        params = {by: ",".join(wanted[start : start + MAX_READ])}
        if include:
            params["include"] = include
        found += call(account, "GET", f"/{name}/show_many", params=params).listed(name)
    return found


def _made_by_jobs(account: Account, keys: set[str]) -> dict[str, list[Hit]]:
    """Find tickets among those that the jobs of the last hour have made: few calls for many keys.

    What is found is there; what is not found may be there all the same.
    """
    ids: list[str] = []
    for job in call(account, "GET", "/job_statuses").listed("job_statuses"):
        results = job.get("results")
        rows = results if isinstance(results, list) else []
        ids += [str(row["id"]) for row in rows if isinstance(row, Mapping) and _is_new(row)]
    # A busy account's jobs would cost more than they save.
    found: dict[str, list[Hit]] = {}
    for hit in show(account, TICKET, ids[: len(keys) * MAX_READ // 10]):
        if hit.get(KEY) in keys:
            found.setdefault(str(hit[KEY]), []).append(hit)
    return found


def _is_new(row: Mapping[str, Any]) -> bool:
    """Say whether a job's row is a record that it made: changes name an action, refusals an error."""
    return isinstance(row.get("id"), int) and not row.get("error") and "index" in row


def _by_values(account: Account, object_name: str, lookups: Sequence[Lookup]) -> list[list[Hit]]:
    hits: dict[str, Hit] = {}
    numbers = [str(one.by["id"]) for one in lookups if set(one.by) == {"id"}]
    for hit in show(account, object_name, numbers) if numbers else []:
        hits[str(hit.get("id"))] = hit
    for query in _queries(object_name, lookups):
        hits.update({str(hit.get("id")): hit for hit in _search(account, query)})
    return [[hit for hit in hits.values() if _fits(one, hit)] for one in lookups]


def _queries(object_name: str, lookups: Sequence[Lookup]) -> Iterator[str]:
    """Give the searches to make: lookups by one and the same field share them."""
    kind = f"type:{LABELS[object_name].lower()}"
    shared: dict[str, list[str]] = {}
    for lookup in lookups:
        if set(lookup.by) == {"id"} or any(
            value is None or value == "" for value in lookup.by.values()
        ):
            continue
        if len(lookup.by) == 1:
            ((name, value),) = lookup.by.items()
            shared.setdefault(name, []).extend(_ways(name, value))
        else:
            parts = [_part(name, str(value)) for name, value in lookup.by.items()]
            yield " ".join([kind, *parts])
    for name, values in shared.items():
        ways = list(dict.fromkeys(values))
        for start in range(0, len(ways), _SHARED):
            # A property that stands several times is searched for any of its values.
            parts = [_part(name, way) for way in ways[start : start + _SHARED]]
            yield " ".join([kind, *parts])


def _ways(name: str, value: JSON) -> list[str]:
    return spellings(str(value)) if name == "phone" else [str(value)]


def _part(name: str, value: str) -> str:
    word = _WORDS.get(name, name)
    if name.startswith("custom_fields."):
        word = f"custom_field_{name.removeprefix('custom_fields.')}"
    elif name.startswith("user_fields."):
        word = name.removeprefix("user_fields.")
    return f"{word}:{_quoted(value)}"


def _quoted(value: str) -> str:
    """Give a value as one phrase of a search: what would end the phrase is left out."""
    return '"' + " ".join(value.replace("\\", " ").replace('"', " ").split()) + '"'


def _search(account: Account, query: str) -> list[Hit]:
    found: list[Hit] = []
    for page in range(1, _MAX_PAGES + 1):
        params = {"query": query, "per_page": str(_PAGE), "page": str(page)}
        answer = call(account, "GET", "/search", params=params)
        found += answer.listed("results")
        if not answer.body.get("next_page"):
            break
    return found


def _fits(lookup: Lookup, hit: Hit) -> bool:
    """Say whether a record really has the values: a search also gives what is only alike."""
    if not lookup.by or any(value is None or value == "" for value in lookup.by.values()):
        return False
    for name, value in lookup.by.items():
        kept = value_of(hit, name)
        if name == "phone":
            if not kept or not is_same(str(value), str(kept)):
                return False
        elif not _same(kept, value):
            return False
    return True


def _same(kept: object, asked: object) -> bool:
    if isinstance(kept, str) or isinstance(asked, str):
        return str(kept).casefold() == str(asked).casefold()
    return kept == asked


def _candidate(lookup: Lookup, hit: Hit) -> Candidate:
    record = RecordId(lookup.object, str(hit.get("id")))
    values = {name: value_of(hit, name) for name in lookup.read}
    return Candidate(record, label_of(lookup.object, hit), values)
