"""Flagged: how many spectra a model flags, and how large its errors are.

By S/N, by class and by petal, and among those that are not eligible. None of this needs a truth.
Where one is known, only inliers are counted.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Manifest
from outcrop.scores import INELIGIBLE, Status
from scoring.preprocess import LOW_SNR

from ..model.card import PAPER_WMSE
from . import metrics
from .results import (
    ClassError,
    FlaggedByPetal,
    FlaggedInClass,
    FlaggedInRange,
    FlaggedShare,
    LeftOut,
)

ALL_CLASSES = "all"
TOO_FAINT = "S/N < 1"
"""Stands for a status bit where a spectrum is not eligible for its S/N alone."""


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
    manifest: Manifest, spectype: NDArray[np.str_], flagged: NDArray[np.bool_], inlier: bool
) -> dict[str, FlaggedInClass]:
    """Return how many spectra are flagged, of all and of each redrock class.

    Parameters
    ----------
    manifest : Manifest
        Of the bundle: its level, and how many spectra of each class it was calibrated on.
    spectype, flagged : (N,)
    inlier : bool
        Whether the spectra are known to be inliers, so that `within` can be computed.
    """
    counts = manifest.calibration.counts
    shares: dict[str, FlaggedInClass] = {}
    for name, members in _classes(spectype).items():
        found = flagged_share(flagged[members])
        key = "calibration" if name == ALL_CLASSES else f"calibration_{name}"
        calibrating = counts.get(key)
        least, most = metrics.flagged_interval(found.n, calibrating, manifest.p_level)
        shares[name] = FlaggedInClass(
            **dict(found),
            n_calibration=calibrating,
            flagged_min=least,
            flagged_max=most,
            within=least <= found.flagged <= most if inlier and found.n else None,
        )
    return shares


def flagged_share(flagged: NDArray[np.bool_]) -> FlaggedShare:
    """Return how many of n spectra are flagged."""
    size, count = len(flagged), int(flagged.sum())
    return FlaggedShare(
        n=size,
        flagged=count,
        share=count / size if size else math.nan,
        interval=metrics.share_interval(count, size),
    )


def flagged_by_petal(petal: NDArray[np.intp], flagged: NDArray[np.bool_]) -> FlaggedByPetal:
    """Return how the flagged share is distributed over the petals of the spectra (N,)."""
    numbers = np.unique(petal)
    if len(numbers) == 0:
        return FlaggedByPetal(petals=0, median=None, p90=None, maximum=None)
    shares = [flagged[petal == number].mean() for number in numbers]
    median, p90 = np.quantile(shares, (0.5, 0.9))
    return FlaggedByPetal(petals=len(numbers), median=median, p90=p90, maximum=max(shares))


def left_out_by_bit(status: NDArray[np.int32], flagged: NDArray[np.bool_]) -> dict[str, LeftOut]:
    """Return how many spectra that are not eligible there are for each reason.

    Parameters
    ----------
    status, flagged : (m,)
    """
    reasons = {str(bit): (status & int(bit)) != 0 for bit in Status if bit & INELIGIBLE}
    reasons[TOO_FAINT] = (status & int(INELIGIBLE)) == 0
    return {
        name: LeftOut(n=int(chosen.sum()), flagged=int(flagged[chosen].sum()))
        for name, chosen in reasons.items()
    }


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
