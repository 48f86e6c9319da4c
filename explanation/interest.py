"""Interest: how much a person wants to see each spectrum, learned from their labels.

A Gaussian process (Rasmussen & Williams 2006) predicts interest, 0 to 5, with its standard
deviation. It is exact, and its only state are the labels: it is fitted again from them in under a
second. Interest is a second column, never a correction of p-values.

The features of a spectrum do not depend on the other spectra of its night.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from outcrop.explanations import CAUSES

Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])

ORDERS: Final = ("anomaly", "interest", "expected_improvement", "blend")
"""p-values; predicted interest; Protege's and Astronomaly's acquisition."""
LARGEST: Final = 5
"""Labels are 0 to 5."""

CLASSES: Final = ("GALAXY", "STAR", "QSO")
LENGTHS: Final = (2.0, 4.0, 8.0)
"""Lengths over which interest changes, in units of the features."""
NOISES: Final = (0.1, 0.3, 1.0)
"""Standard deviation of a label around the interest, in units of that of the interest."""
CAUSE_WEIGHTS: Final = (1.0, 10.0)
"""Of cause probabilities, among the other features: interest may follow causes, or not."""
INTERESTING: Final = 3
"""As long as no label is so large, the order of interest is a search for something else."""

_WMSE, _NOF, _Z = 0.3, 0.2, 0.1
_SHIFT = 3.0
# One label's worth of belief that interest varies by 1: labels that are all the same say nothing.
_PRIOR_VARIANCE = 1.0
_BLOCK = 8192
_ALONG = 10
_SEARCHED = 20
_TRADEOFF = 0.5
_LEAST, _WEIGHT = 0.1, 0.85


@dataclass(frozen=True, eq=False)
class LatentScale:
    """What is usual in the latents of a model: a constant of the model.

    Attributes
    ----------
    centre, spread : (L,) float64
        Mean and standard deviation.
    distance : float
        Root mean square distance of two spectra, in signed-log latents.
    """

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    distance: float

    @staticmethod
    def of(latents: NDArray[np.float32]) -> "LatentScale":
        """Return the scale of a sample (R, L), as the reference sample of a density."""
        known = latents[np.isfinite(latents).all(axis=1)].astype(np.float64)
        if len(known) < 2:
            raise ValueError(f"{len(known)} finite latents have no spread; give at least 2")
        spread = known.std(axis=0)
        usual = LatentScale(known.mean(axis=0), np.where(spread > 0, spread, 1.0), 1.0)
        distance = math.sqrt(2 * usual.signed_log(known).var(axis=0).sum())
        return LatentScale(usual.centre, usual.spread, distance)

    def signed_log(self, latents: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return latents (N, L) in units of the spread, with large ones drawn in."""
        scaled = (latents - self.centre) / self.spread
        return _signed_log(scaled)


@dataclass(frozen=True, eq=False)
class ScoredColumns:
    """What a night's tables say of N spectra, as far as interest is learned from it.

    Attributes
    ----------
    latent : (N, L) float32
    wmse, nof : (N,) float32
    p_value, z, z_best : (N,) float64
        NaN where a spectrum has none.
    spectype : (N,) str
    flagged : (N,) bool
        ANOMALY.
    causes : (N, 12) float64
        Probability of each of `CAUSES`; 0 where a spectrum is not explained.
    """

    latent: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    p_value: NDArray[np.float64]
    z: NDArray[np.float64]
    z_best: NDArray[np.float64]
    spectype: NDArray[np.str_]
    flagged: NDArray[np.bool_]
    causes: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.p_value)
        shapes = {name: (count,) for name in ("wmse", "nof", "z", "z_best", "spectype", "flagged")}
        shapes |= {"latent": (count, *self.latent.shape[1:2]), "causes": (count, len(CAUSES))}
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} has the shape {found}, expected {shape} as p_value has")

    def chosen(self, rows: NDArray[np.integer]) -> "ScoredColumns":
        """Return some rows."""
        return ScoredColumns(*(getattr(self, one.name)[rows] for one in fields(self)))

    def features(self, scale: LatentScale) -> NDArray[np.float32]:
        """Return the features (N, F) float32, the causes last; what is not known is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (
                np.log(self.wmse) / _WMSE,
                np.log(-self.nof) / _NOF,
                np.log(-np.log(self.p_value)),
                self.z / _Z,
                _SHIFT * _signed_log((self.z_best - self.z) / _Z),
            )
        classes = [self.spectype == name for name in CLASSES]
        columns = (scale.signed_log(self.latent), *scores, *classes, self.causes)
        return np.nan_to_num(np.column_stack(columns), posinf=0, neginf=0).astype(np.float32)


def cause_probabilities(
    rows: int,
    row: NDArray[np.integer],
    cause: NDArray[np.str_],
    probability: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return the probability (rows, 12) of each of `CAUSES`.

    Parameters
    ----------
    rows : int
        Of OUTLIERS.
    row, cause, probability : (E,)
        Columns of EXPLANATIONS; a cause that is none of `CAUSES` does not count.
    """
    found = np.zeros((rows, len(CAUSES)))
    for k, name in enumerate(CAUSES):
        chosen = cause == name
        found[row[chosen], k] = probability[chosen]
    return found


@dataclass(frozen=True)
class Kernel:
    """Hyper-parameters of the Gaussian process.

    Attributes
    ----------
    length, noise, cause_weight : float
        One each of `LENGTHS`, `NOISES` and `CAUSE_WEIGHTS`.
    """

    length: float
    noise: float
    cause_weight: float

    def weighted(self, features: Floats) -> Floats:
        """Return features (N, F) in units of the length."""
        weights = np.full(features.shape[1], 1 / self.length, features.dtype)
        weights[-len(CAUSES) :] *= self.cause_weight
        return features * weights


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """Interest fitted to n labels.

    Attributes
    ----------
    kernel : Kernel
        The one of the grid whose marginal likelihood is largest.
    variance : float
        Of interest, around the mean of the labels.
    """

    kernel: Kernel
    variance: float
    _mean: float
    _known: NDArray[np.float32]
    _weights: NDArray[np.float64]
    _inverse: NDArray[np.float64]

    @staticmethod
    def fit(features: NDArray[np.float32], labels: NDArray[np.floating]) -> "GaussianProcess":
        """Fit features (n, F) and labels (n,), n at least 1."""
        grid = [Kernel(*one) for one in product(LENGTHS, NOISES, CAUSE_WEIGHTS)]
        likelihoods = [_log_likelihood(features, labels, kernel) for kernel in grid]
        return GaussianProcess.with_kernel(features, labels, grid[int(np.argmax(likelihoods))])

    @staticmethod
    def with_kernel(
        features: NDArray[np.float32], labels: NDArray[np.floating], kernel: Kernel
    ) -> "GaussianProcess":
        """Fit features (n, F) and labels (n,) with known hyper-parameters."""
        known, lower = _cholesky(features, kernel)
        inverse, mean = np.asarray(np.linalg.inv(lower), np.float64), float(np.mean(labels))
        whitened = inverse @ (labels - mean)
        variance = _variance(whitened)
        weights = inverse.T @ whitened
        return GaussianProcess(kernel, variance, mean, known.astype(np.float32), weights, inverse)

    def predict(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation (N,) of the interest of features (N, F)."""
        mean, deviation = np.empty(len(features)), np.empty(len(features))
        inverse = self._inverse.astype(np.float32)
        for block, near in self._near(features):
            mean[block] = self._mean_of(near)
            explained = near @ inverse.T
            left = 1 - np.einsum("nk,nk->n", explained, explained)
            deviation[block] = np.sqrt(self.variance * np.maximum(left, 0))
        return mean, deviation

    def mean(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean (N,) alone, in half the time."""
        parts = [self._mean_of(near) for _, near in self._near(features)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _near(self, features: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield blocks of rows with their correlations (B, n) with the labelled ones."""
        for start in range(0, len(features), _BLOCK):
            block = slice(start, start + _BLOCK)
            weighted = self.kernel.weighted(features[block])
            yield block, _matern(_distances(weighted, self._known))

    def _mean_of(self, near: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._mean + (near @ self._weights.astype(np.float32)).astype(np.float64)


class Ranking:
    """The spectra of a night, in the orders in which a person may look at them.

    Parameters
    ----------
    columns : ScoredColumns
        Of N spectra.
    scale : LatentScale
        Of the model.
    seed : int
        Of the order of ties.
    """

    def __init__(self, columns: ScoredColumns, scale: LatentScale, seed: int = 0) -> None:
        self.features = columns.features(scale)
        self._p_value, self._distance = columns.p_value, scale.distance
        self._shuffled = np.random.default_rng(seed).permutation(len(self.features))
        self._by_p = self._descending(-columns.p_value)
        self._flagged = np.flatnonzero(columns.flagged)
        self._start = self._cold_start()

    def order(self, name: str, labels: Mapping[int, int]) -> NDArray[np.int64]:
        """Return the rows (N,) in one of `ORDERS`.

        Unlabelled rows come first, except in the order of p-values. As long as there are no labels,
        the others are the cold start: ten rows equally spaced along the first principal component
        of the flagged ones, in turn with those of the smallest p-values. As long as no label is at
        least `INTERESTING`, the order of interest begins with twenty flagged rows that are unlike
        the labelled ones and each other, in their causes above all.

        Parameters
        ----------
        name : str
        labels : mapping
            Interest, 0 to 5, of each labelled row.

        Raises
        ------
        ValueError
            If there is no such order, a row does not exist, or a label is not 0 to 5.
        """
        if name not in ORDERS:
            raise ValueError(f"order {name!r} is none of {', '.join(ORDERS)}")
        if name == "anomaly":
            return self._by_p
        if not labels:
            return self._start

        rows, values = _checked(labels, len(self.features))
        process = GaussianProcess.fit(self.features[rows], values)
        if name == "expected_improvement":
            score = expected_improvement(*process.predict(self.features), float(values.max()))
        elif name == "blend":
            distance = _nearest(self.features, self.features[rows]) / self._distance
            score = blend(raw_score(self._p_value), process.mean(self.features), distance)
        else:
            score = process.mean(self.features)

        found = self._descending(score)
        if name == "interest" and values.max() < INTERESTING:
            found = _without_repeats(np.concatenate([self._search(rows), found]))
        labelled = np.isin(found, rows)
        return np.concatenate([found[~labelled], found[labelled]])

    def predict(self, labels: Mapping[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation (N,) of the interest; labels as for `order`."""
        rows, values = _checked(labels, len(self.features))
        if len(rows) == 0:
            raise ValueError("there is no label to learn from; label at least one spectrum")
        return GaussianProcess.fit(self.features[rows], values).predict(self.features)

    def _descending(self, score: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the rows with the largest score first, ties in random order, NaN last."""
        shuffled = self._shuffled
        return shuffled[np.argsort(-score[shuffled], kind="stable")]

    def _cold_start(self) -> NDArray[np.int64]:
        chosen = self._flagged
        if len(chosen) == 0:
            return self._by_p
        centred = self.features[chosen] - self.features[chosen].mean(axis=0)
        axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
        along = chosen[np.argsort(centred @ axis, kind="stable")]
        spaced = along[np.linspace(0, len(along) - 1, _ALONG).astype(np.int64)]

        mixed = np.column_stack([self._by_p[: len(spaced)], spaced[: len(self._by_p)]]).ravel()
        return _without_repeats(np.concatenate([mixed, self._by_p]))

    def _search(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return flagged rows, each as unlike those before it and the labelled rows as can be."""
        possible = np.setdiff1d(self._flagged, rows)
        features = Kernel(1.0, 0.0, max(CAUSE_WEIGHTS)).weighted(self.features)
        distance = _nearest(features[possible], features[rows])

        found: list[int] = []
        for _ in range(min(_SEARCHED, len(possible))):
            farthest = int(np.argmax(distance))
            found.append(farthest)
            last = _distances(features[possible], features[possible[[farthest]]])
            distance = np.minimum(distance, last[:, 0])
        return possible[found]


def raw_score(p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the anomaly score (N,) of p-values on the scale of labels: 2.5 at 0.01, 5 at 0."""
    with np.errstate(divide="ignore"):
        digits = -np.log10(p_value)
    return LARGEST * (1 - 2 / (digits + 2))


def expected_improvement(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """Return by how much (N,) the interest may exceed the best label (Lochner & Rudnick 2024)."""
    gain = mean - best - _TRADEOFF
    safe = np.maximum(deviation, 1e-12)
    t = gain / safe
    below = np.array([math.erfc(-one / math.sqrt(2)) for one in t.tolist()]) / 2
    return gain * below + safe * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


def blend(
    score: NDArray[np.float64], interest: NDArray[np.float64], distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Astronomaly's active score (N,) (Lochner & Bassett 2021).

    It is the anomaly score far from all labels, and times the interest near them.

    Parameters
    ----------
    score : (N,) float64
        Anomaly, 0 to 5.
    interest : (N,) float64
        Predicted.
    distance : (N,) float64
        From the nearest labelled spectrum, in units of what is usual.
    """
    share = _LEAST + _WEIGHT * np.clip(interest, _LEAST, LARGEST) / LARGEST
    return score * np.tanh(np.exp(distance) - 1 + np.arctanh(share))


def _checked(
    labels: Mapping[int, int], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labelled rows and labels, in the order of the rows."""
    for row, label in labels.items():
        if not 0 <= row < count:
            raise ValueError(f"row {row} does not exist; there are {count}")
        if not 0 <= label <= LARGEST:
            raise ValueError(f"label {label} of row {row} is not 0 to {LARGEST}")
    rows = np.array(sorted(labels), np.int64)
    return rows, np.array([labels[row] for row in rows.tolist()], np.float64)


def _signed_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values) * np.log1p(np.abs(values))


def _without_repeats(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each row where it first occurs."""
    return rows[np.sort(np.unique(rows, return_index=True)[1])]


def _cholesky(
    features: NDArray[np.float32], kernel: Kernel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weighted features (n, F), and the factor (n, n) of the covariance of their labels."""
    known = kernel.weighted(features.astype(np.float64))
    covariance = _matern(_distances(known, known))
    covariance[np.diag_indices(len(known))] = 1 + kernel.noise**2
    return known, np.asarray(np.linalg.cholesky(covariance), np.float64)


def _variance(whitened: NDArray[np.float64]) -> float:
    """Return the most likely variance of interest."""
    return float((whitened @ whitened + _PRIOR_VARIANCE) / (len(whitened) + 1))


def _log_likelihood(
    features: NDArray[np.float32], labels: NDArray[np.floating], kernel: Kernel
) -> float:
    """Return the logarithm of the marginal likelihood of labels (n,), but for a constant."""
    lower = _cholesky(features, kernel)[1]
    whitened = np.asarray(np.linalg.solve(lower, labels - np.mean(labels)), np.float64)
    variance = _variance(whitened)
    return float(-np.log(np.diag(lower)).sum() - (len(labels) + 1) / 2 * math.log(variance))


def _nearest(features: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance (N,) of features (N, F) from the nearest of known ones (n, F)."""
    found = np.empty(len(features))
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        found[block] = _distances(features[block], known).min(axis=1)
    return found


def _distances(a: Floats, b: Floats) -> Floats:
    """Return the distances (N, n) of points (N, F) from points (n, F)."""
    square = -2 * (a @ b.T)
    square += np.einsum("nf,nf->n", a, a)[:, None]
    square += np.einsum("nf,nf->n", b, b)
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


def _matern(distance: Floats) -> Floats:
    """Return the Matérn 3/2 covariance of distances in units of the length."""
    scaled = distance * distance.dtype.type(math.sqrt(3))
    return (1 + scaled) * np.exp(-scaled)
