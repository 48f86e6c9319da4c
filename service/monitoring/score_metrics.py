"""Score metrics: the distributions of the scores of eligible spectra, for Prometheus.

A request has hundreds of values, so they are counted with arrays and become samples only when the
metrics are scraped. Counts can be summed over pods; nothing here is an average.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from outcrop import Model, Scores, Spectra
from scoring.calibration import CLASSES
from scoring.drift import Drift, decile_counts

FLAGS = ("anomaly", "wmse_anomaly", "nof_anomaly")

SPECTYPES: tuple[str, ...] = (*CLASSES, "unknown")


def by_spectype(spectra: Spectra, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Return how many of the chosen spectra (N,) have each of the `SPECTYPES`."""
    total = int(np.count_nonzero(chosen))
    counts = dict.fromkeys(SPECTYPES, 0)
    if spectra.spectype is not None:
        given = spectra.spectype[chosen]
        counts |= {name: int(np.count_nonzero(given == name)) for name in CLASSES}
    return counts | {"unknown": total - sum(counts.values())}


@dataclass(eq=False)
class _Histogram:
    name: str
    meaning: str
    values: Callable[[Scores], NDArray[np.floating]]
    bounds: tuple[float, ...]
    total: float = 0.0
    counts: NDArray[np.int64] = field(init=False)
    _edges: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._edges = np.array(self.bounds, np.float64)
        self.counts = np.zeros(len(self.bounds) + 1, np.int64)

    def observe(self, scores: Scores, counted: NDArray[np.bool_]) -> None:
        values = self.values(scores)[counted].astype(np.float64)
        # A bucket includes its upper bound.
        bucket = np.searchsorted(self._edges, values, side="left")
        self.counts += np.bincount(bucket, minlength=len(self.counts))
        self.total += float(values.sum())

    def family(self) -> Metric:
        names = [*map(str, map(float, self.bounds)), "+Inf"]
        buckets = list(zip(names, np.cumsum(self.counts).tolist(), strict=True))
        return HistogramMetricFamily(self.name, self.meaning, buckets, self.total)


_Values = Callable[[Scores], NDArray[np.floating]]
_HISTOGRAMS: tuple[tuple[str, str, _Values, tuple[float, ...]], ...] = (
    (
        "outcrop_spectra_snr",
        "Median S/N of the rest-frame bins of eligible spectra.",
        lambda scores: scores.snr,
        (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200),
    ),
    (
        "outcrop_spectra_wmse",
        "wmse of eligible spectra; noise alone gives about 1.",
        lambda scores: scores.wmse,
        (0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 10, 30, 100),
    ),
    (
        "outcrop_spectra_nof",
        "NOF of eligible spectra; smaller is more anomalous, inliers have about -1. Its "
        "buckets are negative, so it has no sum and no count.",
        lambda scores: scores.nof,
        (-10, -5, -3, -2, -1.7, -1.5, -1.4, -1.3, -1.2, -1.15, -1.1, -1.05, -1, -0.95, -0.9),
    ),
    (
        "outcrop_spectra_p_value",
        "p_value of eligible spectra, within the class where it is given; uniform between 0 and 1 "
        "where all are inliers.",
        lambda scores: scores.p_value,
        (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
    ),
    (
        "outcrop_spectra_masked_ratio",
        "1 - coverage of eligible spectra: share of a spectrum's rest-frame bins with less "
        "than half their width on good pixels (not masked, ivar > 0, finite).",
        # Rounded, so that a coverage of 0.9 in float32 is not less than 0.9.
        lambda scores: np.round(1 - scores.coverage.astype(np.float64), 6),
        (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1),
    ),
)
"""Name, meaning, values and upper bounds of the buckets."""


class ScoreMetrics(Collector):
    """The metrics of eligible spectra of one service.

    Parameters
    ----------
    model : Model
    drift : Drift
    """

    def __init__(self, model: Model, drift: Drift) -> None:
        self._model = model
        self._drift = drift
        # Requests are counted in the threads that score them.
        self._lock = threading.Lock()
        self._histograms = [_Histogram(*definition) for definition in _HISTOGRAMS]
        self._flags = {flag: dict.fromkeys(SPECTYPES, 0) for flag in FLAGS}
        self._latents = np.zeros(drift.shares.shape, np.int64)

    def observe(self, spectra: Spectra, scores: Scores) -> None:
        """Count the eligible ones of some spectra, given their scores."""
        counted = scores.eligible
        flagged = {flag: by_spectype(spectra, counted & getattr(scores, flag)) for flag in FLAGS}
        with self._lock:
            for histogram in self._histograms:
                histogram.observe(scores, counted)
            for flag, counts in self._flags.items():
                for name, count in flagged[flag].items():
                    counts[name] += count
            self._latents += decile_counts(scores.latent[counted], self._drift.edges)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; prometheus-client calls this at each scrape."""
        with self._lock:
            families = [histogram.family() for histogram in self._histograms]
            anomalies = CounterMetricFamily(
                "outcrop_anomalies",
                "Eligible spectra with each flag, by class.",
                labels=["flag", "spectype"],
            )
            for flag, counts in self._flags.items():
                for name, count in counts.items():
                    anomalies.add_metric([flag, name], count)
            spectra = CounterMetricFamily(
                "outcrop_latent_spectra",
                "Eligible spectra in each decile of the training sample, for each latent.",
                labels=["version", "latent", "decile"],
            )
            self._fill(spectra, self._latents)

        reference = GaugeMetricFamily(
            "outcrop_latent_reference_ratio",
            "Share of the model's calibration sample in each decile, for each latent.",
            labels=["version", "latent", "decile"],
        )
        self._fill(reference, self._drift.shares)
        level = GaugeMetricFamily(
            "outcrop_p_level_ratio",
            "p_value below which an eligible spectrum is an anomaly: the share of inliers "
            "to be flagged.",
            labels=["version"],
        )
        level.add_metric([self._model.version], self._model.p_level)
        yield from (*families, anomalies, spectra, reference, level)

    def describe(self) -> Iterable[Metric]:
        """Return the same metrics; the registry checks that no name is used twice."""
        return self.collect()

    def _fill(
        self, family: CounterMetricFamily | GaugeMetricFamily, values: NDArray[np.generic]
    ) -> None:
        for latent, row in enumerate(values.tolist()):
            for decile, value in enumerate(row, start=1):
                family.add_metric([self._model.version, str(latent), str(decile)], value)
