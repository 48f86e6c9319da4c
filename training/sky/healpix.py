"""Healpix: petals whose targets lie in one pixel of the sky, as DESI regroups its spectra.

Other than in DESI's, all spectra of a file are of one petal.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from astropy_healpix import HEALPix

from training.sky.files import NSIDE, SimulatedPetal

_PETALS_PER_TILE: Final = 10


def number_of(file: int) -> int:
    """Return which petal is the one of a healpix file, both counted from 0.

    Two files in turn have the same pixel, and some of their targets: one of the bright, one of the
    dark programme. A petal has targets in common with that of the same number on the next tile.
    """
    tiles, pair = divmod(file // 2, _PETALS_PER_TILE)
    return (2 * tiles + file % 2) * _PETALS_PER_TILE + pair


def in_pixel(petal: SimulatedPetal, seed: int, file: int) -> SimulatedPetal:
    """Return a petal with its targets in a pixel, the same for both files of a pair.

    A target has the same place in both.
    """
    grid = HEALPix(nside=NSIDE, order="nested")
    pixel = (seed * 7919 + file // 2) % grid.npix
    # By the target, so that it is the same in every file.
    place = petal.fibermap["TARGETID"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    dx, dy = (
        (place >> np.uint64(40)) / 2**24,
        (place >> np.uint64(16) & np.uint64(0xFFFFFF)) / 2**24,
    )
    ra, dec = grid.healpix_to_lonlat(np.full(len(place), pixel), dx, dy)

    fibermap = petal.fibermap.copy()
    fibermap["TARGET_RA"], fibermap["TARGET_DEC"] = ra.deg, dec.deg
    return replace(petal, fibermap=fibermap, pixel=pixel)
