"""Score tables of a small release, all recognisable by their values."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike

from outcrop import Explanations, ModelIdentity, Status, write_scores
from outcrop.fingerprint import FileFingerprint
from outcrop.inputs import Inputs
from tests.outcrop_sdk.sample import some_explanation, some_model, some_scores, some_spectra

HEALPIX = "healpix/main/bright/100/10000"


def write_table(
    path: Path,
    targetid: Sequence[int],
    *,
    survey: str = "main",
    program: str = "bright",
    healpix: int = -1,
    tileid: int = -1,
    ra: ArrayLike = 150.0,
    dec: ArrayLike = 2.0,
    snr: ArrayLike = 9.0,
    status: ArrayLike = 0,
    p_value: ArrayLike | None = None,
    model: ModelIdentity | None = None,
    explained: bool = False,
    cards: dict[str, Any] | None = None,
) -> Path:
    """Write a score table whose P_VALUEs, unless given, are 1 / (1 + TARGETID).

    The coadd has the table's name.
    """
    n, ids = len(targetid), np.array(targetid, np.int64)
    header: dict[str, Any] = {"SPECPROD": "iron", "SURVEY": survey, "PROGRAM": program}
    header |= {"HEALPIX": healpix} if healpix >= 0 else {}
    header |= {"TILEID": tileid, "PETAL": 3} if tileid >= 0 else {}
    header |= cards or {}
    coadd = path.name.replace("outliers", "coadd")
    files = (FileFingerprint(coadd, 5760, 1), FileFingerprint("redrock.fits", 2880, 1))

    spectra = dataclasses.replace(
        some_spectra(n),
        targetid=ids,
        ra=np.broadcast_to(np.asarray(ra, float), n).copy(),
        dec=np.broadcast_to(np.asarray(dec, float), n).copy(),
        status=np.broadcast_to(np.asarray(status, np.int32), n).copy(),
        tileid=np.full(n, tileid),
        fiber=np.arange(n),
        spectype=np.full(n, "GALAXY"),
        inputs=Inputs(files, {key: value for key, value in header.items() if value != ""}),
    )
    p_values = 1 / (1.0 + ids) if p_value is None else np.broadcast_to(p_value, n).astype(float)
    scores = dataclasses.replace(
        some_scores(spectra, model=model),
        snr=np.broadcast_to(np.asarray(snr, np.float32), n).copy(),
        p_value=p_values,
        anomaly=p_values < 0.01,
    )
    described = some_model()
    if model is not None:
        described = dataclasses.replace(
            described, name=model.name, version=model.version, sha256=model.sha256
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    identity = described.identity
    found = Explanations(identity, tuple(some_explanation(one) for one in ids.tolist()))
    write_scores(path, spectra, scores, described, False, found if explained else None)
    return path


def write_release(folder: Path) -> Path:
    """Two healpix coadds of main-bright, one of main-dark, and a petal of a tile in sv1-other.

    TARGETID 3 is in main-bright and main-dark, with the higher S/N there; 12 is sky.
    """
    target = Status.NOT_TARGET
    write_table(
        folder / HEALPIX / "outliers-main-bright-10000.fits",
        [1, 2, 3, 12],
        healpix=10000,
        ra=[10.3, 10.1, 10.2, 10.0],
        dec=[-5.0, -5.2, -5.1, -5.3],
        status=[0, 0, 0, target],
    )
    write_table(
        folder / "healpix/main/bright/1/100/outliers-main-bright-100.fits",
        [5, 6],
        healpix=100,
        ra=[200.0, 200.1],
        dec=[40.0, 40.1],
        explained=True,
    )
    write_table(
        folder / "healpix/main/dark/1/101/outliers-main-dark-101.fits",
        [3, 7],
        program="dark",
        healpix=10000,
        ra=[10.2, 10.4],
        dec=[-5.1, -5.4],
        snr=[30.0, 8.0],
    )
    write_table(
        folder / "tiles/cumulative/80600/20210101/outliers-3-80600-thru20210101.fits",
        [1000, 1001],
        survey="sv1",
        program="other",
        tileid=80600,
        ra=np.nan,
        dec=np.nan,
    )
    return folder


def write_zcatalog(path: Path, rows: Sequence[tuple[int, str, str, int, bool]]) -> Path:
    """Write a zcatalog of TARGETID, SURVEY, PROGRAM, HEALPIX and ZCAT_PRIMARY."""
    targetid, survey, program, healpix, primary = zip(*rows, strict=True)
    columns: dict[str, tuple[str, Any]] = {
        "TARGETID": ("K", np.array(targetid)),
        "SURVEY": ("7A", np.array(survey, "S")),
        "PROGRAM": ("6A", np.array(program, "S")),
        "HEALPIX": ("J", np.array(healpix)),
        "COEFF": ("10D", np.zeros((len(rows), 10))),
        "ZCAT_PRIMARY": ("L", np.array(primary)),
        "DESINAME": ("22A", np.array([f"DESI J{one}" for one in targetid], "S")),
    }
    made = [fits.Column(name=n, format=f, array=a) for n, (f, a) in columns.items()]
    table = fits.BinTableHDU.from_columns(made, name="ZCATALOG")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path
