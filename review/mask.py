"""Mask: why pixels are not used, in the bits of DESI's spectral mask."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop import WAVE, Spectra
from outcrop.spectra import STEP

BITS: Final = (
    *("SOMEBADPIX", "ALLBADPIX", "COSMIC", "LOWFLAT", "BADFIBERFLAT", "BRIGHTSKY", "BADSKY"),
    *("BAD2DFIT", "NODATA", "BADFIBER", "BADCOLUMN", "SATURATED"),
)
"""desispec.maskbits.specmask; bit 0 first."""


def mask_bits(spectrum: Spectra) -> NDArray[np.int32]:
    """Return the bits that any camera has at each pixel of the common grid.

    Where two cameras overlap, a pixel may have bits and yet be used, for the other's sake.
    """
    start, found = WAVE["brz"][0], np.zeros(len(WAVE["brz"]), np.int32)
    for name, band in spectrum.bands.items():
        if band.mask is not None:
            first = round((WAVE[name][0] - start) / STEP)
            found[first : first + band.mask.shape[1]] |= band.mask[0].astype(np.int32)
    return found
