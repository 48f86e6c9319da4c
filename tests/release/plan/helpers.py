"""Helpers of the tests of plans: small redshift catalogues, and files that they list."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from outcrop.plan import PlannedPetal

Rows = Sequence[dict[str, Any]]

KINDS = {
    **dict.fromkeys(("SURVEY", "PROGRAM", "SPECTYPE", "SPECTYPE_BEST"), "S8"),
    **dict.fromkeys(("Z", "Z_BEST"), "f8"),
    **dict.fromkeys(("TARGETID", "ZWARN"), "i8"),
    **dict.fromkeys(("HEALPIX", "UNIQPIX", "TILEID", "LASTNIGHT", "ZWARN_BEST"), "i4"),
    "PETAL_LOC": "i2",
}
"""Types of a catalogue's columns."""


def row(targetid: int, healpix: int = 27247, **other: Any) -> dict[str, Any]:
    """Return a row of a catalogue of healpix coadds."""
    known = {"SURVEY": "main", "PROGRAM": "bright", "HEALPIX": healpix, "Z": 0.1, "ZWARN": 0}
    return {"TARGETID": targetid, **known, "SPECTYPE": "GALAXY", **other}


def tile_row(targetid: int, petal: int, **other: Any) -> dict[str, Any]:
    """Return a row of a catalogue of tiles."""
    known = row(targetid)
    del known["HEALPIX"]
    return known | {"TILEID": 80613, "PETAL_LOC": petal, "LASTNIGHT": 20210324} | other


def write_catalogue(path: Path, rows: Rows, name: str = "ZCATALOG", **cards: Any) -> Path:
    """Write a catalogue whose columns are those of its first row."""
    table = Table({key: np.array([one[key] for one in rows], KINDS[key]) for key in rows[0]})
    hdu = fits.BinTableHDU(table, name=name, header=fits.Header(cards))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    return path


def touch(root: Path, petals: Sequence[PlannedPetal], size: int = 10) -> None:
    """Write files of the names of some coadds."""
    for petal in petals:
        for name in (petal.coadd, petal.redrock):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(bytes(size))
