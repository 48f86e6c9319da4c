"""Redrock details: redrock's next best redshifts, from the file of all its fits.

``rrdetails-*.h5`` lies beside redrock's table in DESI's tiles. It holds the best fits of every
target, of which the table has the first.

Needs h5py, which only this module imports.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import logging
import os
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .spectra import CANDIDATES

logger = logging.getLogger(__name__)

_FIT: Final = np.dtype([("z", "f8"), ("znum", "i8")])


def details_of(redrock: str | os.PathLike[str]) -> Path | None:
    """Return the file of details beside a redrock file; None where there is none.

    Examples
    --------
    >>> details_of("redrock-4-80613-thru20210324.fits") is None
    True
    """
    path = Path(redrock)
    name = path.name.removesuffix(".gz").removesuffix(".fits")
    found = path.with_name(f"rrdetails-{name.removeprefix('redrock-')}.h5")
    return found if name.startswith("redrock-") and found.is_file() else None


def read_candidates(
    path: str | os.PathLike[str], targetid: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Read redrock's next best redshifts of some targets.

    Parameters
    ----------
    path : path
        Of an ``rrdetails-*.h5``.
    targetid : (N,) int64

    Returns
    -------
    (N, 9) float64 or None
        The best first, without the one that redrock's table has. NaN where a target has fewer, or
        is not in the file. None, with a warning in the log, where the file cannot be
        read, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        logger.warning("%s is not read: install h5py for redrock's next best redshifts", path)
        return None

    try:
        with h5py.File(path, "r") as file:
            fits = cast(Any, file["zfit"])
            found = [_candidates(h5py, fits, one) for one in targetid.tolist()]
    except (OSError, KeyError, ValueError, TypeError) as error:
        logger.warning("%s is not read, it is no rrdetails file of redrock: %s", path, error)
        return None

    candidates = np.full((len(targetid), CANDIDATES), np.nan)
    for row, one in zip(candidates, found, strict=True):
        row[: len(one)] = one
    return candidates


def _candidates(h5py: Any, fits: Any, targetid: int) -> NDArray[np.float64]:
    name = f"{targetid}/zfit".encode()
    if name not in fits.id:
        return np.zeros(0)
    # A petal has hundreds of these tables: h5py's own indexing takes ten times as long.
    table = h5py.h5d.open(fits.id, name)
    rows = np.empty(table.shape, _FIT)
    table.read(h5py.h5s.ALL, h5py.h5s.ALL, rows)
    z = rows["z"][np.argsort(rows["znum"], kind="stable")][1:]
    return z[np.isfinite(z)][:CANDIDATES]
