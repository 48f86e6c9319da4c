"""Faults: petals and fiber bundles that are flagged because of the instrument or the reductions.

Inliers are flagged at the model's level, in some petals a little more often than in others. Where
far more are flagged, or the noise is not the reported one, there is a fault, and its small p-values
are no discoveries.

The usual share is the larger one of the model's level and the 75th percentile of the shares in the
other petals: a quarter of them may be faulty. Far more is more than twice the usual share, in at
least 5 spectra, where chance gives so many in fewer than 1 of 10,000 petals (exact binomial tail).
The same holds for bundles of fibers, of which a petal has 20, at a twentieth of that probability:
within a petal, against the rest of it too, and over all petals, for a bundle that is a little
faulty in every exposure of the night.

In a petal, more than ten times the level is far more whatever the other petals have: its p-values
do not hold.

Rows are set apart for having too many small p-values, never too few: among those that remain,
the p-values of inliers are not smaller than before.
"""

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._constants import FAULT_CHANCE, FAULT_FLAGGED, FAULT_RATIO, FAULT_SHARE, NOISE_RANGE

NOISE: Final = "noise"
FIBERS: Final = "fibers"
FLAGGED: Final = "flagged"
KINDS: Final = (NOISE, FIBERS, FLAGGED)
"""Kinds of faults: the noise of a petal, a bundle of fibers, too many flagged in a petal."""

BUNDLE: Final = 25
"""Fibers that are side by side on the detectors: FIBER // 25 is the same."""
_BUNDLES: Final = 20  # of a petal
_FAULTY: Final = 0.25  # of the petals, at most, for the usual share to be that of faultless ones


@dataclass(frozen=True, eq=False)
class PetalPValues:
    """The p-values of the n eligible spectra of a petal, and what faults are recognised by.

    Attributes
    ----------
    p_value : (n,) float64
        NaN where there is none.
    flagged : (n,) bool
    fiber : (n,) int
        −1 where unknown.
    noise : mapping of str to float
        Variance of the noise over the reported one, by camera; empty where it was not measured.
    """

    p_value: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    fiber: NDArray[np.integer]
    noise: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(n,) bool: the spectra with a p-value."""
        return np.isfinite(self.p_value)


@dataclass(frozen=True, eq=False)
class Fault:
    """Spectra of a petal that are set apart.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    reason : str
    rows : (n,) bool
        Of the petal's `PetalPValues`.
    """

    kind: str
    reason: str
    rows: NDArray[np.bool_]


def find_faults(petals: Sequence[PetalPValues], level: float) -> list[list[Fault]]:
    """Return the faults of each petal; no row has two.

    Parameters
    ----------
    petals : sequence of PetalPValues
        All of a night.
    level : float
        Share of the inliers that the model flags.
    """
    usual = _usual_shares(petals, level)
    faults = [list(_of_petal(*each, level)) for each in zip(petals, usual, strict=True)]

    # A bundle that is faulty in one petal only does not count in the others.
    left = [
        petal.tested & ~_set_apart(petal, found)
        for petal, found in zip(petals, faults, strict=True)
    ]
    places: defaultdict[int, list[tuple[int, NDArray[np.bool_]]]] = defaultdict(list)
    for number, petal in enumerate(petals):
        for bundle, rows in _bundles(petal, left[number]).items():
            places[bundle].append((number, rows))
    lowest = min(usual, default=level)
    for bundle, found in places.items():
        count = sum((_count(petals[number], rows) for number, rows in found), FlaggedCount(0, 0))
        if len(found) > 1 and count.exceeds(lowest, FAULT_CHANCE / _BUNDLES):
            for number, rows in found:
                reason = f"{_fibers(bundle)}: {count} in {len(found)} petals"
                faults[number].append(Fault(FIBERS, reason, rows))
    return faults


@dataclass(frozen=True)
class FlaggedCount:
    """How many of some spectra are flagged."""

    flagged: int
    of: int

    def __add__(self, other: "FlaggedCount") -> "FlaggedCount":
        return FlaggedCount(self.flagged + other.flagged, self.of + other.of)

    def __str__(self) -> str:
        return f"{self.flagged} of {self.of} flagged"

    @property
    def share(self) -> float:
        """The share that is flagged; 0 of none."""
        return self.flagged / self.of if self.of else 0.0

    def exceeds(self, usual: float, chance: float) -> bool:
        """Return whether far more are flagged than usual."""
        return (
            self.flagged >= FAULT_FLAGGED
            and self.share > FAULT_RATIO * usual
            and binomial_tail(self.flagged, self.of, usual) < chance
        )


def binomial_tail(count: int, of: int, share: float) -> float:
    """Return the probability of at least `count` in `of` draws, each with probability `share`.

    Examples
    --------
    >>> from outcrop.night.faults import binomial_tail
    >>> f"{binomial_tail(2, 2, 0.1):.3f} {binomial_tail(1, 2, 0.1):.3f}"
    '0.010 0.190'
    """
    counts = np.arange(count, of + 1)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, of + 1)))])
    log_choices = factorial[of] - factorial[counts] - factorial[of - counts]
    logs = log_choices + counts * np.log(share) + (of - counts) * np.log1p(-share)
    return float(np.exp(logs).sum())


def _count(petal: PetalPValues, rows: NDArray[np.bool_]) -> FlaggedCount:
    return FlaggedCount(int(np.count_nonzero(petal.flagged & rows)), int(np.count_nonzero(rows)))


def _usual_shares(petals: Sequence[PetalPValues], level: float) -> list[float]:
    """Return the share that is usually flagged, for each petal from the other ones."""
    counts = [_count(petal, petal.tested) for petal in petals]
    known = np.sort([count.share for count in counts if count.of])

    @functools.cache
    def without(*places: int) -> float:
        others = np.delete(known, places)
        quantile = float(np.quantile(others, 1 - _FAULTY)) if len(others) else 0.0
        return max(level, quantile)

    # The quantile lies between two neighbours of the others, and so among three of all: of one's
    # own share it only matters whether it is below them, above them, or the middle one.
    first = int((1 - _FAULTY) * max(len(known) - 2, 0))
    places = np.searchsorted(known, [count.share for count in counts]).clip(first, first + 2)
    return [
        without(place) if count.of else without()
        for place, count in zip(places.tolist(), counts, strict=True)
    ]


def _of_petal(petal: PetalPValues, usual: float, level: float) -> Iterator[Fault]:
    left = petal.tested
    low, high = NOISE_RANGE
    unusual = {camera: value for camera, value in petal.noise.items() if not low <= value <= high}
    if unusual:
        cameras = ", ".join(f"{value:.3g} in {camera}" for camera, value in unusual.items())
        yield Fault(NOISE, f"noise variance over the reported: {cameras}", left)
        return

    bundles = _bundles(petal, left)
    counts = {bundle: _count(petal, rows) for bundle, rows in bundles.items()}
    # The worst first, so that it does not count in the rest where the others are compared with it.
    for bundle in sorted(counts, key=lambda bundle: -counts[bundle].share):
        rest = _count(petal, left & ~bundles[bundle])
        if counts[bundle].exceeds(max(usual, rest.share), FAULT_CHANCE / _BUNDLES):
            left = left & ~bundles[bundle]
            yield Fault(FIBERS, f"{_fibers(bundle)}: {counts[bundle]}", bundles[bundle])

    count = _count(petal, left)
    if count.exceeds(usual, FAULT_CHANCE):
        yield Fault(FLAGGED, f"{count}, usual are {100 * usual:.2g} %", left)
    elif count.exceeds(FAULT_SHARE / FAULT_RATIO * level, FAULT_CHANCE):
        yield Fault(FLAGGED, f"{count}, more than {FAULT_SHARE:g} times the model's level", left)


def _bundles(petal: PetalPValues, left: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
    """Return the rows of each bundle, (n,) bool, of the rows left."""
    bundle = petal.fiber // BUNDLE
    return {
        int(number): left & (bundle == number)
        for number in np.unique(bundle[left & (petal.fiber >= 0)])
    }


def _set_apart(petal: PetalPValues, faults: Sequence[Fault]) -> NDArray[np.bool_]:
    rows = np.zeros(len(petal.p_value), np.bool_)
    for fault in faults:
        rows |= fault.rows
    return rows


def _fibers(bundle: int) -> str:
    return f"fibers {BUNDLE * bundle}-{BUNDLE * (bundle + 1) - 1}"
