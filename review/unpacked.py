"""Unpacked: the spectra of the gzipped coadds that were last looked at.

A gzipped file is unpacked as a whole for one spectrum, which takes seconds.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop import WAVE, Band
from outcrop.fingerprint import FileFingerprint
from outcrop.spectra import CAMERAS

MOST_BYTES: Final = 160 << 20
"""Of all spectra that are kept; a petal of 500 has 48 MB."""
_GZIP: Final = b"\x1f\x8b"
_SPECTRUM: Final = sum(len(WAVE[camera]) for camera in CAMERAS) * 12
"""Bytes of flux, ivar and mask."""


class UnpackedCoadds:
    """Bands of coadds by their path, the least recently used ones given up first.

    Parameters
    ----------
    most_bytes : int
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: dict[Path, tuple[FileFingerprint, dict[str, Band]]] = {}
        self._lock = threading.Lock()

    def keeps(self, coadd: Path, spectra: int) -> bool:
        """Return whether a coadd of so many spectra is gzipped, and small enough to be kept."""
        with coadd.open("rb") as file:
            return file.read(len(_GZIP)) == _GZIP and spectra * _SPECTRUM <= self._most

    def read(
        self, coadd: Path, rows: NDArray[np.intp], read: Callable[[], dict[str, Band]]
    ) -> dict[str, Band]:
        """Return some rows of a coadd, which is read where it is not kept, or changed since."""
        version = FileFingerprint.of(coadd)
        with self._lock:
            found = self._kept.pop(coadd, None)
            if found is not None and found[0] == version:
                self._kept[coadd] = found
                return _chosen(found[1], rows)

        bands = read()
        with self._lock:
            self._kept[coadd] = version, bands
            while sum(_size(one) for _, one in self._kept.values()) > self._most:
                del self._kept[next(iter(self._kept))]
        return _chosen(bands, rows)


def _chosen(bands: dict[str, Band], rows: NDArray[np.intp]) -> dict[str, Band]:
    return {
        name: Band(one.flux[rows], one.ivar[rows], None if one.mask is None else one.mask[rows])
        for name, one in bands.items()
    }


def _size(bands: dict[str, Band]) -> int:
    return sum(
        array.nbytes
        for band in bands.values()
        for array in (band.flux, band.ivar, band.mask)
        if array is not None
    )
