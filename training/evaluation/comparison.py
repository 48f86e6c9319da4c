"""Comparison: several scores on the same injected and inliers.

All scores meet the same bootstrap resamples, so a difference or ratio of two of them can be
resampled too. A comparison may be narrowed to a range of S/N: recall is then still told at the
thresholds of all, because a flag is raised at one threshold, while ranking metrics look at the
spectra in the range alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import metrics

LEVEL = 0.01
"""False-positive rate at which recall is told, and the prevalence of average precision."""
RANK = 100
ALL = "all"
"""All kinds pooled."""
MACRO = "macro"
"""Mean over the kinds of which there are any."""
RECALL = "recall_at_1pct"
STRENGTH = "strength_at_half_recall"

_RESAMPLES = 300

_SEED = 0

Rates = dict[str, NDArray[np.float64]]
Curves = dict[str, dict[str, NDArray[np.float64]]]


@dataclass(frozen=True, eq=False)
class Labelled:
    """N spectra of which it is known what was injected in them.

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
        Anomaly score; larger is more anomalous. ``p_value`` must be among them.
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
    spectra : Labelled
    inlier, injected : (n,), (P,) int64
        Rows that take part.
    against, here : dict of (B, P)
        By score, the false-positive rates of the injected spectra on all resamples: against the
        spectra that set the thresholds, and against those that take part.
    members : dict of int64 arrays
        By kind, places among the injected rows.
    drawn : dict of (B, n) int64
        Their resamples, and those of all kinds pooled.
    """

    spectra: Labelled
    inlier: NDArray[np.intp]
    injected: NDArray[np.intp]
    against: Rates
    here: Rates
    members: dict[str, NDArray[np.intp]]
    drawn: dict[str, NDArray[np.intp]]

    @staticmethod
    def of(spectra: Labelled) -> "Comparison":
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
        against = {name: rates[:, kept] for name, rates in self.against.items()}
        here = _rates(self.spectra, inlier, injected, rng)
        members, drawn = _draw(self.spectra, injected, rng)
        return Comparison(self.spectra, inlier, injected, against, here, members, drawn)

    def curves(self, score: str) -> Curves:
        """Return the metrics of a score by kind, each on all resamples (B,), row 0 the data."""
        against, here = self.against[score], self.here[score]
        strength = self.spectra.strength[self.injected]
        curves: Curves = {
            RECALL: {},
            "auroc": {},
            "auprc_at_1pct_prevalence": {},
            "precision_at_100": {},
        }
        halves: dict[str, NDArray[np.float64]] = {}
        resample = np.arange(len(against))[:, None]
        inlier = len(self.inlier)
        for name, drawn in self.drawn.items():
            rates = against[resample, drawn]
            curves[RECALL][name] = metrics.recall(rates, LEVEL)
            if name != ALL:
                is_found = metrics.found(rates, LEVEL)
                halves[name] = metrics.strength_at_half_recall(strength[drawn], is_found)
            rates = here[resample, drawn]
            curves["auroc"][name] = metrics.auroc(rates)
            curves["auprc_at_1pct_prevalence"][name] = metrics.auprc(rates, LEVEL)
            curves["precision_at_100"][name] = metrics.precision_at(rates, inlier, RANK)
        for by_kind in curves.values():
            each = [by_kind[name] for name, members in self.members.items() if len(members)]
            by_kind[MACRO] = np.mean(each, axis=0) if each else np.full(len(against), np.nan)
        # Strengths of different kinds are different things: no mean, nothing pooled.
        return curves | {STRENGTH: halves}

    def result(self) -> dict[str, Any]:
        """Return estimates and 95 % intervals by metric, score and kind."""
        result: dict[str, Any] = {
            "n_inlier": len(self.inlier),
            "n_injected": {name: len(members) for name, members in self.members.items()},
        }
        for score in self.spectra.scores:
            for metric, by_kind in self.curves(score).items():
                result.setdefault(metric, {})[score] = {
                    kind: rows[0] for kind, rows in by_kind.items()
                }
                result.setdefault(f"{metric}_interval", {})[score] = {
                    kind: metrics.interval(rows) for kind, rows in by_kind.items()
                }
        return result

    def better(self, rivals: Sequence[str]) -> list[dict[str, Any]]:
        """Return, for each kind where one finds more than p_value does, the best rival.

        ``chance`` is the probability of such a difference between equally good scores.
        """
        is_found = {
            score: metrics.found(self.against[score][0], LEVEL) for score in ("p_value", *rivals)
        }
        winners: list[dict[str, Any]] = []
        for name, members in self.members.items():
            ours = is_found["p_value"][members]
            best = max(is_found, key=lambda score: int(is_found[score][members].sum()))
            theirs = is_found[best][members]
            if theirs.sum() > ours.sum():
                only_theirs, only_ours = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
                winners.append(
                    {
                        "kind": name,
                        "score": best,
                        "recall": theirs.mean(),
                        "recall_of_p_value": ours.mean(),
                        "chance": metrics.chance_of_difference(only_theirs, only_ours),
                    }
                )
        return winners

    def missed_ratio(self, rival: str) -> dict[str, Any]:
        """Return the macro share that p_value misses over the share that a rival misses."""
        missed = {score: 1 - self.curves(score)[RECALL][MACRO] for score in ("p_value", rival)}
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = missed["p_value"] / missed[rival]
        return {"score": rival, "ratio": ratio[0], "interval": metrics.interval(ratio)}


def _rates(
    spectra: Labelled,
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
    spectra: Labelled, injected: NDArray[np.intp], rng: np.random.Generator
) -> tuple[dict[str, NDArray[np.intp]], dict[str, NDArray[np.intp]]]:
    kind = spectra.kind[injected]
    members = {name: np.flatnonzero(kind == name) for name in spectra.names}
    drawn = {
        name: rows[metrics.injected_resamples(len(rows), _RESAMPLES, rng)]
        for name, rows in members.items()
    }
    nothing = np.empty((1 + _RESAMPLES, 0), np.intp)
    return members, drawn | {ALL: np.concatenate([nothing, *drawn.values()], axis=1)}
