"""Sources: the spectra to draw, from petals or from a score table."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from tqdm import tqdm

from outcrop import (
    Petal,
    Scores,
    Spectra,
    correct_noise,
    eligible,
    find_petals,
    read_spectra,
)
from scoring.scorer import Scorer

from .. import TrainingError
from ..truth import Truth
from .sample import PlotSample, RestSpectra

_SCORES = ("targetid", "snr", "wmse", "nof", "norm", "p_value", "anomaly", "latent")
_SPECTRA_HDUS = ("FLUX", "IVAR", "MODEL")
_TABLE = {
    "targetid": np.int64,
    "z": np.float64,
    "spectype": np.str_,
    "status": np.int32,
    "snr": np.float32,
    "wmse": np.float32,
    "nof": np.float32,
    "norm": np.float32,
    "p_value": np.float64,
    "anomaly": np.bool_,
    "latent": np.float32,
}
"""Columns read from a score table, and their types."""


def score_petals(scorer: Scorer, folder: Path, *, corrected: bool = True) -> PlotSample:
    """Score all petals below a folder, one at a time.

    Parameters
    ----------
    corrected : bool
        Correct the noise of each petal by its sky fibers, as the model's sample was.

    Raises
    ------
    TrainingError
        If there is no petal, or no spectrum is eligible.
    """
    parts: list[dict[str, NDArray[Any]]] = []
    for petal in tqdm(_petals(folder), desc="score", unit="petal"):
        spectra = read_spectra(petal.coadd, petal.redrock)
        if corrected:
            spectra = correct_noise(spectra)
        scores = scorer.score(spectra, reconstruction=True)
        parts.append(_columns(spectra, scores, scores.eligible))

    # Popped as they are joined: only one field at a time is in memory twice.
    columns = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    return _sample(columns, folder, folder)


def read_score_table(scorer: Scorer, folder: Path, table: Path) -> PlotSample:
    """Read scores and spectra from a score table, positions from the petals that it covers.

    Parameters
    ----------
    table : Path
        Written by the same model with ``--reconstruction``.

    Raises
    ------
    TrainingError
        If the table cannot be read, has no spectra, was written by another model, shares no
        target with the petals, or has no eligible row.
    """
    columns = _read_table(table, scorer.model.sha256)
    columns["ra"], columns["dec"] = _read_positions(folder, columns["targetid"])
    rows = eligible(columns.pop("status"), columns["snr"])
    return _sample({name: column[rows] for name, column in columns.items()}, folder, table)


def _petals(folder: Path) -> list[Petal]:
    petals = find_petals(folder)
    if not petals:
        raise TrainingError(
            f"no pair of coadd-*.fits and redrock-*.fits below {folder}; give a folder of DESI "
            "petals, or make some with `python -m training simulate`"
        )
    return petals


def _columns(spectra: Spectra, scores: Scores, rows: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the selected rows by field of `PlotSample` and `RestSpectra`, without `kind`."""
    known = spectra.columns()
    unknown = np.full(len(spectra), np.nan)
    given = {
        "z": spectra.z,
        "ra": known.get("ra", unknown),
        "dec": known.get("dec", unknown),
        "spectype": known.get("spectype", np.full(len(spectra), "")),
    }

    scored = scores.columns()
    given |= {name: scored[name] for name in _SCORES}
    given |= {"flux": scored["rest_flux"], "ivar": scored["rest_ivar"]}
    given |= {"model": scored["reconstruction"]}
    return {name: column[rows] for name, column in given.items()}


def _sample(columns: dict[str, NDArray[Any]], folder: Path, source: Path) -> PlotSample:
    spectra = RestSpectra(*(columns.pop(name) for name in ("flux", "ivar", "model")))
    size = len(columns["targetid"])
    if size == 0:
        raise TrainingError(
            f"{source} has no eligible spectrum to draw: a target of the model's population with "
            "data, a redshift in the model's range, a coverage of 0.9, and an S/N of at least 1 in "
            "the calibrated range"
        )

    truth = Truth.below(folder).kind
    named = {targetid: kind or "inlier" for targetid, kind in truth.items()}
    kind = np.array([named.get(one, "") for one in columns["targetid"].tolist()], np.str_)
    return PlotSample(**columns, kind=kind, spectrum_row=np.arange(size), spectra=spectra)


def _read_table(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Return columns and spectra of a score table by field of `PlotSample` and `RestSpectra`."""
    try:
        with fits.open(path, memmap=False) as hdus:
            by_name: dict[str, Any] = {str(hdu.name): hdu for hdu in list[Any](hdus)}
            table = by_name["OUTLIERS"]
            found = str(table.header.get("MODELSHA", ""))
            if not set(_SPECTRA_HDUS) <= set(by_name):
                raise TrainingError(
                    f"{path} holds no spectra; write it again with `outcrop score --reconstruction`"
                )

            # Copied, because the data of an HDU are big-endian.
            columns = {
                name: np.ascontiguousarray(table.data[name.upper()], dtype)
                for name, dtype in _TABLE.items()
            }
            columns |= {
                name.lower(): np.ascontiguousarray(by_name[name].data, np.float32)
                for name in _SPECTRA_HDUS
            }
    except TrainingError:
        raise
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{path} cannot be read as a score table ({error}); "
            "write it with `outcrop score --reconstruction`"
        ) from error

    if found != sha256:
        raise TrainingError(
            f"{path} was written by the model {found[:12] or 'unknown'}, the bundle is "
            f"{sha256[:12]}; give the bundle that scored it"
        )
    columns["spectype"] = np.char.strip(columns["spectype"])
    return columns


def _read_positions(
    folder: Path, targetid: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination of targets from the petals, degrees; NaN if absent."""
    position: dict[int, tuple[float, float]] = {}
    for petal in _petals(folder):
        with fits.open(petal.coadd) as hdus:
            fibermap: Any = hdus["FIBERMAP"]
            found = np.isin(fibermap.data["TARGETID"].astype(np.int64), targetid)
            if found.any():
                rows = fibermap.data[found]
                names = fibermap.columns.names
                ra, dec = (
                    rows[name].tolist() if name in names else [np.nan] * len(rows)
                    for name in ("TARGET_RA", "TARGET_DEC")
                )
                position |= zip(rows["TARGETID"].tolist(), zip(ra, dec, strict=True), strict=True)

    if not position:
        raise TrainingError(
            f"none of the scored spectra is in the petals below {folder}; give the folder of the "
            "petal that was scored"
        )

    unknown = (np.nan, np.nan)
    positions = np.array([position.get(one, unknown) for one in targetid.tolist()], np.float64)
    return positions[:, 0], positions[:, 1]
