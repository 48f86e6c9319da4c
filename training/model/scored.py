"""Scored: rows of a sample with the raw scores that an exported model gives them."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scoring.calibration import Calibration, PValueInputs
from scoring.raw_scorer import RawScorer

SPECTYPES = ("GALAXY", "STAR", "QSO")
_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of n rows of a sample.

    Attributes
    ----------
    index : (n,) int64
        Their row numbers in the sample.
    rows : (n,) structured
        As in `training.model.dataset.RestSample`.
    latent : (n, L) float32
    nof, wmse : (n,) float32
    boxcar_significance, boxcar_power : (n, 3) float32
    camera_offset, second_galaxy, galaxy_distance : (n,) float32
    """

    index: NDArray[np.intp]
    rows: NDArray[np.void]
    latent: NDArray[np.float32]
    nof: NDArray[np.float32]
    wmse: NDArray[np.float32]
    boxcar_significance: NDArray[np.float32]
    boxcar_power: NDArray[np.float32]
    camera_offset: NDArray[np.float32]
    second_galaxy: NDArray[np.float32]
    galaxy_distance: NDArray[np.float32]

    def inputs(self) -> PValueInputs:
        """Return what the p-values follow from."""
        return PValueInputs(
            self.rows["snr"],
            self.rows["coverage"],
            self.wmse,
            self.nof,
            self.boxcar_significance,
            self.boxcar_power,
            self.camera_offset,
            self.second_galaxy,
            self.galaxy_distance,
            self.rows["spectype"],
        )

    def p_value(self, calibration: Calibration) -> NDArray[np.float64]:
        """Return the p-values (n,) within the class; NaN beyond the calibrated range of S/N."""
        low, high = calibration.snr_range
        inside = (self.rows["snr"] >= low) & (self.rows["snr"] <= high)
        found = calibration.p_values(self.inputs()).within_class
        return np.where(inside, found, np.nan)

    def choose(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Scored":
        """Return the chosen rows."""
        return Scored(*(getattr(self, one.name)[which] for one in fields(self)))


def score_rows(
    scorer: RawScorer,
    prepared: tuple[NDArray[np.float32], NDArray[np.float32]],
    rows: NDArray[np.void],
    index: NDArray[np.intp],
) -> Scored:
    """Score chosen rows of prepared spectra.

    Parameters
    ----------
    scorer : RawScorer
        Without a density, nof is NaN; without galaxies, camera_offset, second_galaxy and
        galaxy_distance are.
    prepared : (flux, ivar)
        (N, M) float32 each, as the encoder takes them; may be memory-mapped.
    rows : (N,) structured
    index : (n,) int64
    """
    flux, ivar = prepared
    found: list[tuple[NDArray[np.float32], ...]] = []
    # If there are no rows, one empty block gives the shapes.
    for start in range(0, max(len(index), 1), _BLOCK):
        block = index[start : start + _BLOCK]
        raw = scorer.score(flux[block], ivar[block], rows["z"][block])
        # Not the reconstructions, which would fill the memory.
        boxcars = raw.boxcar_significance, raw.boxcar_power
        others = raw.camera_offset, raw.second_galaxy, raw.galaxy_distance
        columns = raw.latent, raw.nof, raw.wmse, *boxcars, *others
        found.append(columns)

    return Scored(index, rows[index], *map(np.concatenate, zip(*found, strict=True)))


def classwise_wmse(scored: Scored) -> dict[str, dict[str, float]]:
    """Return the number, mean and median wmse of each redrock class, and of all."""
    table: dict[str, dict[str, float]] = {}
    for name in (*SPECTYPES, "all"):
        chosen = scored.wmse[(scored.rows["spectype"] == name) | (name == "all")]
        if len(chosen):
            table[name] = {
                "n": len(chosen),
                "mean": float(chosen.mean(dtype=np.float64)),
                "median": float(np.median(chosen)),
            }
    return table
