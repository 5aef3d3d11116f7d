"""What is read when somebody asks: name, meaning and labels of each gauge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Values by the values of a gauge's labels, in their order.
Rows = list[tuple[list[str], float]]
#: Rows by the name of their gauge.
Figures = dict[str, Rows]


@dataclass(frozen=True, slots=True)
class Gauge:
    """Something that is so much now."""

    name: str
    words: str
    labels: tuple[str, ...] = ()


_BY_LIMIT = ("connector", "connection", "limit")

DATABASE_UP = Gauge("database_up", "Whether the database answered, 1 or 0")
REDIS_UP = Gauge("redis_up", "Whether Redis answered, 1 or 0; without it all counters are missing")

DELIVERIES = Gauge(
    "deliveries",
    "Deliveries that are not at their end: held, waiting, sending or parked",
    ("connector", "object", "state"),
)
OLDEST_S = Gauge(
    "oldest_waiting_seconds",
    "How long the first delivery of a vendor has been due and is not done",
    ("connector",),
)
QUEUE_S = Gauge(
    "queue_age_seconds",
    "How long a connection's first delivery has been due and is not done, by lane (urgent, live, replay)",
    ("connector", "connection", "lane"),
)
VENDOR_JOBS = Gauge("vendor_jobs", "Jobs at vendors whose end is awaited", ("connector",))
VENDOR_JOB_ROWS = Gauge("vendor_job_deliveries", "Deliveries in these jobs", ("connector",))
CONNECTIONS = Gauge(
    "connections",
    "Connections by state (healthy, degraded, paused, needs_reconnect, disconnected)",
    ("connector", "state"),
)
CONNECTION_STATE = Gauge(
    "connection_state",
    "1 for the state that a connection is in",
    ("connector", "connection", "state"),
)
CONNECTION_INFO = Gauge(
    "connection_info",
    "1, with the tenant of a connection; only where AFTERBEEP_METRICS_TENANTS says so",
    ("connector", "connection", "tenant"),
)
HELD_BACK = Gauge(
    "connections_held_back", "Connections that wait after a failure of the vendor", ("connector",)
)
GRANTED = Gauge("budget_granted", "Units of a limit that are ours in its period", _BY_LIMIT)
USED = Gauge("budget_used", "Units of it that we have used", _BY_LIMIT)
REMAINING = Gauge("budget_remaining", "Units of it that are left now", _BY_LIMIT)
AFFORDABLE = Gauge(
    "budget_affordable_per_second",
    "Units of a day's limit that could be spent for a whole day on end",
    _BY_LIMIT,
)
RECENT = Gauge(
    "budget_recent_per_second", "Units of a day's limit spent lately (15 to 30 minutes)", _BY_LIMIT
)
BLOCKED_S = Gauge("budget_blocked_seconds", "How long the vendor still wants no calls", _BY_LIMIT)
REPLAYS = Gauge("replays", "Replays under way, by state (counting, running, cancelled)", ("state",))
REPLAY_ROWS = Gauge(
    "replay_deliveries",
    "Deliveries of replays under way: counted at first, marked so far, open (waiting or sending)",
    ("stage",),
)
TO_ASK = Gauge(
    "records_to_ask_about",
    "Records whose vendor is to be asked what became of them",
    ("connector",),
)
SUBSCRIPTIONS = Gauge(
    "subscriptions", "Webhooks of ours at vendors, by state (held, failing)", ("connector", "state")
)
ALERTS_WAITING = Gauge(
    "alert_sendings_waiting", "Alerts that are still to be sent, by channel", ("channel",)
)
SWEEP_AGE_S = Gauge("sweep_age_seconds", "Since the last round of the sweep ended")
WORKERS = Gauge(
    "workers", "Processes that deliver, by whether they are at a job (busy, idle)", ("state",)
)
JOBS_WAITING = Gauge("queue_jobs", "Jobs that wait for a worker, by queue", ("queue",))
JOBS_OLDEST_S = Gauge(
    "queue_oldest_job_seconds", "How long the first of them has waited", ("queue",)
)
JOBS_FAILED = Gauge("queue_failed_jobs", "Jobs that failed within the last hour", ("queue",))

GAUGES: Sequence[Gauge] = (
    DATABASE_UP, REDIS_UP, DELIVERIES, OLDEST_S, QUEUE_S, VENDOR_JOBS, VENDOR_JOB_ROWS, CONNECTIONS, CONNECTION_STATE,
    CONNECTION_INFO, HELD_BACK, GRANTED, USED, REMAINING, AFFORDABLE, RECENT, BLOCKED_S, REPLAYS, REPLAY_ROWS, TO_ASK,
    SUBSCRIPTIONS, ALERTS_WAITING, SWEEP_AGE_S, WORKERS, JOBS_WAITING, JOBS_OLDEST_S, JOBS_FAILED,
)  # fmt: skip
