"""From the rest frame of a template to the pixels of DESI: dispersion, redshift, lines.

Spectra are built on the common grid of the three cameras, observed frame, vacuum Å, before they
are split into cameras and noise is added.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop.spectra import STEP
from outcrop.spectra import WAVE as BANDS
from training.sky.grid import DLNWAVE, LIGHT_SPEED, WAVE, Array

OBSERVED: Final = BANDS["brz"]

RESOLUTION: Final = 0.78
"""Width (σ) of DESI's line spread, Å; close to constant, so R runs from 2000 to 5000."""

_PADDED: Final = 16384


def disperse(flux: NDArray[np.float32], dispersion: Array) -> NDArray[np.float32]:
    """Broaden templates on `grid.WAVE` with Gaussians of the given widths (N,), km/s."""
    pixels = len(WAVE)
    padded = np.empty((len(flux), _PADDED), np.float32)
    padded[:, :pixels] = flux
    # A ramp from the last pixel to the first keeps the ends from leaking into each other
    ramp = np.linspace(0, 1, _PADDED - pixels, dtype=np.float32)
    padded[:, pixels:] = flux[:, -1:] * (1 - ramp) + flux[:, :1] * ramp

    sigma = np.asarray(dispersion) / LIGHT_SPEED / DLNWAVE
    window = np.exp(-2 * (np.pi * sigma[:, None] * np.fft.rfftfreq(_PADDED)) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(padded) * window, _PADDED)
    return smooth[:, :pixels].astype(np.float32)


def redshifted(flux: NDArray[np.float32], z: Array) -> Array:
    """Return templates (N, P) on `grid.WAVE` as seen at redshifts z, (N, 7781)."""
    pixel = (np.log(OBSERVED) - np.log(WAVE[0])) / DLNWAVE
    out = np.empty((len(flux), len(OBSERVED)))
    for row, spectrum, shift in zip(out, flux, np.log1p(z) / DLNWAVE, strict=True):
        row[:] = np.interp(pixel - shift, np.arange(len(WAVE)), spectrum)
    return out


def add_line(flux: Array, centre: Array, strength: Array, sigma: Array) -> None:
    """Add a Gaussian line to each spectrum in place, smeared by DESI's line spread.

    Parameters
    ----------
    flux : (N, 7781) float64
        Spectra, changed.
    centre, sigma : (N,) float64
        Observed wavelength and intrinsic width, Å; any part outside the grid is lost.
    strength : (N,) float64
        Integrated flux, in units of the spectrum's flux times Å; negative absorbs.
    """
    sigma = np.sqrt(sigma**2 + RESOLUTION**2 + STEP**2 / 12)
    reach = int(np.ceil(5 * sigma.max() / STEP))
    pixel = np.rint((centre - OBSERVED[0]) / STEP).astype(int)[:, None] + np.arange(
        -reach, reach + 1
    )
    inside = (pixel >= 0) & (pixel < len(OBSERVED))

    offset = OBSERVED[0] + STEP * pixel - centre[:, None]
    height = strength / (np.sqrt(2 * np.pi) * sigma)
    profile = height[:, None] * np.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    row, column = np.nonzero(inside)
    flux[row, pixel[row, column]] += profile[row, column]


def continuum_at(flux: Array, centre: Array, width: float = 60.0) -> Array:
    """Return the median flux within ± width Å of an observed wavelength, (N,)."""
    reach = int(width / STEP)
    pixel = np.rint((centre - OBSERVED[0]) / STEP).astype(int)[:, None]
    pixel = np.clip(pixel + np.arange(-reach, reach + 1), 0, len(OBSERVED) - 1)
    return np.median(np.take_along_axis(flux, pixel, axis=1), axis=1)


def unit_mean(flux: Array) -> Array:
    """Scale spectra to a mean of one over 4000 to 9000 Å, observed."""
    inside = (OBSERVED > 4000) & (OBSERVED < 9000)
    return flux / flux[:, inside].mean(axis=1, keepdims=True)
