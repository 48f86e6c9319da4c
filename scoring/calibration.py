"""Calibration: from scores to the probability that an inlier scores as anomalous.

wmse grows with S/N² times any misfit, and NOF with the noise, so a score is meaningful only when
it is compared with inliers of similar S/N. Each score is therefore turned into a tail probability
among calibration spectra of like S/N (`ConditionalTail`). The harmonic mean of these
probabilities (Wilson 2019) is dominated by the most anomalous score; it is conditioned on S/N once
more, and on the class (`ClassTail`). Its rank among the whole sample is the p-value (`Rank`).

Every stage is fitted to values that the stages before it gave when they were fitted to other
spectra, so that a p-value is that of a new spectrum. No calibration spectrum is trained on.

A calibration sample may contain anomalies. Spectra that are far beyond any inlier are therefore
left out, and the rest is calibrated again. Odd inliers are left out with them; a fixed small share
of such is put back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .class_tail import ClassTail
from .conditional_tail import ConditionalTail
from .rank import Rank
from .residual import WIDTHS

CLASSES = ("GALAXY", "QSO", "STAR")
"""redrock's classes, each with its own tail."""
LEAST = 500
"""Fewer spectra do not determine the tail beyond 1 %."""
# As calibration.npz names them; "coherence" is its word for boxcar significance.
SCORES = (
    *("wmse", "nof"),
    *(f"coherence_{width}" for width in WIDTHS),
    *(f"power_{width}" for width in WIDTHS),
    *("offset", "second_galaxy", "galaxy_distance"),
)
_FOLDS = 5
TRUSTED = 0.95
"""Share of a calibration sample, its least anomalous part, that determines a score's tail."""
_TRUSTED_MEAN = (0.97, 0.99)
"""The same for the mean of the scores, with all spectra, and once some are left out."""
_LEFT_OUT = 0.4
"""Share of inliers, at most, among the spectra that are left out of a sample."""
_GROUPS = 8
"""Groups of like S/N, at most, in which it is decided; each has at least `LEAST` spectra."""
_RARE = 20
"""A class of fewer spectra keeps all of them."""
_ODD = (3e-3, 1e-3, 0.2)
"""Share of odd inliers, the p-value below which they lie, and the power of p of their tail."""
_TOO_GOOD = 1e-4
# Below e^-50 only the order of probabilities matters. Compression keeps the order and avoids 0.
_COMPRESS_BEYOND = 50.0


@dataclass(frozen=True, eq=False)
class PValueInputs:
    """What the p-values of N spectra follow from.

    Attributes
    ----------
    snr, coverage, wmse, nof : (N,) float32
    boxcar_significance, boxcar_power : (N, W) float32
    camera_offset, second_galaxy, galaxy_distance : (N,) float32
        As in `scoring.raw_scorer.RawScores`.
    spectype : (N,) str
        redrock's class; empty where unknown.
    """

    snr: NDArray[np.float32]
    coverage: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    boxcar_significance: NDArray[np.float32]
    boxcar_power: NDArray[np.float32]
    camera_offset: NDArray[np.float32]
    second_galaxy: NDArray[np.float32]
    galaxy_distance: NDArray[np.float32]
    spectype: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.snr)

    def rows(self, index: NDArray[np.bool_] | NDArray[np.integer]) -> "PValueInputs":
        """Return the chosen spectra."""
        return PValueInputs(**{one.name: getattr(self, one.name)[index] for one in fields(self)})

    def joined(self, other: "PValueInputs") -> "PValueInputs":
        """Return these spectra followed by others."""
        names = [one.name for one in fields(self)]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return PValueInputs(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    @property
    def log_snr(self) -> NDArray[np.float64]:
        """(N,) float64: logarithm of S/N."""
        return np.log(self.snr.astype(np.float64))

    @property
    def anomaly_scores(self) -> NDArray[np.float64]:
        """(S, N) float64: logarithms in the order of `SCORES`; larger is more anomalous.

        wmse is taken per good bin, so that masked bins do not make a spectrum less anomalous.
        Spectra of other classes than GALAXY count as typical galaxies in the distance from them:
        it is no anomaly of a star.
        """
        wmse = self.wmse.astype(np.float64) / self.coverage
        distance = np.where(self.spectype == "GALAXY", self.galaxy_distance, 1.0)
        boxcars = self.boxcar_significance.T, self.boxcar_power.T
        nof = -self.nof.astype(np.float64)
        residuals = self.camera_offset, self.second_galaxy
        scores = np.vstack([wmse, nof, *boxcars, *residuals, distance])
        # In this order, so that each score is contiguous whatever the number of spectra.
        return np.ascontiguousarray(np.log(np.maximum(scores, np.finfo(np.float64).tiny)))


@dataclass(frozen=True, eq=False)
class _Sample:
    """A calibration sample: C spectra, some of them only there to make up the numbers.

    Attributes
    ----------
    inputs : PValueInputs
    own : (C,) bool
        Those that have the sample's own distribution of S/N. The others are faint.
    """

    inputs: PValueInputs
    own: NDArray[np.bool_]

    def rows(self, index: NDArray[np.bool_]) -> "_Sample":
        return _Sample(self.inputs.rows(index), self.own[index])


@dataclass(frozen=True, eq=False)
class _Tails:
    """The stages before the ranks.

    Attributes
    ----------
    scores : tuple of ConditionalTail
        For the logarithm of each of `SCORES`.
    mean : ConditionalTail
        For −log of the harmonic mean of their tail probabilities.
    classes : dict
        For −log of the tail probability of `mean`, by class.
    """

    scores: tuple[ConditionalTail, ...]
    mean: ConditionalTail
    classes: dict[str, ClassTail]

    @staticmethod
    def fit(sample: _Sample, trusted: float) -> "_Tails":
        inputs, size = sample.inputs, len(sample.own)
        log_snr, values = inputs.log_snr, inputs.anomaly_scores

        means, pooled = np.empty(size), np.empty(size)
        for kept, left in _folds(size):
            without = _fit_scores(log_snr[kept], values[:, kept])
            means[left] = _harmonic_mean(_tails_of(without, log_snr[left], values[:, left]))
        for kept, left in _folds(size):
            tail = ConditionalTail.fit(log_snr[kept], means[kept], trusted)
            pooled[left] = tail(log_snr[left], means[left])

        classes: dict[str, ClassTail] = {}
        for name in CLASSES:
            chosen = sample.own & (inputs.spectype == name)
            tail = ClassTail.fit(log_snr[chosen], pooled[chosen], trusted)
            if tail is not None:
                classes[name] = tail

        mean = ConditionalTail.fit(log_snr, means, trusted)
        return _Tails(_fit_scores(log_snr, values), mean, classes)

    def __call__(self, inputs: PValueInputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return −log of the tail probabilities (N,), within the class and pooled.

        Where the class is unknown, the one within it is among all.
        """
        log_snr = inputs.log_snr
        tails = _tails_of(self.scores, log_snr, inputs.anomaly_scores)
        within = self.mean(log_snr, _harmonic_mean(tails))
        for name, tail in self.classes.items():
            chosen = inputs.spectype == name
            within[chosen] = tail(log_snr[chosen], within[chosen])

        # The last score, the distance from galaxies, depends on the class.
        return within, self.mean(log_snr, _harmonic_mean(tails[:-1]))


@dataclass(frozen=True, eq=False)
class PValues:
    """p-values of N spectra, in (0, 1); smaller is more anomalous.

    Attributes
    ----------
    within_class : (N,) float64
        Among inliers of like S/N and of the same class.
    pooled : (N,) float64
        Among inliers of like S/N and of any class.
    """

    within_class: NDArray[np.float64]
    pooled: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The distribution of inliers' scores, by S/N and class."""

    _tails: _Tails
    _within_class: Rank
    _pooled: Rank
    _goodness: ConditionalTail

    @staticmethod
    def fit(inputs: PValueInputs, faint: PValueInputs | None = None) -> "Calibration":
        """Calibrate on C eligible spectra that were not trained on.

        Parameters
        ----------
        inputs : PValueInputs
        faint : PValueInputs, optional
            Further faint spectra, which make the tails at low S/N more certain.

        Raises
        ------
        ValueError
            With fewer than 500 spectra.
        """
        if len(inputs) < LEAST:
            raise ValueError(
                f"{len(inputs)} calibration spectra; at least {LEAST} are needed: "
                "give more petals or a larger calibration share"
            )
        sample = _Sample(inputs, np.ones(len(inputs), np.bool_))
        if faint is not None:
            own = np.append(sample.own, np.zeros(len(faint), np.bool_))
            sample = _Sample(inputs.joined(faint), own)

        sample = _without_outliers(sample)
        _, trusted = _TRUSTED_MEAN
        within, pooled = _out_of_fold(sample, trusted)
        goodness = -sample.inputs.anomaly_scores[0]
        return Calibration(
            _Tails.fit(sample, trusted),
            Rank.fit(within[sample.own]),
            Rank.fit(pooled[sample.own]),
            ConditionalTail.fit(sample.inputs.log_snr, goodness, TRUSTED),
        )

    @property
    def snr_range(self) -> tuple[float, float]:
        """S/N of the outermost nodes; beyond them there are no p-values."""
        nodes = np.exp(self._tails.mean.log_snr)
        return float(nodes[0]), float(nodes[-1])

    @property
    def finest(self) -> float:
        """The smallest p-value that is a rank, and not an extrapolation."""
        return float(_with_odd(np.array([self._within_class.finest]))[0])

    def p_values(self, inputs: PValueInputs) -> PValues:
        """Return the p-values of eligible spectra."""
        within, pooled = self._tails(inputs)
        return PValues(_p_value(self._within_class, within), _p_value(self._pooled, pooled))

    def too_good(self, inputs: PValueInputs) -> NDArray[np.bool_]:
        """Return which spectra (N,) fit better than all but 0.01 % of inliers at their S/N."""
        tail = self._goodness(inputs.log_snr, -inputs.anomaly_scores[0])
        return tail > -np.log(_TOO_GOOD)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of calibration.npz."""
        tails = self._tails
        arrays = self._within_class.to_arrays("rank") | self._pooled.to_arrays("pooled_rank")
        arrays |= self._goodness.to_arrays("goodness") | tails.mean.to_arrays("mean")
        for name, score in zip(SCORES, tails.scores, strict=True):
            arrays |= score.to_arrays(name)
        for name, tail in tails.classes.items():
            arrays |= tail.to_arrays(name)
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Calibration":
        """Read what `to_arrays` wrote."""
        found = {name: ClassTail.from_arrays(arrays, name) for name in CLASSES}
        tails = _Tails(
            tuple(ConditionalTail.from_arrays(arrays, name) for name in SCORES),
            ConditionalTail.from_arrays(arrays, "mean"),
            {name: tail for name, tail in found.items() if tail is not None},
        )
        return Calibration(
            tails,
            Rank.from_arrays(arrays, "rank"),
            Rank.from_arrays(arrays, "pooled_rank"),
            ConditionalTail.from_arrays(arrays, "goodness"),
        )


def _fit_scores(
    log_snr: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[ConditionalTail, ...]:
    return tuple(ConditionalTail.fit(log_snr, value, TRUSTED) for value in values)


def _folds(size: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield which of the spectra are kept and which are left out, each of them once.

    In a sample that contains it, a spectrum never lies beyond the extremes, as new ones do, and
    the p-values would be too small.
    """
    fold = np.arange(size) % _FOLDS
    for out in range(_FOLDS):
        yield fold != out, fold == out


def _out_of_fold(
    sample: _Sample, trusted: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return −log of the tail probabilities (C,), within the class and pooled."""
    within, pooled = np.empty(len(sample.own)), np.empty(len(sample.own))
    for kept, left in _folds(len(sample.own)):
        tails = _Tails.fit(sample.rows(kept), trusted)
        within[left], pooled[left] = tails(sample.inputs.rows(left))
    return within, pooled


def _without_outliers(sample: _Sample) -> _Sample:
    """Return the sample without the spectra that are far beyond its inliers.

    Of a smaller tail probability p there should be p times the number of spectra. Where there are
    several times as many, most of them are no inliers (Benjamini & Hochberg 1995). Spectra are
    counted with those of like S/N: the anomalies of bright ones say nothing of faint ones. Classes
    of few spectra keep all of them: what is usual there is not known.
    """
    trusted, _ = _TRUSTED_MEAN
    within, _ = _out_of_fold(sample, trusted)
    spectype = sample.inputs.spectype
    for name in CLASSES:
        if np.count_nonzero(sample.own & (spectype == name)) < _RARE:
            within[spectype == name] = 0

    kept = np.ones(len(within), np.bool_)
    groups = min(_GROUPS, max(len(within) // LEAST, 1))
    for group in np.array_split(np.argsort(sample.inputs.snr, kind="stable"), groups):
        order = group[np.argsort(-within[group])]
        number = np.arange(1, len(order) + 1)
        beyond = np.flatnonzero(np.exp(-within[order]) * len(order) <= _LEFT_OUT * number)
        if len(beyond):
            kept[order[: beyond[-1] + 1]] = False
    return sample.rows(kept)


def _tails_of(
    scores: tuple[ConditionalTail, ...],
    log_snr: NDArray[np.float64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return −log of the tail probabilities (S, N) of scores (S, N)."""
    return np.stack([score(log_snr, value) for score, value in zip(scores, values, strict=True)])


def _harmonic_mean(tails: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return −log of the harmonic mean (N,) of tail probabilities, given −log of them (S, N)."""
    # Factoring out the largest prevents an overflow of the exponential.
    largest = tails.max(axis=0)
    # One score after the other: NumPy and BLAS round a sum by the number of spectra.
    total = sum(np.exp(tails - largest), np.zeros(len(largest)))
    return largest + np.log(total / len(tails))


def _p_value(rank: Rank, tail: NDArray[np.float64]) -> NDArray[np.float64]:
    ranked = rank(tail)
    far = ranked > _COMPRESS_BEYOND
    ranked[far] = _COMPRESS_BEYOND * (1 + np.log(ranked[far] / _COMPRESS_BEYOND))
    return _with_odd(np.exp(-ranked))


def _with_odd(p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values (N,) among inliers some of which are odd."""
    share, below, power = _ODD
    return (1 - share) * p_value + share * np.minimum(p_value / below, 1.0) ** power
