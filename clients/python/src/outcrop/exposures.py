"""Exposures: the single spectra that a coadd is the mean of, from the ``spectra-*.fits`` beside it.

Such a file has one row per target and exposure and is as large as the coadd or several times as
large, so only the rows of the wanted targets are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._bands import read_bands
from ._fits import FitsFile
from .desi import HARMLESS_FIBERSTATUS
from .index import Index, to_rows
from .spectra import Band

_ENDS: Final = (".fits", ".fits.gz")


@dataclass(frozen=True, eq=False)
class Exposures:
    """M spectra of single exposures; an index chooses some of them, as for `Spectra`.

    Attributes
    ----------
    bands : mapping of str to Band
        One to three of ``b``, ``r``, ``z``, or ``brz`` alone; without masks.
    targetid, expid, night : (M,) int64
        Sorted by EXPID, so in the order of time. NIGHT is YYYYMMDD.
    """

    bands: Mapping[str, Band]
    targetid: NDArray[np.int64]
    expid: NDArray[np.int64]
    night: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targetid)

    def __getitem__(self, index: Index) -> "Exposures":
        rows = to_rows(index, len(self))
        bands = {name: band[rows] for name, band in self.bands.items()}
        return Exposures(bands, self.targetid[rows], self.expid[rows], self.night[rows])


def find_exposures(coadd: Path) -> Path | None:
    """Return the spectra file beside a coadd, plain or gzipped; None where there is none."""
    stem = coadd.name.removesuffix(".gz").removesuffix(".fits").removeprefix("coadd")
    names = [coadd.with_name(f"spectra{stem}{end}") for end in _ENDS]
    return next((path for path in names if path.is_file()), None)


def read_exposures(path: Path, targetids: NDArray[np.int64]) -> Exposures:
    """Read the exposures of some targets.

    Parameters
    ----------
    path : Path
        A DESI spectra file.
    targetids : (N,) int64

    Returns
    -------
    Exposures
        Those whose FIBERSTATUS is harmless; a target may have none.

    Raises
    ------
    InputError
        Where the file is missing, damaged or of another kind.
    """
    with FitsFile(path) as file:
        fibermap = file.table("FIBERMAP")
        targetid, expid, night = (
            fibermap.integers(name) for name in ("TARGETID", "EXPID", "NIGHT")
        )
        wanted = np.isin(targetid, targetids)
        wanted &= (fibermap.integers("FIBERSTATUS") & ~HARMLESS_FIBERSTATUS) == 0

        rows = np.flatnonzero(wanted)
        rows = rows[np.argsort(expid[rows], kind="stable")]
        bands = {
            name: band.folded() for name, band in read_bands(file, len(targetid), rows).items()
        }
        return Exposures(bands, targetid[rows], expid[rows], night[rows])
