"""Errors named by their consequence: the class says what must happen next.

::

    ConnectorError
    ├── Throttled        the same rows later; no attempt is used
    ├── NotYet           this row later, for a reason of its own; no attempt is used
    ├── Unavailable      the same rows later, with growing delay
    ├── Rejected         this row is parked; a person must change something
    ├── Ambiguous        this row is parked with candidates; a person must choose
    ├── NeedsReconnect   the connection stops and keeps its rows; the tenant is told
    │   └── TokenExpired refresh once and try again; nothing was written
    ├── Uncertain        the request may have been carried out; ask before sending again
    └── ContractBroken   the answer is not what the documents say; park and alert

``detail`` is written for the person who reads it in the product. It never holds a token
or what a caller said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.record import Candidate


class ConnectorError(Exception):
    """Anything that kept a record from being written; the subclass says what to do."""

    def __init__(self, detail: str, *, code: str | None = None, status: int | None = None) -> None:
        """Keep the sentence for people, the vendor's own code and the HTTP status."""
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status


class Throttled(ConnectorError):
    """The vendor, or our own budget, says not now. Nothing was written."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: float,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        """Keep how long to wait, in seconds, before the same rows may be sent."""
        super().__init__(detail, code=code, status=status)
        self.retry_after_s = retry_after_s


class NotYet(ConnectorError):
    """This row later, for a reason of its own; nothing else has to wait, and no attempt is used.

    Quiet hours of the person who would be called, or a job that the vendor still works on: then ``job``
    names it, the row is never sent again, and ``WorksLater.poll`` asks what became of it.
    """

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: float,
        job: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        """Keep how long to wait, in seconds, and the vendor's job where there is one."""
        super().__init__(detail, code=code, status=status)
        self.retry_after_s = retry_after_s
        self.job = job


class Unavailable(ConnectorError):
    """The vendor cannot answer now and certainly wrote nothing."""


class Rejected(ConnectorError):
    """The vendor refused this record; sending it again would be refused again."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        """Keep the vendor's field name, where it names one."""
        super().__init__(detail, code=code, status=status)
        self.field = field


class Ambiguous(ConnectorError):
    """More than one existing record fits; a person has to choose."""

    def __init__(self, detail: str, *, candidates: Sequence[Candidate] = ()) -> None:
        """Keep the records to choose from."""
        super().__init__(detail)
        self.candidates = tuple(candidates)


class NeedsReconnect(ConnectorError):
    """The account no longer accepts our authorisation."""


class TokenExpired(NeedsReconnect):
    """The access token is no longer accepted, a refreshed one may be; nothing was written.

    Refresh once and call again. When the fresh token is refused too, it is a NeedsReconnect.
    """


class Uncertain(ConnectorError):
    """The request was sent and the answer was lost: it may or may not have been carried out.

    Nobody asks the vendor before ``ask_after_s`` seconds have gone by: until then a request that is still on
    its way could be carried out after the question was answered with "no such record".
    """

    def __init__(
        self,
        detail: str,
        *,
        ask_after_s: float = 0.0,
        code: str | None = None,
        status: int | None = None,
    ) -> None:
        """Keep how long, in seconds, the request may still be on its way."""
        super().__init__(detail, code=code, status=status)
        self.ask_after_s = ask_after_s


class ContractBroken(ConnectorError):
    """The vendor answered something that its documents do not describe."""
