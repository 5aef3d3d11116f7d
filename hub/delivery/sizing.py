"""How many rows a call may take: as many as the vendor takes, and never more than we are ever granted at once."""

from __future__ import annotations

from connectors.interface import Connector, WritesInBulk
from connectors.record import Write
from hub.delivery.account import Line
from hub.delivery.claim import Head

#: Rows of a job that are asked for at once.
MOST_OF_A_JOB = 10_000


def worth_counting(vendor: Connector) -> int:
    """Give how many waiting rows make no difference any more."""
    return vendor.bulk_from + 1 if isinstance(vendor, WritesInBulk) else vendor.max_batch


def sample(object_name: str, count: int) -> list[Write]:
    """Give so many writes of different records, to ask what they would cost."""
    return [Write(key=f"{at}", object=object_name, fields={}) for at in range(count)]


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
        units > granted.get(name, units)
        for name, units in vendor.write_cost(sample(first.object, size)).items()
    ):
        size //= 2
    return size
