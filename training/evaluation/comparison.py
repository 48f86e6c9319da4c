"""Comparison: several scores on the same injected spectra and inliers.

All scores share the same bootstrap resamples, so a difference or ratio of two of them can be
resampled too. A comparison may be narrowed to a range of S/N: recall then keeps the thresholds of
the whole sample, because a flag is raised at one threshold, while ranking metrics use the spectra
in the range alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import metrics
from .results import BetterBaseline, DetectionMetrics, MissedRatio

LEVEL = 0.01
"""False-positive rate of recall, and the prevalence of average precision."""
RANK = 100
ALL = "all"
"""All kinds pooled."""
MACRO = "macro"
"""Mean over the kinds of which there are any."""

_RESAMPLES = 300
_SEED = 0

Rates = dict[str, NDArray[np.float64]]
Resampled = dict[str, NDArray[np.float64]]
"""A metric by kind, (B,) each; row 0 is the estimate, the others are resamples."""


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Scores of N spectra of which it is known what was injected in them.

    Attributes
    ----------
    kind : (N,) str
        Empty for inliers.
    names : sequence of str
        The kinds that are compared, controls left out.
    strength : (N,) float64
        NaN where unknown.
    bright : (N,) bool
        The inliers that set the thresholds.
    scores : mapping of str to (N,) float64
        Anomaly scores; larger is more anomalous. ``p_value`` must be among them.
    """

    kind: NDArray[np.str_]
    names: Sequence[str]
    strength: NDArray[np.float64]
    bright: NDArray[np.bool_]
    scores: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All metrics of all scores; made by `of`.

    Attributes
    ----------
    spectra : LabelledScores
    inlier, injected : (n,), (P,) int64
        Rows that take part.
    threshold_rates, ranking_rates : dict of (B, P)
        By score, the false-positive rates of the injected spectra on all resamples: among the
        inliers that set the thresholds, and among those that take part.
    members : dict of int64 arrays
        By kind, positions among the injected rows.
    drawn : dict of (B, n) int64
        Their resamples, and those of all kinds pooled.
    """

    spectra: LabelledScores
    inlier: NDArray[np.intp]
    injected: NDArray[np.intp]
    threshold_rates: Rates
    ranking_rates: Rates
    members: dict[str, NDArray[np.intp]]
    drawn: dict[str, NDArray[np.intp]]

    @staticmethod
    def of(spectra: LabelledScores) -> "Comparison":
        """Compare all scores on all spectra."""
        inlier = np.flatnonzero(spectra.bright)
        injected = np.flatnonzero(np.isin(spectra.kind, spectra.names))
        rng = np.random.default_rng(_SEED)
        rates = _rates(spectra, inlier, injected, rng)
        members, drawn = _draw(spectra, injected, rng)
        return Comparison(spectra, inlier, injected, rates, rates, members, drawn)

    def within(self, inside: NDArray[np.bool_]) -> "Comparison":
        """Compare the chosen spectra (N,) alone, at the thresholds of all."""
        inlier = np.flatnonzero(inside & (self.spectra.kind == ""))
        kept = inside[self.injected]
        injected = self.injected[kept]
        rng = np.random.default_rng(_SEED)
        threshold_rates = {name: rates[:, kept] for name, rates in self.threshold_rates.items()}
        ranking_rates = _rates(self.spectra, inlier, injected, rng)
        members, drawn = _draw(self.spectra, injected, rng)
        return Comparison(
            self.spectra, inlier, injected, threshold_rates, ranking_rates, members, drawn
        )

    def result(self) -> DetectionMetrics:
        """Return estimates and 95 % intervals by metric, score and kind."""
        found: dict[str, Any] = {
            "n_inlier": len(self.inlier),
            "n_injected": {name: len(members) for name, members in self.members.items()},
        }
        for score in self.spectra.scores:
            resampled = {
                "recall_at_1pct": self.recall(score),
                "strength_at_half_recall": self.strength_at_half_recall(score),
                **self.ranking(score),
            }
            for metric, by_kind in resampled.items():
                found.setdefault(metric, {})[score] = {
                    kind: rows[0] for kind, rows in by_kind.items()
                }
                found.setdefault(f"{metric}_interval", {})[score] = {
                    kind: metrics.interval(rows) for kind, rows in by_kind.items()
                }
        return DetectionMetrics(**found)

    def recall(self, score: str) -> Resampled:
        """Return the recall of a score at its threshold."""
        return self._with_macro(
            {
                name: metrics.recall(self._drawn(self.threshold_rates[score], name), LEVEL)
                for name in self.drawn
            }
        )

    def strength_at_half_recall(self, score: str) -> Resampled:
        """Return the strength at which a score finds half of a kind.

        Strengths of different kinds are different quantities: none is pooled, there is no mean.
        """
        strength = self.spectra.strength[self.injected]
        return {
            name: metrics.strength_at_half_recall(
                strength[self.drawn[name]],
                metrics.found(self._drawn(self.threshold_rates[score], name), LEVEL),
            )
            for name in self.members
        }

    def ranking(self, score: str) -> dict[str, Resampled]:
        """Return the metrics of a score that have no threshold, by name."""
        values = self.spectra.scores[score]
        inlier, injected = values[self.inlier], values[self.injected]
        auroc: Resampled = {}
        average_precision: Resampled = {}
        precision: Resampled = {}

        for name, drawn in self.drawn.items():
            rates = self._drawn(self.ranking_rates[score], name)
            of_kind = injected[drawn[0]]

            auroc[name] = metrics.resampled_auroc(rates)
            auroc[name][0] = metrics.auroc(inlier, of_kind)
            average_precision[name] = metrics.resampled_average_precision(rates, LEVEL)
            average_precision[name][0] = metrics.average_precision(inlier, of_kind, LEVEL)
            precision[name] = metrics.precision_at(rates, len(inlier), RANK)

        return {
            "auroc": self._with_macro(auroc),
            "auprc_at_1pct_prevalence": self._with_macro(average_precision),
            "precision_at_100": self._with_macro(precision),
        }

    def better_baselines(self, baselines: Sequence[str]) -> list[BetterBaseline]:
        """Return, for each kind of which some baseline finds more than p_value, the best one."""
        is_found = {
            score: metrics.found(self.threshold_rates[score][0], LEVEL)
            for score in ("p_value", *baselines)
        }
        better: list[BetterBaseline] = []
        for name, members in self.members.items():
            ours = is_found["p_value"][members]
            best = max(is_found, key=lambda score: int(is_found[score][members].sum()))
            theirs = is_found[best][members]
            if theirs.sum() <= ours.sum():
                continue

            only_theirs, only_ours = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
            better.append(
                BetterBaseline(
                    kind=name,
                    score=best,
                    recall=theirs.mean(),
                    recall_of_p_value=ours.mean(),
                    chance=metrics.chance_of_difference(only_theirs, only_ours),
                )
            )
        return better

    def missed_ratio(self, reference: str) -> MissedRatio:
        """Return the macro share that p_value misses over the share that a reference misses."""
        missed = {score: 1 - self.recall(score)[MACRO] for score in ("p_value", reference)}
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = missed["p_value"] / missed[reference]
        return MissedRatio(score=reference, ratio=ratio[0], interval=metrics.interval(ratio))

    def _drawn(self, rates: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """Return the rates (B, n) of a kind's resampled members."""
        return rates[np.arange(len(rates))[:, None], self.drawn[name]]

    def _with_macro(self, by_kind: Resampled) -> Resampled:
        each = [by_kind[name] for name, members in self.members.items() if len(members)]
        nothing = np.full(1 + _RESAMPLES, np.nan)
        return by_kind | {MACRO: np.mean(each, axis=0) if each else nothing}


def _rates(
    spectra: LabelledScores,
    inlier: NDArray[np.intp],
    injected: NDArray[np.intp],
    rng: np.random.Generator,
) -> Rates:
    counts = metrics.inlier_resamples(len(inlier), _RESAMPLES, rng)
    return {
        name: metrics.false_positive_rates(values[inlier], values[injected], counts)
        for name, values in spectra.scores.items()
    }


def _draw(
    spectra: LabelledScores, injected: NDArray[np.intp], rng: np.random.Generator
) -> tuple[dict[str, NDArray[np.intp]], dict[str, NDArray[np.intp]]]:
    kind = spectra.kind[injected]
    members = {name: np.flatnonzero(kind == name) for name in spectra.names}
    drawn = {
        name: rows[metrics.injected_resamples(len(rows), _RESAMPLES, rng)]
        for name, rows in members.items()
    }
    nothing = np.empty((1 + _RESAMPLES, 0), np.intp)
    return members, drawn | {ALL: np.concatenate([nothing, *drawn.values()], axis=1)}
