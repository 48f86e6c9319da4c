"""Camera offsets: by how much a petal's cameras disagree where they overlap.

Cameras b and r both record 5760 to 5800 Å, r and z 7520 to 7620 Å. What the flux of one differs
there from that of the other is noise in a single spectrum; a difference that all spectra of a petal
share is an error of the cameras' calibration. `CameraOffsets.measure` finds it, relative to r, from
all targets of a petal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .scores import Status
from .spectra import CAMERAS, STEP, WAVE, Spectra

LEAST_TARGETS: Final = 50
"""Targets with flux on both sides of a join that its offset is measured from."""
LARGEST_OFFSET: Final = 0.2
"""Offset up to which a petal is corrected; beyond it, it has another fault."""

_UNUSABLE: Final = Status.NOT_TARGET | Status.BAD_FIBER | Status.NO_SPECTRUM
# Pixels on either side of an overlap that tell how bright a spectrum is there.
_BESIDE: Final = 100
# rms of the offset of a single fiber, and of that of a petal.
_OF_FIBER: Final = 0.007
_OF_PETAL: Final = 0.03
_CLIP: Final = 4.0
_STEPS: Final = 5


@dataclass(frozen=True)
class CameraOffsets:
    """The offsets of one petal's cameras.

    Attributes
    ----------
    offset : mapping of str to float
        Relative error of the flux of b, r and z, within ±1; that of r is 0 by definition, and so is
        one that cannot be measured.
    """

    offset: Mapping[str, float]

    @property
    def plausible(self) -> bool:
        """Whether all offsets are up to `LARGEST_OFFSET`."""
        return all(abs(offset) <= LARGEST_OFFSET for offset in self.offset.values())

    @classmethod
    def measure(
        cls, spectra: Spectra, residual: Mapping[str, NDArray[np.float64]] | None = None
    ) -> "CameraOffsets":
        """Measure the offsets of one petal from its targets.

        Without all three cameras all are 0, and so is one without 50 targets at its join.

        Parameters
        ----------
        spectra : Spectra
        residual : mapping of str to (P,) float64, optional
            Of each band, the flux that is to be taken off before: sky lines between two cameras
            must not pass for an offset.
        """
        offset: dict[str, float] = dict.fromkeys(CAMERAS, 0.0)
        if tuple(spectra.bands) != CAMERAS:
            return cls(offset)

        # In an order of their own: the sums do not depend on that of the file.
        targets = np.flatnonzero((spectra.status & int(_UNUSABLE)) == 0)
        targets = targets[np.argsort(spectra.targetid[targets], kind="stable")]
        residual = residual or {}
        blue = _difference(spectra, targets, "b", "r", residual)
        red = _difference(spectra, targets, "r", "z", residual)

        # r is 1 + red times z.
        return cls({"b": min(max(blue, -1.0), 1.0), "r": 0.0, "z": 1 / (1 + max(red, -0.5)) - 1})


def _difference(
    spectra: Spectra,
    targets: NDArray[np.intp],
    left_name: str,
    right_name: str,
    residual: Mapping[str, NDArray[np.float64]],
) -> float:
    """Return by how much the left camera's flux is above the right one's, relative to it."""
    shared = int(np.rint((WAVE[left_name][-1] - WAVE[right_name][0]) / STEP)) + 1
    left, left_ivar = _part(spectra, targets, left_name, slice(-shared - _BESIDE, None), residual)
    right, right_ivar = _part(spectra, targets, right_name, slice(shared + _BESIDE), residual)
    brightness = (_median(left[:, :-shared]) + _median(right[:, shared:])) / 2

    # The summed difference of each spectrum, weighted, and the sum of the weights.
    one, other = left[:, -shared:], right[:, :shared]
    good = np.isfinite(one) & np.isfinite(other)
    weight = _weight(left_ivar[:, -shared:], right_ivar[:, :shared], good)
    difference = np.where(good, one.astype(np.float64) - other, 0)
    total = weight.sum(axis=1)
    used = (total > 0) & (brightness > 0)
    if np.count_nonzero(used) < LEAST_TARGETS:
        return 0.0

    # Each spectrum's own offset, and its variance.
    total, brightness = total[used], brightness[used]
    own = (weight * difference)[used].sum(axis=1) / (brightness * total)
    variance = 1 / (brightness**2 * total) + _OF_FIBER**2

    # The mean, without those far from it.
    mean, near = float(np.median(own)), np.ones(len(own), np.bool_)
    for _ in range(_STEPS):
        near = np.abs(own - mean) < _CLIP * np.sqrt(variance)
        if not near.any():
            return 0.0
        mean = float(np.sum((own / variance)[near]) / np.sum(1 / variance[near]))

    # Shrunk where it is uncertain.
    error = 1 / np.sum(1 / variance[near])
    return mean * _OF_PETAL**2 / (_OF_PETAL**2 + float(error))


def _part(
    spectra: Spectra,
    rows: NDArray[np.intp],
    name: str,
    pixels: slice,
    residual: Mapping[str, NDArray[np.float64]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return flux, without its residual, and ivar of some rows and pixels of a band.

    Flux is NaN and ivar 0 where there is no information.
    """
    band = spectra.bands[name]
    flux, ivar = band.flux[:, pixels][rows], band.ivar[:, pixels][rows]
    if name in residual:
        # A flux of 0 stays: it marks a pixel without information.
        flux = np.where(flux == 0, flux, flux - residual[name][pixels].astype(np.float32))
    good = (ivar > 0) & np.isfinite(ivar) & np.isfinite(flux)
    if band.mask is not None:
        good &= band.mask[:, pixels][rows] == 0
    return np.where(good, flux, np.float32(np.nan)), np.where(good, ivar, np.float32(0))


def _weight(
    left: NDArray[np.float32], right: NDArray[np.float32], good: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the inverse variance of the difference of two fluxes; 0 where not good."""
    one = np.where(good, left, 1).astype(np.float64)
    other = np.where(good, right, 1).astype(np.float64)
    return np.where(good, one * other / (one + other), 0)


def _median(flux: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the lower median (N,) of flux (N, P) that is not NaN, 0 where all is."""
    # NaN are sorted to the end.
    ascending = np.sort(flux, axis=1)
    count = np.count_nonzero(~np.isnan(ascending), axis=1)
    middle = np.maximum(count - 1, 0) // 2
    lower = np.take_along_axis(ascending, middle[:, None], axis=1)[:, 0]
    return np.nan_to_num(lower.astype(np.float64))
