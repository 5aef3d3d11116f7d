"""How many rows a call may take: as many as the vendor takes, and never more than we are ever granted at once."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.interface import Connector, WritesInBulk
from connectors.record import Write
from hub.delivery.account import Line
from hub.delivery.claim import Head

#: Rows of a job that are asked for at once.
MOST_OF_A_JOB = 10_000


def worth_counting(vendor: Connector) -> int:
    """Give how many waiting rows make no difference any more."""
    return vendor.bulk_from + 1 if isinstance(vendor, WritesInBulk) else vendor.max_batch


def cost(vendor: Connector, object_name: str, count: int) -> Mapping[str, int]:
    """Give the units of each limit that writing so many different records in one batch would cost."""
    # Each with a key of its own: writes of one key are one record.
    sample = [Write(key=f"{at}", object=object_name, fields={}) for at in range(count)]
    return vendor.write_cost(sample)


def is_full_price(vendor: Connector, object_name: str, count: int) -> bool:
    """Tell whether a call for ``count`` records costs as much as a full one: more may then ride for free."""
    full = cost(vendor, object_name, vendor.max_batch)
    return cost(vendor, object_name, min(count, vendor.max_batch)) == full


def batch_size(line: Line, vendor: Connector, first: Head) -> int:
    """Give how many rows the next call may take: very many where that has a cheaper way and nobody waits urgently.

    A call whose units are more than our part of a limit would be refused for ever, however long it waits.
    """
    if first.job is not None:
        return MOST_OF_A_JOB
    if isinstance(vendor, WritesInBulk) and first.count > vendor.bulk_from and not first.is_urgent:
        return vendor.max_bulk
    size = vendor.max_batch
    granted = line.granted()
    while size > 1 and any(
        units > granted.get(name, units) for name, units in cost(vendor, first.object, size).items()
    ):
        size //= 2
    return size
