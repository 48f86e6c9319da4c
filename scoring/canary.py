"""Canary: a few spectra with known scores, to check that a scorer reproduces them.

Training stores the spectra with the scores that it computed for them. A scorer that agrees has
undamaged model files, suitable libraries and a working processor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outcrop import Band, Scores, Spectra
from outcrop.spectra import WAVE

from .scorer import Scorer

TOLERANCE = 1e-3
"""Largest relative difference of wmse and nof between two machines that work correctly."""
P_TOLERANCE = 0.1
"""Largest difference of the logarithm of a p-value between them."""
MARGIN = 0.05
"""Each canary spectrum is at least this far, relatively, from every threshold."""
FLAGS = ("wmse_anomaly", "nof_anomaly", "anomaly")
_SCORES = ("wmse", "nof", "p_value", "p_value_pooled")
_COLUMNS = ("z", "targetid", "status", "spectype")


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Difference between computed and stored scores; true if it is too large.

    Attributes
    ----------
    relative : float
        Largest relative difference of wmse or nof; infinite if one is NaN.
    flags : int
        Number of flags that differ.
    p_values : int
        Number of p-values, pooled ones included, that differ.
    """

    relative: float
    flags: int
    p_values: int

    def __bool__(self) -> bool:
        return self.flags + self.p_values > 0 or not self.relative <= TOLERANCE

    def __str__(self) -> str:
        return (
            f"wmse or nof differ by up to {self.relative:.2g} relative, {self.flags} flags and "
            f"{self.p_values} p-values differ"
        )


@dataclass(frozen=True, eq=False)
class Canary:
    """C spectra, inliers and anomalous ones, and their scores at export.

    Attributes
    ----------
    spectra : Spectra
        Observed frame, without masks.
    wmse, nof : (C,) float32
    p_value, p_value_pooled : (C,) float64
    flags : mapping of str to (C,) bool
        One array for each of `FLAGS`.
    """

    spectra: Spectra
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    p_value: NDArray[np.float64]
    p_value_pooled: NDArray[np.float64]
    flags: Mapping[str, NDArray[np.bool_]]

    def compare(self, scores: Scores) -> Disagreement:
        """Compare with scores of the canary's spectra."""
        old, new = np.array([self.wmse, self.nof]), np.array([scores.wmse, scores.nof])
        relative = float(np.max(np.abs(new / old - 1)))
        flags = sum(int((getattr(scores, n) != old).sum()) for n, old in self.flags.items())

        before = np.array([self.p_value, self.p_value_pooled])
        after = np.array([scores.p_value, scores.p_value_pooled])
        with np.errstate(divide="ignore", invalid="ignore"):
            near = np.abs(np.log(after / before)) <= P_TOLERANCE
        p_values = int(np.count_nonzero(~near))
        return Disagreement(relative if np.isfinite(relative) else np.inf, flags, p_values)

    def check(self, scorer: Scorer) -> Disagreement:
        """Score the canary and compare."""
        return self.compare(scorer.score(self.spectra))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of canary.npz."""
        arrays: dict[str, NDArray[np.generic]] = {name: getattr(self, name) for name in _SCORES}
        arrays |= self.flags
        arrays |= {name: getattr(self.spectra, name) for name in _COLUMNS}
        for name, band in self.spectra.bands.items():
            arrays[f"flux_{name}"], arrays[f"ivar_{name}"] = band.flux, band.ivar
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Canary":
        """Read what `to_arrays` wrote."""
        bands = {
            name: Band(
                arrays[f"flux_{name}"].astype(np.float32), arrays[f"ivar_{name}"].astype(np.float32)
            )
            for name in WAVE
            if f"flux_{name}" in arrays
        }
        spectra = Spectra(
            bands,
            z=arrays["z"].astype(np.float64),
            targetid=arrays["targetid"].astype(np.int64),
            status=arrays["status"].astype(np.int32),
            spectype=arrays["spectype"].astype(np.str_),
        )
        return Canary(
            spectra,
            arrays["wmse"].astype(np.float32),
            arrays["nof"].astype(np.float32),
            arrays["p_value"].astype(np.float64),
            arrays["p_value_pooled"].astype(np.float64),
            {name: arrays[name].astype(np.bool_) for name in FLAGS},
        )
