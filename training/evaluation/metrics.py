"""Metrics: how well a score separates injected spectra from inliers, and how certain that is.

Everything here follows from the scores alone. The false-positive rate of an injected spectrum is
the share of inliers that are more anomalous; the spectrum is found at 1 % if its rate is at most
1 %. Intervals come from the bootstrap (Efron 1979), inliers and injected spectra resampled apart;
row 0 of every resample is the sample itself. Areas are scikit-learn's for the sample itself, and
computed from the rates for all resamples at once, where scikit-learn would take most of an hour.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

_NEWTON_STEPS = 25
# Precision of a normal prior on the slope per standard deviation of log strength: where found and
# missed do not overlap the slope would run away, and this stops it well beyond any that is seen.
_SLOPE_PRIOR = 0.01


def inlier_resamples(size: int, resamples: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return how often each of `size` spectra occurs, (1 + resamples, size); row 0 is all ones."""
    counts = np.ones((1 + resamples, size), np.int32)
    for row in counts[1:]:
        row[:] = np.bincount(rng.integers(0, size, size), minlength=size)
    return counts


def injected_resamples(size: int, resamples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which of `size` spectra are drawn, (1 + resamples, size); row 0 is all of them."""
    drawn = rng.integers(0, max(size, 1), (1 + resamples, size))
    drawn[0] = np.arange(size)
    return drawn


def false_positive_rates(
    inlier: NDArray[np.floating], injected: NDArray[np.floating], counts: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return the share of inliers more anomalous than each injected one, ties half.

    Parameters
    ----------
    inlier : (n,)
        Anomaly score; larger is more anomalous.
    injected : (P,)
    counts : (B, n)
        How often each inlier counts.

    Returns
    -------
    (B, P) float64
        NaN without inliers.
    """
    if len(inlier) == 0:
        return np.full((len(counts), len(injected)), np.nan)
    order = np.argsort(inlier, kind="stable")
    below = np.zeros((len(counts), len(inlier) + 1), np.int32)
    np.cumsum(np.take(counts, order, axis=1), axis=1, out=below[:, 1:])
    first = np.searchsorted(inlier[order], injected, side="left")
    last = np.searchsorted(inlier[order], injected, side="right")
    return 1 - (below[:, first] + below[:, last]) / (2 * below[:, -1:])


def found(rates: NDArray[np.float64], level: float = 0.01) -> NDArray[np.bool_]:
    """Return which injected spectra lie above the (1 − level) quantile of the inliers."""
    return rates <= level * (1 + 1e-9)


def recall(rates: NDArray[np.float64], level: float = 0.01) -> NDArray[np.float64]:
    """Return the share (B,) of injected spectra (B, P) found at a false-positive rate."""
    if rates.shape[1] == 0:
        return np.full(len(rates), np.nan)
    return found(rates, level).mean(axis=1)


def recall_at(
    injected: NDArray[np.floating], inlier: NDArray[np.floating], level: float = 0.01
) -> float:
    """Return the share of injected spectra found at a false-positive rate, from their scores.

    Examples
    --------
    >>> import numpy as np
    >>> from training.evaluation.metrics import recall_at
    >>> recall_at(np.array([0.5, 98.5, 200.0]), np.arange(100.0))
    0.6666666666666666
    """
    once = np.ones((1, len(inlier)), np.int32)
    return float(recall(false_positive_rates(inlier, injected, once), level)[0])


def auroc(inlier: NDArray[np.floating], injected: NDArray[np.floating]) -> float:
    """Return the area under the receiver operating characteristic, NaN without either sort.

    Chance gives 0.5.
    """
    if 0 in (len(inlier), len(injected)):
        return float("nan")
    return float(roc_auc_score(*_labelled(inlier, injected)))


def average_precision(
    inlier: NDArray[np.floating], injected: NDArray[np.floating], prevalence: float = 0.01
) -> float:
    """Return the average precision if injected spectra were this share of all.

    Chance gives the prevalence; NaN without either sort.
    """
    if 0 in (len(inlier), len(injected)):
        return float("nan")
    label, scores = _labelled(inlier, injected)
    weight = np.where(label, prevalence / len(injected), (1 - prevalence) / len(inlier))
    return float(average_precision_score(label, scores, sample_weight=weight))


def _labelled(
    inlier: NDArray[np.floating], injected: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    label = np.repeat([False, True], [len(inlier), len(injected)])
    return label, np.concatenate([inlier, injected])


def resampled_auroc(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `auroc` (B,) from false-positive rates (B, P)."""
    if rates.shape[1] == 0:
        return np.full(len(rates), np.nan)
    return 1 - rates.mean(axis=1)


def resampled_average_precision(
    rates: NDArray[np.float64], prevalence: float = 0.01
) -> NDArray[np.float64]:
    """Return `average_precision` (B,) from false-positive rates (B, P)."""
    size = rates.shape[1]
    if size == 0:
        return np.full(len(rates), np.nan)
    hits = prevalence * np.arange(1, size + 1) / size
    return (hits / (hits + (1 - prevalence) * np.sort(rates, axis=1))).mean(axis=1)


def precision_at(rates: NDArray[np.float64], inlier: int, rank: int = 100) -> NDArray[np.float64]:
    """Return the share (B,) of injected spectra among the `rank` most anomalous of all.

    NaN where there are fewer than `rank` spectra, or none of either sort.
    """
    size = rates.shape[1]
    if 0 in (size, inlier) or size + inlier < rank:
        return np.full(len(rates), np.nan)
    # Ranks of the injected spectra: j injected and rate · inlier others are no less anomalous.
    position = np.arange(1, size + 1) + np.sort(rates, axis=1) * inlier
    # They are whole or half numbers but for rounding.
    return (position < rank + 0.25).sum(axis=1) / rank


def strength_at_half_recall(
    strength: NDArray[np.floating], is_found: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the injected strength at which half is found, by logistic regression on its logarithm.

    Parameters
    ----------
    strength : (B, P)
        Positive; those that are NaN do not count.
    is_found : (B, P)

    Returns
    -------
    (B,) float64
        0 where even the weakest injected ones are mostly found, infinite where even the strongest
        are mostly missed; NaN where there are not two different strengths.
    """
    known = np.isfinite(strength)
    number = np.maximum(known.sum(axis=1), 1)
    y = np.where(known, is_found, 0).astype(np.float64)

    # Logarithms of the strengths, centred and scaled
    x = np.log(np.where(known, strength, 1.0).astype(np.float64))
    centre = x.sum(axis=1) / number
    x = np.where(known, x - centre[:, None], 0)
    spread = np.sqrt((x * x).sum(axis=1) / number)
    varied = spread > 1e-9
    x /= np.where(varied, spread, 1)[:, None]

    intercept, slope = _logistic_regression(x, y, known)

    # Where the curve crosses one half, unless that lies outside the injected strengths
    half = np.where(y.sum(axis=1) > number / 2, -np.inf, np.inf)
    rising = slope > 0
    half[rising] = -intercept[rising] / slope[rising]
    half[half < x.min(axis=1, initial=0)] = -np.inf
    half[half > x.max(axis=1, initial=0)] = np.inf
    half[~varied] = np.nan
    return np.exp(centre + spread * half)


def _logistic_regression(
    x: NDArray[np.float64], y: NDArray[np.float64], known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercepts and slopes (B,) by Newton's method, all rows (B, P) at once."""
    intercept, slope = np.zeros(len(x)), np.zeros(len(x))
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * x, -30, 30)))
        miss = np.where(known, y - p, 0)
        weight = np.where(known, p * (1 - p), 0)

        # The prior also acts, ten times weaker, on the intercept: all found, or none, is finite.
        g0 = miss.sum(axis=1) - _SLOPE_PRIOR / 10 * intercept
        g1 = (miss * x).sum(axis=1) - _SLOPE_PRIOR * slope
        h00 = weight.sum(axis=1) + _SLOPE_PRIOR / 10
        h01 = (weight * x).sum(axis=1)
        h11 = (weight * x * x).sum(axis=1) + _SLOPE_PRIOR

        determinant = h00 * h11 - h01**2
        intercept += np.clip((h11 * g0 - h01 * g1) / determinant, -2, 2)
        slope += np.clip((h00 * g1 - h01 * g0) / determinant, -2, 2)
    return intercept, slope


def interval(resampled: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Return the central interval of the bootstrap rows 1 and on; NaN if any of them is."""
    tail = (1 - level) / 2
    # Not interpolated: there is no number halfway to infinity.
    low, high = np.quantile(resampled[1:], [tail, 1 - tail], method="nearest")
    return float(low), float(high)


def share_interval(count: int, size: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval of a share (Clopper & Pearson 1934)."""
    if size == 0:
        return float("nan"), float("nan")
    bounds = stats.binomtest(count, size).proportion_ci(level, method="exact")
    return float(bounds.low), float(bounds.high)


def flagged_interval(
    size: int, calibration: int | None, p_level: float = 0.01, level: float = 0.99
) -> tuple[int, int]:
    """Return the interval in which the flagged number of `size` inliers should lie.

    A p-value that is a rank among n calibration spectra has its own noise: below a cut that k of
    n + 1 ranks pass lies a share of inliers that is itself Beta(k, n + 1 − k)
    distributed, so the flagged number is beta-binomial (Vovk 2012). It is binomial in the limit
    of infinitely many, or unknown, calibration spectra.

    Parameters
    ----------
    calibration : int or None
        Calibration spectra in the same range of S/N.
    """
    if calibration is None:
        low, high = stats.binom.interval(level, size, p_level)
    else:
        ranks = p_level * (calibration + 1)
        low, high = stats.betabinom.interval(level, size, ranks, calibration + 1 - ranks)
    return int(low), int(high)


def chance_of_difference(only_first: int, only_second: int) -> float:
    """Return the probability that two equally good scores differ so much (McNemar 1947, exact).

    Parameters
    ----------
    only_first, only_second : int
        Injected spectra that one of the two scores finds and the other misses.
    """
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)
