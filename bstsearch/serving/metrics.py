"""What a server tells of itself at /metrics, as Prometheus reads it (no torch)."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from bstsearch.environment import metrics_folder

STAGES = ("receive", "queue", "decode", "load", "model", "reply")
# From a fifth of a millisecond to the longest deadline, each double the one before.
BUCKETS = tuple(0.0002 * 2**power for power in range(19))
OUTCOMES = ("in time", "late", "refused", "given up", "invalid", "left", "failed")
IN_TIME, LATE, REFUSED, GIVEN_UP, INVALID, LEFT, FAILED = OUTCOMES


class Metrics:
    """Counts of one server, or of all its processes where they share a folder."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = own = CollectorRegistry()
        self._requests = Counter("bstsearch_requests", "Requests for an answer.", ["outcome"], registry=own)
        self._answers = Counter("bstsearch_answers", "Answers of each submodel.", ["submodel"], registry=own)
        self._stages = Histogram(
            "bstsearch_stage_seconds", "Seconds of requests in each stage.", ["stage"], registry=own, buckets=BUCKETS
        )
        # Of several processes, the sum or the largest is told.
        self._waiting = Gauge("bstsearch_waiting", "Requests that wait.", registry=own, multiprocess_mode="livesum")
        self._resident = Gauge(
            "bstsearch_resident_bytes", "Bytes of submodels in memory.", registry=own, multiprocess_mode="livesum"
        )
        self._expected = Gauge(
            "bstsearch_expected_seconds",
            "What a submodel's model is expected to take.",
            ["submodel"],
            registry=own,
            multiprocess_mode="livemax",
        )
        for outcome in OUTCOMES:
            self._requests.labels(outcome)

    def count(self, outcome: str) -> None:
        """A request has ended so."""
        self._requests.labels(outcome).inc()

    def answered(self, submodel: str, expected_s: float) -> None:
        """A submodel has answered, and is expected to take so long the next time."""
        self._answers.labels(submodel).inc()
        self._expected.labels(submodel).set(expected_s)

    def took(self, stages: Mapping[str, float]) -> None:
        """A request was so many seconds in each of these stages."""
        for stage, seconds in stages.items():
            self._stages.labels(stage).observe(seconds)

    def holds(self, *, waiting: int, resident_bytes: int) -> None:
        """So many requests wait at the moment, and the submodels in memory take so much."""
        self._waiting.set(waiting)
        self._resident.set(resident_bytes)

    def text(self) -> bytes:
        """What Prometheus reads."""
        registry = self.registry
        if metrics_folder() is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
