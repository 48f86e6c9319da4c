"""Sky lines: the emission lines of the night sky and their brightness.

Their wavelengths are those in the Earth's frame. DESI's are barycentric, so that a line lies up to
1 Å from where it is here, depending on the date.
"""

import csv
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 1.0
"""Å by which the Earth's motion moves a line at most."""


@cache
def sky_lines() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return wavelength and brightness of the lines.

    Returns
    -------
    wave : (L,) float64
        Ascending; Earth's frame, vacuum Å.
    brightness : (L,) float64
        In units of the sky between the lines.
    """
    with (Path(__file__).parent / "sky_lines.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    wave = np.array([float(row["wave"]) for row in rows])
    brightness = np.array([float(row["brightness"]) for row in rows])
    wave.flags.writeable = brightness.flags.writeable = False
    return wave, brightness


def sky_brightness(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the summed brightness (K,) of the lines that may lie between two wavelengths (K,)."""
    wave, brightness = sky_lines()
    before = np.append(0.0, np.cumsum(brightness))
    end = np.searchsorted(wave, last + TOLERANCE, side="right")
    return before[end] - before[np.searchsorted(wave, first - TOLERANCE)]
