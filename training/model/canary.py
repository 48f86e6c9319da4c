"""Canary: choose the spectra that check each machine that serves a model.

They come from the calibration sample: from each redrock class the inliers with p-values nearest to
0.5, and from all spectra the most anomalous. None is so near to a threshold that rounding could
change a flag.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Thresholds
from outcrop import Spectra
from outcrop.spectra import Band
from scoring.calibration import Calibration
from scoring.canary import MARGIN, Canary
from scoring.preprocess import LOW_COVERAGE, LOW_SNR

from .config import Config
from .cuts import read_corrected
from .dataset import RestSample
from .scored import SPECTYPES, Scored

_OF_EACH_CLASS = 2
_ANOMALOUS = 4


def make_canary(
    scored: Scored,
    sample: RestSample,
    calibration: Calibration,
    thresholds: Thresholds,
    config: Config,
) -> Canary:
    """Choose canary spectra among scored ones and read them again from their petals."""
    p_value, p_level = scored.p_value(calibration), config.levels.p_value

    # Spectra clear of every threshold.
    scores: Mapping[str, tuple[NDArray[np.floating], float]] = {
        **{f"snr {end:g}": (scored.rows["snr"], end) for end in (LOW_SNR, *calibration.snr_range)},
        "coverage": (scored.rows["coverage"], LOW_COVERAGE),
        "wmse": (scored.wmse, thresholds.wmse),
        "nof": (scored.nof, thresholds.nof),
        "p_value": (p_value, p_level),
    }
    clear = np.all([np.abs(v / threshold - 1) > MARGIN for v, threshold in scores.values()], axis=0)

    inlier = clear & (p_value > p_level)
    chosen = [
        _smallest(np.abs(p_value - 0.5), inlier & (scored.rows["spectype"] == name), _OF_EACH_CLASS)
        for name in SPECTYPES
    ]
    chosen.append(_smallest(p_value, clear & (p_value < p_level), _ANOMALOUS))
    # In the order of the petals, as they are read.
    canary = scored.choose(np.sort(np.concatenate(chosen)))

    bright = canary.rows["snr"] >= LOW_SNR
    return Canary(
        _read(sample, canary, config),
        canary.wmse,
        canary.nof,
        {
            "wmse_anomaly": bright & (canary.wmse > thresholds.wmse),
            "nof_anomaly": bright & (canary.nof < thresholds.nof),
            "anomaly": canary.p_value(calibration) < p_level,
        },
    )


def _smallest(
    order: NDArray[np.floating], members: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """Return the members, at most `count`, whose order is smallest."""
    rows = np.flatnonzero(members)
    return rows[np.argsort(order[rows], kind="stable")[:count]]


def _read(sample: RestSample, canary: Scored, config: Config) -> Spectra:
    """Return the spectra as clients send them, in the bands of the first petal."""
    parts: list[Spectra] = []
    for number in np.unique(canary.rows["petal"]):
        spectra = read_corrected(sample.petals[number], config.sample)
        wanted = canary.rows["targetid"][canary.rows["petal"] == number]
        place = {int(target): row for row, target in enumerate(spectra.targetid)}
        parts.append(spectra[np.array([place[int(target)] for target in wanted])])

    bands = {
        name: Band(
            np.concatenate([part.bands[name].folded().flux for part in parts]),
            np.concatenate([part.bands[name].folded().ivar for part in parts]),
        )
        for name in parts[0].bands
    }
    return Spectra(
        bands,
        z=np.concatenate([part.z for part in parts]),
        targetid=np.concatenate([part.targetid for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        spectype=canary.rows["spectype"],
    )
