"""Line matching: the redshift at which a spectrum's emission lines are where lines are known to be.

It reaches beyond the redshifts of the model. The spectrum, divided by a running median, is compared
with two templates, of a quasar and of a galaxy with emission lines. Each has its lines in fixed
proportions, so that a line that ought to be there, and is not, counts against a redshift. The
redshifts of the model are scanned, too: where the lines fit best there, nothing is proposed.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from outcrop.spectra import WAVE

from .lines import LIGHT_SPEED

QUASAR: Final = (
    ("Lyα", 1215.67, 5.0),
    ("C IV", 1549.06, 1.0),
    ("C III]", 1908.73, 0.72),
    ("Mg II", 2799.94, 0.75),
    ("Hβ", 4862.68, 0.62),
    ("Hα", 6564.61, 1.9),
)
"""Name, vacuum Å, and relative height over the continuum; equivalent widths of Vanden Berk et al.
(2001), table 2, over the wavelength."""
GALAXY: Final = (
    ("[O II]", 3728.48, 1.0),
    ("Hβ", 4862.68, 0.5),
    ("[O III]", 5008.24, 1.0),
    ("[O III]", 4960.295, 0.35),
    ("Hα", 6564.61, 1.8),
)

_REDSHIFTS: Final = (0.0, 5.0)
_STEP: Final = 4e-4
"""Of ln wavelength and of ln(1 + z)."""
_BROAD: Final = 2300.0 / LIGHT_SPEED
_NARROW: Final = 180.0 / LIGHT_SPEED
_MEDIAN: Final = 151
"""Blocks of the running median: 480 Å, wider than a broad line."""
_BLOCK: Final = 4
_ERROR: Final = 0.03
"""Of the continuum, relative: where the noise is less, a line must still stand out from it."""
_FLOOR: Final = 0.1
"""Least continuum, in units of its median."""

_LEAST_GAIN: Final = 50.0
_LEAST_SHARE: Final = 0.1
"""Of the χ² of the spectrum without its continuum; absorption is no part of the templates."""
_RUNNER_UP: Final = 0.8
_LEAST_SECOND: Final = 16.0
"""χ² of a line that is seen."""
_SHARE_OF_SECOND: Final = 0.01
"""The same in units of the whole gain."""
_APART: Final = 0.02
"""ln(1 + z) between two redshifts that are not the same."""

_FIRST: Final = float(np.log(WAVE["brz"][0]))
_CELLS: Final = int((np.log(WAVE["brz"][-1]) - _FIRST) / _STEP) + 1
_CELL: Final = ((np.log(WAVE["brz"]) - _FIRST) / _STEP).astype(np.int64)
_SHIFTS: Final = np.arange(np.log(1 + _REDSHIFTS[0]), np.log(1 + _REDSHIFTS[1]), _STEP)
"""ln(1 + z)."""
_TEMPLATES: Final = ((QUASAR, _BROAD), (GALAXY, _NARROW))


@dataclass(frozen=True)
class LineMatch:
    """A redshift that lines propose.

    Attributes
    ----------
    z : float
    delta_chi2 : float
        χ² that the lines explain.
    lines : tuple of str
        That are seen, the most significant first; two at least.
    other_z, other_delta_chi2 : float
        The next best redshift and what its lines explain.
    """

    z: float
    delta_chi2: float
    lines: tuple[str, ...]
    other_z: float
    other_delta_chi2: float


@njit(cache=True, nogil=True, error_model="numpy")
def _continuum(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the running median of blocks of good pixels, linear between their middles."""
    pixels = len(flux)
    blocks = (pixels + _BLOCK - 1) // _BLOCK
    means = np.full(blocks, np.nan)
    for i in range(blocks):
        total, count = 0.0, 0
        for k in range(i * _BLOCK, min((i + 1) * _BLOCK, pixels)):
            if ivar[k] > 0:
                total += flux[k]
                count += 1
        if count > 0:
            means[i] = total / count

    medians = np.zeros(blocks)
    half = _MEDIAN // 2
    window = np.empty(_MEDIAN + 1)
    size = 0
    for i in range(-half, blocks):
        if i + half < blocks and means[i + half] == means[i + half]:
            place = np.searchsorted(window[:size], means[i + half])
            for j in range(size, place, -1):
                window[j] = window[j - 1]
            window[place] = means[i + half]
            size += 1
        if i > half and means[i - half - 1] == means[i - half - 1]:
            place = np.searchsorted(window[:size], means[i - half - 1])
            for j in range(place, size - 1):
                window[j] = window[j + 1]
            size -= 1
        if i >= 0:
            medians[i] = window[size // 2] if size > 0 else 0.0

    middles = np.arange(blocks) * float(_BLOCK) + (_BLOCK - 1) / 2
    return np.interp(np.arange(pixels) * 1.0, middles, medians)


@njit(cache=True, nogil=True)
def _filtered(values: NDArray[np.float64], profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Σ profile·value around each cell."""
    reach = len(profile) // 2
    padded = np.zeros(len(values) + 2 * reach)
    padded[reach : reach + len(values)] = values
    sums = np.zeros(len(values))
    # The inner loop has no branch, so that it is vectorised.
    for k in range(len(profile)):
        for i in range(len(values)):
            sums[i] += profile[k] * padded[i + k]
    return sums


@njit(cache=True, nogil=True)
def _gains(
    products: NDArray[np.float64],
    weights: NDArray[np.float64],
    lines: NDArray[np.float64],
    heights: NDArray[np.float64],
    counted: NDArray[np.bool_],
    shifts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the χ² that a template explains at each redshift, and whether two lines are seen."""
    gains = np.zeros(len(shifts))
    several = np.zeros(len(shifts), np.bool_)
    for i in range(len(shifts)):
        product, square, first, second = 0.0, 0.0, 0.0, 0.0
        for k in range(len(lines)):
            cell = int(np.floor((lines[k] + shifts[i] - _FIRST) / _STEP))
            if 0 <= cell < len(products):
                product += heights[k] * products[cell]
                square += heights[k] * heights[k] * weights[cell]
                own = 0.0
                if counted[k] and products[cell] > 0.0 and weights[cell] > 0.0:
                    own = products[cell] * products[cell] / weights[cell]
                first, second = max(first, own), max(min(first, own), second)
        if product > 0.0 and square > 0.0:
            gains[i] = product * product / square
            several[i] = second > max(_LEAST_SECOND, _SHARE_OF_SECOND * gains[i])
    return gains, several


def match_lines(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], z_least: float
) -> LineMatch | None:
    """Propose a redshift from emission lines; None where there is none to propose.

    Parameters
    ----------
    flux, ivar : (7781,) float32
        The coadd, observed frame.
    z_least : float
        Only redshifts above are proposed: the end of the model's range.
    """
    continuum = _continuum(flux, ivar)
    level = float(np.median(np.abs(continuum)))
    if not level > 0:
        return None
    continuum = np.maximum(continuum, _FLOOR * level)

    # Relative to the continuum, in cells of ln wavelength
    information = ivar * continuum**2
    excess = information * (flux / continuum - 1)
    weight = np.bincount(_CELL, information, _CELLS)
    product = np.bincount(_CELL, excess, _CELLS)
    product, weight = product / (1 + _ERROR**2 * weight), weight / (1 + _ERROR**2 * weight)
    seen = weight > 0
    if not seen.any():
        return None
    beyond_noise = float((product[seen] ** 2 / weight[seen] - 1).sum())

    templates = [_Template(lines, sigma, product, weight) for lines, sigma in _TEMPLATES]
    gains = np.array([one.gains * one.several for one in templates])
    better, gain = gains.argmax(axis=0), gains.max(axis=0)
    best = int(gain.argmax())
    others = np.where(np.abs(_SHIFTS - _SHIFTS[best]) > _APART, gain, 0)
    other = int(others.argmax())

    z, found = float(np.expm1(_SHIFTS[best])), float(gain[best])
    certain = found > max(_LEAST_GAIN, _LEAST_SHARE * beyond_noise)
    if not (certain and others[other] < _RUNNER_UP * found and z > z_least):
        return None
    lines = templates[better[best]].seen(best)
    return LineMatch(z, found, lines, float(np.expm1(_SHIFTS[other])), float(others[other]))


class _Template:
    """A template's lines in a spectrum."""

    def __init__(
        self,
        lines: tuple[tuple[str, float, float], ...],
        sigma: float,
        product: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> None:
        names, waves, heights = zip(*lines, strict=True)
        self.names: tuple[str, ...] = names
        self.waves, self.heights = np.log(np.array(waves)), np.array(heights)
        reach = int(3.5 * sigma / _STEP) + 1
        profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / sigma) ** 2)
        self.products, self.weights = _filtered(product, profile), _filtered(weight, profile**2)
        # A doublet is one line.
        counted = np.array([names.index(name) == k for k, name in enumerate(names)])
        self.gains, self.several = _gains(
            self.products, self.weights, self.waves, self.heights, counted, _SHIFTS
        )

    def seen(self, shift: int) -> tuple[str, ...]:
        """Return the lines that are significant at a redshift, the most significant first."""
        cell = np.floor((self.waves + _SHIFTS[shift] - _FIRST) / _STEP).astype(int)
        inside = np.flatnonzero((cell >= 0) & (cell < _CELLS))
        product, weight = self.products[cell[inside]], self.weights[cell[inside]]
        gain = np.where(weight > 0, np.maximum(product, 0) ** 2 / np.maximum(weight, 1e-30), 0)
        least = max(_LEAST_SECOND, _SHARE_OF_SECOND * self.gains[shift])
        order = np.argsort(-gain)
        return tuple(dict.fromkeys(self.names[inside[k]] for k in order if gain[k] > least))
