"""Figures of a service, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from retrain_cli.serving.service_pool import PhotoAnswer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class ServiceMetrics:
    """What is counted; each service has its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "retrain_requests", "Requests, by what they asked for.",
            ("route", "status"), registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "retrain_request_seconds", "Seconds from a request's first byte to the answer's last.",
            ("route",), registry=self._registry, buckets=_SECONDS,
        )  # fmt: skip
        self._photos = Counter(
            "retrain_photos", "Photos, by what they came to: good, rejected or bad.",
            ("outcome",), registry=self._registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "retrain_photos_in_service", "Photos that wait or are worked on.",
            registry=self._registry,
        )  # fmt: skip
        self._models = Counter(
            "retrain_models_loaded", "Models that were loaded since the start.",
            registry=self._registry,
        )  # fmt: skip
        self._version = Gauge(
            "retrain_model_version", "Version of the model that answers.",
            ("name",), registry=self._registry,
        )  # fmt: skip

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Note a request that is over."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_photos(self, answers: Sequence[PhotoAnswer]) -> None:
        """Note photos that are through."""
        for one in answers:
            outcome = "bad" if one.error else "rejected" if one.rejected else "good"
            self._photos.labels(outcome).inc()

    def note_model(self, name: str, version: int) -> None:
        """Note the model that answers from now on."""
        self._models.inc()
        self._version.labels(name).set(version)

    def text(self, in_service: int) -> bytes:
        """All of it, as Prometheus reads it."""
        self._waiting.set(in_service)
        return generate_latest(self._registry)
