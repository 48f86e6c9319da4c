"""Canary: choose the spectra that check each machine that serves a model.

They come from the calibration sample: from each redrock class the inliers with p-values nearest to
0.5, and from all spectra the most anomalous. None is so near to a threshold that rounding could
change a flag.
"""

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Thresholds
from scoring.calibration import Calibration
from scoring.canary import MARGIN, Canary
from scoring.preprocess import LOW_COVERAGE, LOW_SNR

from .. import TrainingError
from ..damaged import DamagedPetal
from .config import Config
from .dataset import RestSample
from .observed import are_kept, read_observed
from .scored import SPECTYPES, Scored

_log = logging.getLogger(__name__)

_OF_EACH_CLASS = 2
_ANOMALOUS = 4


def make_canary(
    scored: Scored,
    sample: RestSample,
    calibration: Calibration,
    thresholds: Thresholds,
    config: Config,
) -> Canary:
    """Choose canary spectra among scored ones and read them again from their petals.

    If petals cannot be read any more, they are chosen among the spectra that were read for an
    earlier fit to the same sample.

    Raises
    ------
    TrainingError
        If there are none of those either.
    """
    try:
        return _canary(scored, sample, calibration, thresholds, config)
    except DamagedPetal as error:
        kept = scored.choose(are_kept(sample, scored.rows))
        if len(kept.index) == 0:
            raise TrainingError(
                f"{error}; the canary of a bundle needs a few spectra as they were observed, and "
                "none were kept by an earlier fit: fetch the files again"
            ) from error
        _log.warning("%s; the canary is chosen among spectra that an earlier fit kept", error)
        return _canary(kept, sample, calibration, thresholds, config)


def _canary(
    scored: Scored,
    sample: RestSample,
    calibration: Calibration,
    thresholds: Thresholds,
    config: Config,
) -> Canary:
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
    found = calibration.p_values(canary.inputs())
    return Canary(
        read_observed(sample, canary.rows, config),
        canary.wmse,
        canary.nof,
        found.within_class,
        found.pooled,
        {
            "wmse_anomaly": bright & (canary.wmse > thresholds.wmse),
            "nof_anomaly": bright & (canary.nof < thresholds.nof),
            "anomaly": found.within_class < p_level,
        },
    )


def _smallest(
    order: NDArray[np.floating], members: NDArray[np.bool_], count: int
) -> NDArray[np.intp]:
    """Return the members, at most `count`, whose order is smallest."""
    rows = np.flatnonzero(members)
    return rows[np.argsort(order[rows], kind="stable")[:count]]
