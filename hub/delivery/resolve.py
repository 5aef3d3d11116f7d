"""Which records exist already: those of lost answers, and the person's own.

A row whose answer was lost is looked up by its key. A row with match keys is a person's: their
record is the one that somebody chose, or that we remember, or that the vendor finds by the first
way of matching that has an answer. More than one record parks the row for a person to choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from connectors.errors import Ambiguous, ContractBroken, Rejected
from connectors.interface import FindsOneByOne
from connectors.record import JSON, Candidate, Found, Lookup
from connectors.registry import connector
from hub.context import Hub
from hub.db.connections import RecordLink
from hub.delivery.account import Line
from hub.delivery.build import NEW_RECORD, Batch, Draft


def resolve(hub: Hub, line: Line, batch: Batch) -> None:
    """Find what exists, in at most two look-ups; raises the connector's errors for the whole batch."""
    _find_lost(line, batch)
    _use_links(hub, line, batch.drafts)
    _match(line, batch)
    _keep_apart(batch)


def _find_lost(line: Line, batch: Batch) -> None:
    """Ask the vendor about rows whose last answer was lost; what is found needs no second write."""
    lost = [draft for draft in batch.drafts if draft.row.is_uncertain and draft.record_id is None]
    if not lost:
        return
    vendor = connector(line.connection.connector)
    if isinstance(vendor, FindsOneByOne):
        # All at once they could cost more than a minute's budget, and then none would ever be found.
        batch.later += [draft.row.id for draft in lost[vendor.max_lost :]]
        batch.drafts = [draft for draft in batch.drafts if draft.row.id not in batch.later]
        lost = lost[: vendor.max_lost]
    lookups = [
        Lookup(object=draft.row.object, key=draft.row.key, fields=draft.rendered.fields)
        for draft in lost
    ]
    for draft, found in zip(lost, _ask(line, lookups), strict=True):
        if len(found.candidates) == 1 and draft.row.waits_for:
            # It is there, but whether it hangs on its other records is not known: update it in full.
            draft.record_id = found.candidates[0].record.id
        elif len(found.candidates) == 1:
            batch.found[draft.row.id] = found.candidates[0].record
        elif found.candidates:
            batch.failed[draft.row.id] = ContractBroken(
                f"{len(found.candidates)} records carry the same key; there must be one."
            )
    _drop_decided(batch)


def _drop_decided(batch: Batch) -> None:
    decided = batch.found.keys() | batch.failed.keys()
    batch.drafts = [draft for draft in batch.drafts if draft.row.id not in decided]


def _use_links(hub: Hub, line: Line, drafts: Sequence[Draft]) -> None:
    """Take the records that we remember for these people."""
    open_drafts = [
        draft
        for draft in drafts
        if draft.match_hashes and draft.record_id is None and draft.row.chosen_record_id is None
    ]
    if not open_drafts:
        return
    with hub.tenant(line.connection.tenant_id) as session:
        found = session.execute(
            select(RecordLink.match_hash, RecordLink.record_id).where(
                RecordLink.connection_id == line.connection.id,
                RecordLink.object == open_drafts[0].row.object,
                RecordLink.match_hash.in_(
                    {one for draft in open_drafts for one in draft.match_hashes}
                ),
            )
        ).all()
    remembered = {row.match_hash: row.record_id for row in found}
    for draft in open_drafts:
        known = (remembered[one] for one in draft.match_hashes if one in remembered)
        draft.record_id = next(known, None)
        draft.is_from_memory = draft.record_id is not None


def _match(line: Line, batch: Batch) -> None:
    """Ask the vendor, once for the whole batch, for people's records and for values not to overwrite."""
    asked: list[tuple[Draft, Lookup]] = [
        (draft, lookup) for draft in batch.drafts for lookup in _lookups(draft)
    ]
    if not asked:
        return
    try:
        answers = _ask(line, [lookup for _, lookup in asked])
    except Rejected as err:
        # One mapping's bad question must not park the rows of the others.
        answers = _ask_apart(line, batch, asked, err)
    by_row: dict[str, list[Sequence[Candidate]]] = {}
    for (draft, _), found in zip(asked, answers, strict=True):
        by_row.setdefault(draft.row.id, []).append(found.candidates)
    for draft in batch.drafts:
        if draft.row.id in by_row and draft.row.id not in batch.failed:
            _take(batch, draft, by_row[draft.row.id])
    _drop_decided(batch)


def _ask_apart(
    line: Line, batch: Batch, asked: Sequence[tuple[Draft, Lookup]], refused: Rejected
) -> Sequence[Found]:
    """Ask again for each set of fields by itself; rows whose question is refused then fail alone."""
    shapes: dict[tuple[str, ...], list[int]] = {}
    for place, (_, lookup) in enumerate(asked):
        shapes.setdefault((*sorted(lookup.by), "", *lookup.read), []).append(place)
    answers = [Found()] * len(asked)
    for places in shapes.values():
        try:
            if len(shapes) == 1:
                raise refused
            found = _ask(line, [asked[place][1] for place in places])
        except Rejected as err:
            batch.failed |= {asked[place][0].row.id: err for place in places}
        else:
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
    return answers


def _lookups(draft: Draft) -> list[Lookup]:
    """Give what to ask about one draft: every way of matching, and what stands under its own key.

    The key is asked for where something may be there already that must not be overwritten: a replayed row's record,
    though its match field was changed at the vendor since.
    """
    is_known = draft.record_id is not None
    if is_known and not draft.asks_before_writing:
        return []
    if not is_known and draft.row.chosen_record_id == NEW_RECORD:
        return []
    read = tuple(name for name, mode in draft.rendered.update_modes.items() if mode == "if_empty")
    asked = [Lookup(object=draft.row.object, by=way, read=read) for way in draft.rendered.matches]
    if _asks_for_key(draft):
        fields = draft.rendered.fields
        asked.append(Lookup(object=draft.row.object, key=draft.row.key, read=read, fields=fields))
    return asked


def _asks_for_key(draft: Draft) -> bool:
    if draft.record_id is not None:
        return draft.row.record_id is not None or not draft.rendered.matches
    return bool(draft.rendered.update_modes) and not draft.is_first


def _take(batch: Batch, draft: Draft, ways: Sequence[Sequence[Candidate]]) -> None:
    """Decide by the answers which record is meant; the one under the draft's own key comes last among them."""
    own = ways[-1] if _asks_for_key(draft) else ()
    if draft.record_id is not None:
        draft.existing = _values_of(draft.record_id, ways)
        is_chosen = draft.row.chosen_record_id is not None
        is_written = draft.row.record_id is not None and not own
        if draft.existing is None and not is_chosen and is_written:
            return  # it was written before; should it be gone, the vendor says so and it is looked for anew
        if draft.existing is not None or is_chosen:
            draft.is_from_memory = False
            return
        draft.record_id = None  # it no longer matches, or is gone: judge by what is there now
    draft.is_from_memory = False
    candidates = own if len(own) == 1 else next((found for found in ways if found), ())
    if len(candidates) == 1:
        draft.record_id, draft.existing = candidates[0].record.id, candidates[0].values
    elif candidates:
        batch.failed[draft.row.id] = Ambiguous(
            f"{len(candidates)} existing records match. Choose the right one.",
            candidates=candidates,
        )


def _values_of(record_id: str, ways: Sequence[Sequence[Candidate]]) -> Mapping[str, JSON] | None:
    return next((one.values for found in ways for one in found if one.record.id == record_id), None)


def _keep_apart(batch: Batch) -> None:
    """Let only the first of several rows for one person, or one record, into the batch."""
    taken: set[str] = set()
    kept: list[Draft] = []
    for draft in batch.drafts:
        marks = {*draft.match_hashes, *([draft.record_id] if draft.record_id else [])}
        if marks & taken:
            batch.later.append(draft.row.id)
            continue
        taken |= marks
        kept.append(draft)
    batch.drafts = kept


def _ask(line: Line, lookups: Sequence[Lookup]) -> Sequence[Found]:
    found = connector(line.connection.connector)
    answers = line.call(lambda account: found.find(account, lookups))
    if len(answers) != len(lookups):
        raise ContractBroken(f"{len(lookups)} lookups were asked and {len(answers)} answered.")
    return answers
