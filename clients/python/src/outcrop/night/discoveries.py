"""Discoveries: the spectra of a night that are anomalous although so many were tested.

Of 175,000 inliers 1,750 have a p-value below 1 %. The procedure of Benjamini & Hochberg (1995)
keeps the expected share of inliers among the discoveries, the false discovery rate, below a level.
It needs p-values that inliers are not too often below, and that are independent or depend on each
other positively, as those of one calibration sample do (Bates et al. 2023, Theorem 2).

A false discovery is an inlier, not an object without interest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._constants import Q_LEVEL
from .faults import Fault, PetalPValues, find_faults

RANK: Final = "rank"
TAIL: Final = "tail"
UNKNOWN: Final = "unknown"
NONE: Final = "none"


@dataclass(frozen=True, eq=False)
class Discoveries:
    """The discoveries of a night, petal by petal.

    Attributes
    ----------
    q_value : list of (n,) float64
        Of each petal's eligible spectra; NaN where there is no p-value, or it is set apart. The
        discoveries are those up to `Q_LEVEL`.
    faults : list of list of Fault
        Of each petal: what is set apart.
    basis : str
        Whether the largest p-value of the discoveries is a ``rank`` in the calibration sample, or
        in its extrapolated ``tail``; ``unknown`` where the model does not say where that begins,
        ``none`` where there is no discovery.
    """

    q_value: list[NDArray[np.float64]]
    faults: list[list[Fault]]
    basis: str

    @staticmethod
    def find(petals: Sequence[PetalPValues], level: float, finest_p: float | None) -> "Discoveries":
        """Set apart what is faulty, and test the rest together.

        Parameters
        ----------
        petals : sequence of PetalPValues
            All of a night.
        level : float
            Share of the inliers that the model flags.
        finest_p : float or None
            The model's smallest p-value that is a rank.
        """
        faults = find_faults(petals, level)
        tested = [petal.p_value.copy() for petal in petals]
        for p_value, found in zip(tested, faults, strict=True):
            for fault in found:
                p_value[fault.rows] = np.nan

        p_value = np.concatenate([np.zeros(0), *tested])
        q_value = q_values(p_value)
        ends = np.cumsum([len(petal.p_value) for petal in petals])
        by_petal = np.split(q_value, ends[:-1]) if petals else []
        return Discoveries(by_petal, faults, fdr_basis(p_value, q_value, finest_p))

    @property
    def tested(self) -> int:
        """Number of spectra that were tested."""
        return sum(int(np.count_nonzero(np.isfinite(each))) for each in self.q_value)

    @property
    def set_apart(self) -> int:
        """Number of spectra that have a p-value and were not tested."""
        return sum(int(np.count_nonzero(fault.rows)) for faults in self.faults for fault in faults)

    @property
    def counts(self) -> list[int]:
        """Number of discoveries in each petal."""
        return [int(np.count_nonzero(each <= Q_LEVEL)) for each in self.q_value]


def q_values(p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p-values adjusted by the procedure of Benjamini & Hochberg (1995).

    Those with q <= Q are the discoveries whose false discovery rate is at most Q.

    Parameters
    ----------
    p_value : (N,) float64
        NaN where nothing was tested.

    Returns
    -------
    (N,) float64
        At most 1, in the order of the p-values; NaN where nothing was tested.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.night.discoveries import q_values
    >>> q_values(np.array([0.5, 0.01, np.nan, 0.02]))
    array([0.5 , 0.03,  nan, 0.03])
    """
    q_value = np.full(len(p_value), np.nan)
    rows = np.argsort(p_value)[: np.count_nonzero(np.isfinite(p_value))]  # NaN sorts last
    scaled = p_value[rows] * len(rows) / np.arange(1, len(rows) + 1)
    q_value[rows] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q_value


def fdr_basis(
    p_value: NDArray[np.float64], q_value: NDArray[np.float64], finest_p: float | None
) -> str:
    """Return what discoveries rest on: ``rank``, ``tail``, ``unknown`` or ``none``.

    Parameters
    ----------
    p_value, q_value : (N,) float64
    finest_p : float or None
        The model's smallest p-value that is a rank.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.night.discoveries import fdr_basis
    >>> fdr_basis(np.array([0.001, 0.5]), np.array([0.002, 0.5]), 1e-4)
    'rank'
    """
    discovered = p_value[q_value <= Q_LEVEL]
    if not len(discovered):
        return NONE
    if finest_p is None:
        return UNKNOWN
    return RANK if discovered.max() >= finest_p else TAIL
