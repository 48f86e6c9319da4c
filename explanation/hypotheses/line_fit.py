"""Line fit: lines of free height on a reconstruction, in turns with it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Reconstructor
from ..lines import LIGHT_SPEED

_ROUNDS = 3
# Bins this many σ from a line are left out of the first reconstruction.
_AROUND = 2.5


def profiles(
    wave: NDArray[np.float64],
    centres: Sequence[float] | NDArray[np.float64],
    widths: Sequence[float],
    winged: bool = False,
) -> NDArray[np.float64]:
    """Return lines (K, L, M) of height 1, for each of K widths and L centres.

    Parameters
    ----------
    wave : (M,) float64
        Centres of bins, Å.
    centres : sequence of float
        Å.
    widths : sequence of float
        σ, km/s; bins make the lines wider.
    winged : bool
        Student's t with 3 degrees of freedom instead of Gaussian.
    """
    centre = np.asarray(centres)[:, None]
    sigma = np.asarray(widths)[:, None, None] * centre / LIGHT_SPEED
    sigma = np.sqrt(sigma**2 + (wave[1] - wave[0]) ** 2 / 12)
    square = ((wave - centre) / sigma) ** 2
    return (1 + square / 3) ** -2 if winged else np.exp(-0.5 * square)


def fit_lines(
    case: Case, reconstruct: Reconstructor, shapes: NDArray[np.float64], sign: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the heights of lines, all of this sign or 0, for each of K sets of shapes.

    First the spectrum is reconstructed without the lines' bins, then it follows the spectrum
    without the lines.

    Parameters
    ----------
    shapes : (K, L, M) float64
    sign : int

    Returns
    -------
    heights : (K, L) float64
    chi2 : (K,) float64
        Of what is left.
    """
    weight = case.ivar.astype(np.float64)
    flux = np.repeat(case.flux[None], len(shapes), axis=0)
    ivar = np.repeat(case.ivar[None], len(shapes), axis=0)

    within = (shapes > np.exp(-0.5 * _AROUND**2)).any(axis=1)
    # A spectrum needs bins beside the lines.
    within &= (within & case.good).sum(axis=1, keepdims=True) < 0.5 * case.good.sum()
    found = reconstruct(flux, np.where(within, np.float32(0), ivar))

    heights = np.zeros(shapes.shape[:2])
    for _ in range(_ROUNDS):
        for k in range(len(shapes)):
            heights[k] = _heights(shapes[k], weight, case.flux - found.model[k], sign)
        light = np.einsum("kl,klm->km", heights, shapes)
        found = reconstruct((flux - light).astype(np.float32), ivar)
    return heights, found.chi2


def _heights(
    shapes: NDArray[np.float64],
    weight: NDArray[np.float64],
    residual: NDArray[np.float64],
    sign: int,
) -> NDArray[np.float64]:
    """Return the least-squares heights (L,); those of the other sign are left out in turn."""
    heights = np.zeros(len(shapes))
    # The middle of a line has to be seen.
    used = np.flatnonzero((shapes * (weight > 0)).max(axis=1) > 0.5 * shapes.max(axis=1))
    weighted = shapes * weight
    normal, projection = weighted @ shapes.T, weighted @ residual
    normal[np.diag_indices(len(normal))] *= 1 + 1e-6
    while len(used):
        found = np.linalg.solve(normal[np.ix_(used, used)], projection[used])
        if (found * sign >= 0).all():
            heights[used] = found
            break
        used = used[found * sign > 0]
    return heights
