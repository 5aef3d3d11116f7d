"""What is counted: name, meaning and labels of each counter and histogram, in one place.

Labels are few by nature (states, classes of errors) or bounded (``kept``); none names a tenant or a person. A metric is
called ``afterbeep_`` and its name here, and a counter ends in ``_total``.
"""

from __future__ import annotations

from dataclasses import dataclass

_PARTS_OF_A_SECOND = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 1_000.0, 10_000.0)
_CALLS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_WAIT_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Counter:
    """Something that only grows."""

    name: str
    words: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Sizes or times, by how many were at most each of the bounds."""

    name: str
    words: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]


EVENTS = Counter(
    "events", "Events posted, by what became of them, and bucket", ("status", "bucket")
)
ACCEPT_S = Histogram(
    "event_accept_seconds",
    "From a checked event, or batch of events, to its commit",
    ("mode",),
    _PARTS_OF_A_SECOND,
)
HTTP_S = Histogram(
    "http_request_duration_seconds",
    "HTTP requests by method, route and status",
    ("method", "route", "status"),
    _PARTS_OF_A_SECOND,
)
SETTLED = Counter(
    "deliveries_settled",
    "Deliveries that came to rest after a try: delivered or parked",
    ("connector", "object", "state"),
)
DELIVERED_S = Histogram(
    "delivery_seconds",
    "From a delivery's row to its record at the vendor, replays left out",
    ("connector", "lane"),
    _WAIT_S,
)
ATTEMPTS = Counter(
    "attempts", "Tries to write a delivery, by how they ended", ("connector", "outcome")
)
REFUSALS = Counter(
    "refusals",
    "Deliveries that were not written, by the class of the error, and whether the vendor or our own budget said no",
    ("connector", "error", "by"),
)
BATCH_ROWS = Histogram("batch_rows", "Deliveries in a batch", ("connector", "object"), _ROWS)
BATCH_CALLS = Histogram(
    "batch_calls", "API calls that a batch took, look-ups included", ("connector", "object"), _CALLS
)
BATCH_S = Histogram(
    "batch_seconds", "From claiming a batch to its settling", ("connector",), _CALL_S
)
CALL_S = Histogram(
    "vendor_call_seconds",
    "Vendors' answers by status (2xx, 3xx, 4xx, 429, 5xx), whoever asked",
    ("connector", "status"),
    _CALL_S,
)
API_UNITS = Counter(
    "api_calls",
    "Units of a vendor's limits that were spent, by whoever calls",
    ("connector", "limit"),
)
BACK_OFFS = Counter(
    "back_offs",
    "Times that a whole connection was held back after a failure",
    ("connector", "error"),
)
TAKEN_BACK = Counter(
    "deliveries_taken_back", "Deliveries taken back from a worker that died", ("connector",)
)
TURNS_REFUSED = Counter(
    "turns_refused",
    "Drains that were put off because the vendor holds its share of the workers",
    ("connector",),
)
TOKENS = Counter(
    "token_refreshes",
    "Access tokens: refreshed, deferred (the token server failed) or refused (the authorisation is gone)",
    ("connector", "result"),
)
OUTCOMES = Counter(
    "outcomes",
    "What became of records (touched, closed, reopened, failed), and how we know",
    ("connector", "kind", "source", "success"),
)
ALERTS = Counter("alerts", "Alerts that were written, by type", ("type",))
ALERT_TRIES = Counter(
    "alert_tries",
    "Tries to send an alert, by what it became: sent, waiting (for another try) or failed",
    ("channel", "state"),
)
REPORTS = Counter(
    "webhooks_in",
    "Vendors' reports: taken, refused (not the vendor's), unknown (no such address) or failed",
    ("connector", "result"),
)
SWEEPS = Histogram("sweep_seconds", "Rounds of the sweep", (), _PARTS_OF_A_SECOND)
SWEEP_WAKES = Counter("sweep_wakes", "Connections that the sweep found with something to do", ())
JOBS = Counter("jobs", "Jobs that workers did, by whether they ended well", ("job", "result"))

COUNTERS: tuple[Counter, ...] = (
    EVENTS, SETTLED, ATTEMPTS, REFUSALS, API_UNITS, BACK_OFFS, TAKEN_BACK, TURNS_REFUSED, TOKENS, OUTCOMES, ALERTS,
    ALERT_TRIES, REPORTS, SWEEP_WAKES, JOBS,
)  # fmt: skip
HISTOGRAMS: tuple[Histogram, ...] = (
    ACCEPT_S, HTTP_S, DELIVERED_S, BATCH_ROWS, BATCH_CALLS, BATCH_S, CALL_S, SWEEPS,
)  # fmt: skip
