"""DESI's files: a coadd and its redrock table become one `Spectra`.

A coadd holds the spectra of one petal, tile or healpixel, per camera or on one common grid
(``BRZ``); redrock's table holds their redshifts. HDUs are found by EXTNAME, never by position,
and rows are joined by TARGETID: the result has redrock's rows in redrock's order. The resolution
matrix, four fifths of a coadd's bytes, is never read.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import logging
import os
from collections import defaultdict, deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._bands import read_bands
from ._fits import FitsFile, FitsTable
from .errors import InputError
from .fingerprint import FileFingerprint
from .inputs import Inputs
from .model import Model
from .petals import Petal, find_petals
from .redrock_details import details_of, read_candidates
from .scores import Status
from .spectra import CAMERAS, Band, Spectra, repeated

__all__ = ["Petal", "find_petals", "is_simulated", "read_spectra", "warn_if_simulated"]

logger = logging.getLogger(__name__)

ZWARN_NODATA: Final = 1 << 9
# Bit 3 is RESTRICTED, a positioner that could reach less of its patrol area. Bit 20 is MANYBADCOL
# before desispec 0.71, where the bad columns have ivar = 0 anyway, and VARIABLE, a property of the
# target, from then on.
HARMLESS_FIBERSTATUS: Final = (1 << 3) | (1 << 20)

_TARGETING: Final = ("desi_target", "bgs_target", "mws_target")
# DESI's main survey, then its survey validation, whose columns the main survey's files lack.
_SURVEYS: Final = ("", "SV1_", "SV2_", "SV3_")
_UNKNOWN: Final[dict[str, float | str]] = {
    "ra": np.nan,
    "dec": np.nan,
    **dict.fromkeys(("fiber", "petal", "tileid", *_TARGETING), -1),
    "objtype": "",
}
_REDROCK_NUMBERS: Final = ("ZERR", "DELTACHI2")
# Of the primary header alone: that of FIBERMAP may be inherited from one of several exposures.
_OF_COADD: Final = ("TILEID", "PETAL", "NIGHT", "HEALPIX", "HPXPIXEL", "HPXNSIDE", "HPXNEST")
_OF_SURVEY: Final = ("SPECPROD", "SURVEY", "PROGRAM", "FAPRGRM")


def read_spectra(
    coadd: str | os.PathLike[str],
    redrock: str | os.PathLike[str] | None = None,
    *,
    z: ArrayLike | None = None,
    allow_mismatch: bool = False,
) -> Spectra:
    """Read spectra with their redshifts.

    Parameters
    ----------
    coadd : path
        A DESI coadd, ``.fits`` or ``.fits.gz``, with any of the cameras b, r and z or with one
        common band BRZ.
    redrock : path, optional
        Its redrock file, or an older zbest file. The spectra then are redrock's rows in redrock's
        order: the k-th row of a TARGETID gets the coadd's k-th row of it; a row without one gets
        ivar = 0 and NO_SPECTRUM, and their number is logged; coadd rows that redrock does not have
        are left out. Where ``rrdetails-*.h5`` lies beside it and h5py is installed, redrock's next
        best redshifts are read too.
    z : float or (N,) array, optional
        Redshifts in the order of the coadd's rows, instead of a redrock file. NaN where there is
        none: that row has NO_REDSHIFT.
    allow_mismatch : bool
        Accept a redrock file of which fewer than half of the rows have a spectrum in the coadd.

    Returns
    -------
    Spectra
        With the status bits that follow from the files: NO_REDSHIFT, NOT_TARGET, BAD_FIBER,
        MISSING_CAMERA, NO_SPECTRUM, DUPLICATE. The z of a row with NO_REDSHIFT may be a number
        (redrock writes 0) and must not be used.

    Raises
    ------
    InputError
        Where a file is missing, damaged or of another kind, the two do not belong together, or `z`
        does not fit; where neither redrock nor `z` is given, or both.

    Examples
    --------
    >>> from outcrop import read_spectra
    >>> read_spectra("coadd-0-1-thru20210101.fits", z=0.1)
    Traceback (most recent call last):
    ...
    outcrop.errors.InputError: coadd-0-1-thru20210101.fits does not exist; check the name
    """
    if redrock is not None and z is not None:
        raise InputError("both redrock and z are given; give the one or the other")
    if redrock is None and z is None:
        raise InputError(f"neither redrock nor z is given for {coadd}; give the one or the other")

    files = tuple(FileFingerprint.of(path) for path in (coadd, redrock) if path is not None)
    with FitsFile(Path(coadd)) as file:
        fibermap = file.table("FIBERMAP")
        targetid = fibermap.integers("TARGETID")
        _check_one_row_per_target(file, fibermap, targetid)
        bands = read_bands(file, len(targetid))
        status = _fiber_status(fibermap) | _bit(repeated(targetid), Status.DUPLICATE)
        columns = _fiber_columns(file, fibermap, targetid) | _targeting(fibermap)
        inputs = Inputs(files, _cards(file))
    redshift = _broadcast(z, len(targetid))
    spectra = Spectra(bands, z=redshift, targetid=targetid, status=status, inputs=inputs, **columns)
    if redrock is not None:
        spectra = _join_redrock(spectra, Path(coadd), Path(redrock), allow_mismatch)

    unknown = ~np.isfinite(spectra.z)
    if spectra.zwarn is not None:
        unknown |= (spectra.zwarn & ZWARN_NODATA) != 0
    status = spectra.status | _bit(unknown, Status.NO_REDSHIFT)
    if set(bands) < set(CAMERAS):
        status |= np.int32(Status.MISSING_CAMERA)
    return replace(spectra, status=status)


def _cards(file: FitsFile) -> dict[str, str | int | float]:
    """Return the cards of a coadd that say what was observed and how it was processed."""
    primary, fibermap = file.header("PRIMARY"), file.header("FIBERMAP")
    # DESI's pipeline records the name of its run among the versions, as desiutil.depend does.
    versions = {
        primary[name]: primary.get(name.replace("DEPNAM", "DEPVER"))
        for name in primary
        if name.startswith("DEPNAM")
    }
    found: dict[str, Any] = {"SPECPROD": versions.get("SPECPROD")}
    if "HPXPIXEL" in primary:
        found["HEALPIX"] = primary["HPXPIXEL"]
    found |= {name: fibermap[name] for name in _OF_SURVEY if name in fibermap}
    found |= {name: primary[name] for name in (*_OF_SURVEY, *_OF_COADD) if name in primary}
    # Not a card without a value.
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}


def _check_one_row_per_target(
    file: FitsFile, fibermap: FitsTable, targetid: NDArray[np.int64]
) -> None:
    """Refuse spectra files: their rows are exposures, which a coadd counts in COADD_NUMEXP."""
    exposures = ("EXPID" in fibermap or "NIGHT" in fibermap) and "COADD_NUMEXP" not in fibermap
    if exposures and repeated(targetid).any():
        raise InputError(
            f"{file.path} is a spectra file: it has one row per exposure, {len(targetid)} rows of "
            f"{len(np.unique(targetid))} targets; give the coadd file beside it (coadd-*.fits), or "
            "make one with desi_coadd_spectra"
        )


def _bit(where: NDArray[np.bool_], bit: Status) -> NDArray[np.int32]:
    return np.where(where, np.int32(bit), np.int32(0))


def _fiber_status(fibermap: FitsTable) -> NDArray[np.int32]:
    not_target = fibermap.strings("OBJTYPE") != "TGT"
    bad = (fibermap.integers("COADD_FIBERSTATUS") & ~HARMLESS_FIBERSTATUS) != 0
    return _bit(not_target, Status.NOT_TARGET) | _bit(bad, Status.BAD_FIBER)


def _fiber_columns(
    file: FitsFile, fibermap: FitsTable, targetid: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return ra, dec, fiber, petal and tileid of each row, where the file has them."""
    columns: dict[str, NDArray[Any]] = {}
    for field, column in (("ra", "TARGET_RA"), ("dec", "TARGET_DEC")):
        if column in fibermap:
            columns[field] = fibermap.floats(column)

    exposures = file.table("EXP_FIBERMAP") if "EXP_FIBERMAP" in file else None
    for field, column in (("fiber", "FIBER"), ("petal", "PETAL_LOC"), ("tileid", "TILEID")):
        if column in fibermap:
            columns[field] = fibermap.integers(column).astype(np.int32)
        elif exposures is not None and column in exposures and "TARGETID" in exposures:
            columns[field] = _of_first_exposure(exposures, column, targetid)
    return columns


def _targeting(fibermap: FitsTable) -> dict[str, NDArray[Any]]:
    """Return objtype and the target bits of each row; bits of which there is no column are -1."""
    columns: dict[str, NDArray[Any]] = {"objtype": fibermap.strings("OBJTYPE")}
    for field in _TARGETING:
        names = [survey + field.upper() for survey in _SURVEYS]
        bits = [fibermap.integers(name) for name in names if name in fibermap]
        columns[field] = (
            np.bitwise_or.reduce(bits) if bits else np.full(len(fibermap), -1, np.int64)
        )
    return columns


def _of_first_exposure(
    exposures: FitsTable, column: str, targetid: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return a column of each target's first row in EXP_FIBERMAP, or -1.

    A healpixel's target may have been observed through several fibers.
    """
    ids, first = np.unique(exposures.integers("TARGETID"), return_index=True)
    known = np.isin(targetid, ids)
    values = np.full(len(targetid), -1, np.int32)
    rows = first[np.searchsorted(ids, targetid[known])]
    values[known] = exposures.integers(column)[rows]
    return values


def _broadcast(z: ArrayLike | None, rows: int) -> NDArray[np.float64]:
    """Return one redshift per row; NaN where redrock's will replace them."""
    try:
        redshift = np.asarray(np.nan if z is None else z, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"z is {z!r}; expected a number or one per row of the coadd") from error
    if redshift.ndim == 0:
        return np.full(rows, redshift)
    if redshift.shape != (rows,):
        raise InputError(f"z has shape {redshift.shape}; the coadd has {rows} rows")
    return redshift.copy()


def _join_redrock(spectra: Spectra, coadd: Path, redrock: Path, allow_mismatch: bool) -> Spectra:
    """Return the spectra of redrock's rows, in redrock's order, with its columns."""
    with FitsFile(redrock) as file:
        table = file.table("ZBEST" if "ZBEST" in file else "REDSHIFTS")
        targetid = table.integers("TARGETID")
        z = table.floats("Z")
        zwarn = table.integers("ZWARN")
        spectype = table.strings("SPECTYPE")
        more: dict[str, NDArray[Any]] = {
            name.lower(): table.floats(name) for name in _REDROCK_NUMBERS if name in table
        }
        if "SUBTYPE" in table:
            more["subtype"] = table.strings("SUBTYPE")
    details = details_of(redrock)
    candidates = None if details is None else read_candidates(details, targetid)
    if candidates is not None:
        more["z_candidates"] = candidates

    rows = _matches(spectra.targetid, targetid)
    missing = rows < 0
    if missing.any():
        count = f"{np.count_nonzero(missing)} of {len(missing)} rows of {redrock}"
        if 2 * np.count_nonzero(missing) > len(missing) and not allow_mismatch:
            raise InputError(
                f"{count} have no spectrum in {coadd}: the files do not belong together; give "
                "those of one petal, or accept them with --allow-mismatch (allow_mismatch=True)"
            )
        logger.warning("%s have no spectrum in %s: they get the status NO_SPECTRUM", count, coadd)

    # Most files are in the same order, and nothing has to be copied.
    bands, status = spectra.bands, spectra.status
    columns = {name: getattr(spectra, name) for name in _UNKNOWN}
    if not np.array_equal(rows, np.arange(len(spectra))):
        bands = {name: _take_band(band, rows) for name, band in bands.items()}
        status = _take(status, rows, 0)
        columns = {
            name: None if column is None else _take(column, rows, _UNKNOWN[name])
            for name, column in columns.items()
        }

    status = status | _bit(missing, Status.NO_SPECTRUM) | _bit(repeated(targetid), Status.DUPLICATE)
    return replace(
        spectra,
        bands=bands,
        z=z,
        targetid=targetid,
        status=status,
        zwarn=zwarn,
        spectype=spectype,
        **columns,
        **more,
    )


def _matches(present: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return for each wanted id the row of its next unused occurrence, or -1."""
    # As in most files.
    if np.array_equal(present, wanted):
        return np.arange(len(present))

    unused: defaultdict[int, deque[int]] = defaultdict(deque)
    for row, one in enumerate(present.tolist()):
        unused[one].append(row)
    return np.array(
        [unused[one].popleft() if unused[one] else -1 for one in wanted.tolist()], np.intp
    )


def _take(values: NDArray[Any], rows: NDArray[np.intp], unknown: float | str) -> NDArray[Any]:
    """Return rows of an array; `unknown` where a row is -1."""
    taken = np.full((len(rows), *values.shape[1:]), unknown, values.dtype)
    taken[rows >= 0] = values[rows[rows >= 0]]
    return taken


def _take_band(band: Band, rows: NDArray[np.intp]) -> Band:
    mask = None if band.mask is None else _take(band.mask, rows, 0)
    return Band(_take(band.flux, rows, 0), _take(band.ivar, rows, 0), mask)


def is_simulated(coadd: str | os.PathLike[str]) -> bool:
    """Return whether a coadd is of a simulated sky.

    Simulated files have the card ``SIMULATD = T`` in their primary header.

    Raises
    ------
    InputError
        Where the file is missing or not FITS.
    """
    with FitsFile(Path(coadd)) as file:
        return file.header("PRIMARY").get("SIMULATD") is True


def warn_if_simulated(model: Model, coadd: str | os.PathLike[str]) -> bool:
    """Log a warning where a model of a simulated sky is used on a file that is not simulated.

    Returns
    -------
    bool
        Whether it was logged.
    """
    foreign = model.simulated and not is_simulated(coadd)
    if foreign:
        logger.warning(
            "model %s %s was trained on a simulated sky, and %s is not simulated: "
            "do not take its scores for DESI results",
            model.name,
            model.version,
            coadd,
        )
    return foreign
