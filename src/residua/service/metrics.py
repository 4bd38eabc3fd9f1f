"""Figures of the running service, as Prometheus reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from residua.service.models import ServedModels

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Quantiles of the calibration scores that bound the bins of the scores, beside the threshold.
_BIN_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


class Metrics:
    """Counts what the service does; thread-safe.

    Parameters
    ----------
    models : ServedModels
    waiting, in_flight, bytes_held : callable
        Return pictures queued, pictures not answered yet, and bytes held.
    """

    def __init__(
        self,
        models: ServedModels,
        *,
        waiting: Callable[[], int],
        in_flight: Callable[[], int],
        bytes_held: Callable[[], int],
    ) -> None:
        self._registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self._registry}
        self.requests = Counter(
            "residua_requests", "Requests answered.", ("method", "route", "status"), **new
        )
        self.seconds = Histogram(
            "residua_request_seconds", "From the first byte to the answer.", ("route",),
            buckets=_SECONDS, **new,
        )  # fmt: skip
        self.problems = Counter(
            "residua_problems", "Requests and pictures that came to nothing, by kind.", ("kind",),
            **new,
        )  # fmt: skip
        self.verdicts = Counter(
            "residua_verdicts", "Pictures scored, by verdict.", ("model", "verdict"), **new
        )
        self.wait_seconds = Histogram(
            "residua_queue_seconds", "Longest wait in a batch for its turn.", buckets=_SECONDS,
            **new,
        )  # fmt: skip
        self.compute_seconds = Histogram(
            "residua_compute_seconds", "Computing one batch.", buckets=_SECONDS, **new
        )
        self.batch_pictures = Histogram(
            "residua_batch_pictures", "Pictures of a batch.", buckets=_BATCHES, **new
        )
        self.kept = Counter("residua_kept", "Pictures kept for review.", **new)
        self.not_kept = Counter(
            "residua_not_kept", "Pictures that should have been kept and could not be.", **new
        )
        self.reviews = Counter("residua_reviews", "Judgements of persons.", ("correct",), **new)
        self.reloads = Counter(
            "residua_reloads", "Bundles found altered on disk.", ("model", "outcome"), **new
        )
        for name, text, read in (
            ("residua_queue_pictures", "Pictures whose turn has not come.", waiting),
            ("residua_pictures_in_flight", "Pictures taken in, not answered yet.", in_flight),
            ("residua_bytes_in_flight", "Bytes of bodies held.", bytes_held),
        ):
            Gauge(name, text, **new).set_function(read)
        self.scores = ScoreHistograms(models)
        self._registry.register(self.scores)
        self._registry.register(_ModelState(models))

    def batch(self, pictures: int, waited: float, computed: float) -> None:
        """Count a batch; see `residua.service.batching.Batcher`."""
        self.batch_pictures.observe(pictures)
        self.wait_seconds.observe(waited)
        self.compute_seconds.observe(computed)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)


class ScoreHistograms(Collector):
    """The scores of each model, in bins bounded by quantiles of its calibration scores.

    Parameters
    ----------
    models : ServedModels
    """

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._bins: dict[tuple[str, str], tuple[NDArray[np.float64], NDArray[np.int64]]] = {}

    def observe(
        self,
        model: str,
        revision: str,
        scores: Iterable[float],
        calibration_scores: NDArray[np.float64],
        threshold: float,
    ) -> None:
        """Count scores of the revision of a model that is served; those of others are left out."""
        values = np.fromiter(scores, np.float64)
        key = model, revision
        with self._lock:
            # Requests of the old revision end after the first ones of the new: with bins for both
            # in turn each would drop the other's counts.
            if self._models[model].revision != revision:
                return
            if key not in self._bins:
                for stale in [one for one in self._bins if one[0] == model]:
                    del self._bins[stale]
                bounds = np.quantile(calibration_scores, _BIN_QUANTILES)
                bounds = np.unique(np.append(bounds, threshold))
                self._bins[key] = bounds, np.zeros(bounds.size + 1, np.int64)
            bounds, counts = self._bins[key]
            counts += np.bincount(np.searchsorted(bounds, values), minlength=counts.size)

    def collect(self) -> Iterator[Metric]:
        """Yield the histograms."""
        family = HistogramMetricFamily(
            "residua_score", "Anomaly scores.", labels=("model", "revision")
        )
        with self._lock:
            for (model, revision), (bounds, counts) in self._bins.items():
                below = np.cumsum(counts).tolist()
                names = [*(f"{bound:.12g}" for bound in bounds), "+Inf"]
                # Scores may be negative, so that their sum is no counter.
                family.add_metric(
                    [model, revision], list(zip(names, below, strict=True)), sum_value=None
                )
        yield family


class _ModelState(Collector):
    """What each model is now, read when Prometheus asks."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        info, threshold, fresh, distance, p, alarm = (
            GaugeMetricFamily(name, text, labels=labels)
            for name, text, labels in (
                ("residua_model_info", "1 for the revision served.", ("model", "revision")),
                ("residua_threshold", "Scores above are anomalous.", ("model",)),
                ("residua_model_fresh", "0: the bundle on disk cannot be used.", ("model",)),
                ("residua_drift_distance", "Kolmogorov-Smirnov distance.", ("model",)),
                ("residua_drift_p_value", "Of the latest look for drift.", ("model",)),
                ("residua_drift_alarm", "1: the scores have drifted.", ("model",)),
            )
        )
        for model in self._models:
            drift = model.drift
            info.add_metric([model.name, model.revision], 1)
            threshold.add_metric([model.name], model.manifest.threshold.upper)
            fresh.add_metric([model.name], float(self._models.failure(model.name) is None))
            alarm.add_metric([model.name], float(drift.alarm))
            for family, value in ((distance, drift.distance), (p, drift.p_value)):
                if value is not None:
                    family.add_metric([model.name], value)
        yield from (info, threshold, fresh, distance, p, alarm)
