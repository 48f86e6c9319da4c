"""Positions: HEALPix pixels of targets."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ORDER: Final = 29
"""Of the pixels that HATS joins by; 0.4 milliarcseconds wide."""
DESI_ORDER: Final = 6
"""Of the pixels by which DESI groups its files: NSIDE 64."""


def pixels(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nested pixels of `ORDER`; −1 where a position is unknown or none.

    Parameters
    ----------
    ra, dec : (N,) float64
        Degrees.

    Examples
    --------
    >>> import numpy as np
    >>> from release.collect.positions import DESI_ORDER, coarser, pixels
    >>> found = pixels(np.array([45.0, np.nan]), np.array([0.0, 0.0]))
    >>> coarser(found, DESI_ORDER).tolist()
    [1365, -1]
    """
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    known = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    found = np.full(len(ra), -1, np.int64)
    if known.any():
        found[known] = lonlat_to_healpix(
            ra[known] * units.deg, dec[known] * units.deg, 1 << ORDER, order="nested"
        )
    return found


def coarser(pixel: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Return the pixels of another order that those of `ORDER` lie in; −1 stays −1."""
    return pixel >> (2 * (ORDER - order))
