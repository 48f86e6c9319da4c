"""Helpers of the tests of the simulated sky: FITS tables, headers, band ratios."""

from pathlib import Path
from typing import Any, cast

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from training.sky.grid import WAVE

SEED = 11
"""Of the shared sky."""


def table(path: Path, name: str) -> NDArray[np.void]:
    """Return the rows of a table of a FITS file."""
    with fits.open(path, memmap=False) as hdus:
        return np.array(cast(fits.BinTableHDU, hdus[name]).data)


def pixels(path: Path, name: str) -> NDArray[np.floating]:
    """Return the pixels of an image of a FITS file, in the file's own type."""
    with fits.open(path, memmap=False) as hdus:
        return np.array(cast(fits.ImageHDU, hdus[name]).data)


def header(path: Path, name: str | int) -> Any:
    with fits.open(path, memmap=False) as hdus:
        return cast(fits.PrimaryHDU, hdus[name]).header


def band_ratio(flux: NDArray[np.floating], high: tuple[int, int], low: tuple[int, int]) -> float:
    """Mean flux in one range of wavelengths (Å) over that in another, on the templates' grid."""
    bands = [flux[(start < WAVE) & (end > WAVE)].mean() for start, end in (high, low)]
    return float(bands[0] / bands[1])
