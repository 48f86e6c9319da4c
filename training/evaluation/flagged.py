"""Flagged: how many spectra a model flags, and how large its errors are, by S/N and by class.

Both need no truth. Where one is known, only inliers are counted.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Manifest
from scoring.preprocess import LOW_SNR

from ..model.card import PAPER_WMSE
from . import metrics
from .results import ClassError, FlaggedInRange, FlaggedShare

ALL_CLASSES = "all"


def flagged_by_snr(
    manifest: Manifest, snr: NDArray[np.float64], flagged: NDArray[np.bool_], inlier: bool
) -> list[FlaggedInRange]:
    """Return how many spectra are flagged at S/N 1-5 and in each quartile of S/N.

    Parameters
    ----------
    manifest : Manifest
        Of the bundle: its level, and the size of its calibration sample.
    snr, flagged : (N,)
    inlier : bool
        Whether the spectra are known to be inliers, so that `within` can be computed.
    """
    counts = manifest.calibration.counts
    faint = snr <= LOW_SNR
    edges = np.quantile(snr, [0, 0.25, 0.5, 0.75, 1]) if len(snr) else np.zeros(5)
    ranges: list[FlaggedInRange] = []

    for low, high in [(1.0, LOW_SNR), *pairwise(edges)]:
        inside = (snr >= low) & ((snr < high) | ((high == edges[-1]) & (snr == high)))
        size, count = int(inside.sum()), int(flagged[inside].sum())

        # Calibration and test spectra are of one population: their shares by S/N agree.
        calibrating = round(
            counts["calibration"] * size / max(len(snr), 1)
            + counts["faint"] * (inside & faint).sum() / max(faint.sum(), 1)
        )
        least, most = metrics.flagged_interval(size, calibrating, manifest.p_level)
        ranges.append(
            FlaggedInRange(
                snr_min=low,
                snr_max=high,
                n=size,
                flagged=count,
                share=count / size if size else math.nan,
                n_calibration=calibrating,
                flagged_min=least,
                flagged_max=most,
                within=least <= count <= most if inlier and size else None,
            )
        )
    return ranges


def flagged_by_class(
    spectype: NDArray[np.str_], flagged: NDArray[np.bool_]
) -> dict[str, FlaggedShare]:
    """Return the flagged share of all spectra and of each redrock class."""
    shares: dict[str, FlaggedShare] = {}
    for name, members in _classes(spectype).items():
        size, count = int(members.sum()), int(flagged[members].sum())
        shares[name] = FlaggedShare(
            n=size,
            flagged=count,
            share=count / size if size else math.nan,
            interval=metrics.share_interval(count, size),
        )
    return shares


def error_by_class(
    spectype: NDArray[np.str_], snr: NDArray[np.float64], wmse: NDArray[np.float64]
) -> dict[str, ClassError]:
    """Return the wmse at S/N above 5 of all spectra and of each redrock class."""
    errors: dict[str, ClassError] = {}
    for name, members in _classes(spectype).items():
        some = wmse[members & (snr > LOW_SNR)]
        errors[name] = ClassError(
            n=len(some),
            mean=some.mean() if len(some) else math.nan,
            median=np.median(some) if len(some) else math.nan,
            paper_mean=PAPER_WMSE.get(name, math.nan),
        )
    return errors


def _classes(spectype: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Return the members (N,) of all, and of each class that occurs here or in the paper."""
    names = sorted({str(one) for one in spectype} | set(PAPER_WMSE) - {ALL_CLASSES})
    everything = np.ones(len(spectype), np.bool_)
    return {ALL_CLASSES: everything} | {name: spectype == name for name in names}
