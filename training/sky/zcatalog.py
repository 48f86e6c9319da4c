"""Zcatalog: the redshift catalogue of a simulated release, as DESI's ``zall-*.fits``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from training.sky.files import SIMULATED, SURVEY, SimulatedPetal, structured, write_hdus

CATALOGUES: Final = {
    "tiles": Path("zcatalog", "v1", "zall-tilecumulative-simulated.fits"),
    "healpix": Path("zcatalog", "v1", "zall-pix-simulated.fits"),
}
"""Where in a release those of the layouts are."""

_REDSHIFTS: Final = {
    "Z": "f8", "ZERR": "f8", "ZWARN": "i8", "CHI2": "f8", "SPECTYPE": "U6",
    "SUBTYPE": "U20", "DELTACHI2": "f8",
}  # fmt: skip
_FIBERMAP: Final = {
    "COADD_FIBERSTATUS": "i4", "TARGET_RA": "f8", "TARGET_DEC": "f8", "OBJTYPE": "U3",
    "DESI_TARGET": "i8", "BGS_TARGET": "i8", "MWS_TARGET": "i8",
}  # fmt: skip


def catalogue_rows(petal: SimulatedPetal) -> NDArray[np.void]:
    """Return the rows of a petal in the catalogue of its layout, without what is of several."""
    columns: dict[str, tuple[str, ArrayLike]] = {
        "TARGETID": ("i8", petal.fibermap["TARGETID"]),
        "SURVEY": ("U7", SURVEY),
        "PROGRAM": ("U6", petal.program),
    }
    if petal.pixel >= 0:
        columns |= {"HEALPIX": ("i4", petal.pixel), "SPGRPVAL": ("i4", petal.pixel)}
    else:
        columns |= {"LASTNIGHT": ("i4", petal.night), "SPGRPVAL": ("i4", petal.night)}
        columns |= {"TILEID": ("i4", petal.tile), "PETAL_LOC": ("i2", petal.number)}

    columns |= {name: (kind, petal.redshifts[name]) for name, kind in _REDSHIFTS.items()}
    columns |= {name: (kind, petal.fibermap[name]) for name, kind in _FIBERMAP.items()}
    places = zip(petal.fibermap["TARGET_RA"], petal.fibermap["TARGET_DEC"], strict=True)
    return structured(columns | {"DESINAME": ("U22", [_desi_name(*place) for place in places])})


def write_catalogue(path: Path, petals: Sequence[NDArray[np.void]]) -> None:
    """Write the catalogue that has the rows of these petals.

    Primary is the best spectrum of a TARGETID: one without a warning, with the largest DELTACHI2.
    """
    rows = np.concatenate(petals)
    order = np.lexsort((-rows["DELTACHI2"], rows["ZWARN"] != 0, rows["TARGETID"]))
    _, first, inverse, count = np.unique(
        rows["TARGETID"][order], return_index=True, return_inverse=True, return_counts=True
    )
    primary, number = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.int16)
    primary[order[first]] = True
    number[order] = count[inverse]

    columns: dict[str, tuple[str, ArrayLike]] = {
        name: (rows.dtype[name].str, rows[name]) for name in rows.dtype.names or ()
    }
    for survey in ("MAIN", "ZCAT"):
        columns |= {f"{survey}_NSPEC": ("i2", number), f"{survey}_PRIMARY": ("?", primary)}

    header = fits.Header()
    header["SIMULATD"], header["ZCATVER"] = (True, SIMULATED), "v1"
    table = fits.BinTableHDU(structured(columns), name="ZCATALOG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_hdus(path, [fits.PrimaryHDU(header=header), table])


def _desi_name(ra: float, dec: float) -> str:
    """Return a target's name: its place, cut after four decimals."""
    dec_4 = int(abs(dec) * 1e4) / 1e4
    return f"DESI J{int(ra * 1e4) / 1e4:08.4f}{'-' if dec < 0 else '+'}{dec_4:07.4f}"
