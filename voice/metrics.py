"""What Prometheus sees of the voice service. Names are described in ``voice/README.md``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 6.0, 10.0)
_OWN_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """The figures of one service, in a registry of its own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        """Start all figures at zero."""
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "afterbeep_voice_calls",
            "Calls that ended, by the line that held them last and by how they ended",
            ("line", "outcome"),
            registry=self.registry,
        )
        self.live = Gauge(
            "afterbeep_voice_live_calls",
            "Calls whose socket this process holds",
            registry=self.registry,
        )
        self.first_audio = Histogram(
            "afterbeep_voice_first_audio_seconds",
            "From the end of the caller's speech to the first words sent back",
            ("line",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.own = Histogram(
            "afterbeep_voice_own_seconds",
            "The part of it that was spent in this process",
            ("line",),
            buckets=_OWN_SECONDS,
            registry=self.registry,
        )
        self.barge_ins = Counter(
            "afterbeep_voice_barge_ins",
            "Times that callers interrupted the agent",
            ("line",),
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "afterbeep_voice_fallbacks",
            "Times that something was done in another way than planned",
            ("what",),
            registry=self.registry,
        )
        self.refused = Counter(
            "afterbeep_voice_refused_requests",
            "Webhooks and sockets that were refused, by reason",
            ("reason",),
            registry=self.registry,
        )
        self.store_failures = Counter(
            "afterbeep_voice_store_failures",
            "Times that Redis could not be used",
            registry=self.registry,
        )
        self.outbox_depth = Gauge(
            "afterbeep_voice_outbox_depth",
            "Finished calls that the hub has not taken yet",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Give all figures in Prometheus' text format."""
        return generate_latest(self.registry)
