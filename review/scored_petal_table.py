"""Scored petal table: what the review reads of one score table of a night."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError, ModelIdentity
from outcrop._fits import FitsFile, FitsTable
from outcrop.columns import EXPLANATION_COLUMNS
from outcrop.fingerprint import FileFingerprint
from outcrop.remote import is_remote
from outcrop.table import NOISE

_INTEGERS: Final = ("ZWARN", "STATUS", "TILEID", "PETAL_LOC", "FIBER")
_FLOATS: Final = ("Z", "P_VALUE", "TARGET_RA", "TARGET_DEC")
_SINGLE: Final = ("SNR", "WMSE", "NOF")
_EXPLAINED: Final = ("CAUSE_PROB", "P_EXPLAINED", "Z_BEST")
_KEPT: Final = ("TARGETID", "Z", "ZWARN", "SPECTYPE", "TILEID", "PETAL_LOC")
_REMEDY: Final = "run outcrop night again over its folder"
_IMAGES: Final = ("WAVELENGTH", "FLUX", "MODEL", "IVAR")


@dataclass(frozen=True, eq=False)
class ScoredPetalTable:
    """A score table, without what is read only when a spectrum is looked at.

    Attributes
    ----------
    path : Path
    fingerprint : FileFingerprint
        Of the table itself.
    model : ModelIdentity
    p_level : float
    finest_p : float or None
    cards : dict
        Of the primary header: the input files' names, sizes and times, and the petal's noise.
    columns : dict of (n,) arrays
        Of OUTLIERS, by name; LATENT is (n, L).
    has_images : bool
        Whether there are reconstructions too.
    """

    path: Path
    fingerprint: FileFingerprint
    model: ModelIdentity
    p_level: float
    finest_p: float | None
    cards: dict[str, Any]
    columns: dict[str, NDArray[Any]]
    has_images: bool

    @staticmethod
    def read(path: Path) -> "ScoredPetalTable":
        """Read a score table; InputError where it cannot be read or lacks a column."""
        fingerprint = FileFingerprint.of(path)
        with FitsFile(path) as file:
            primary, header = file.header("PRIMARY"), file.header("OUTLIERS")
            missing = [
                name for name in ("MODEL", "MODELVER", "MODELSHA", "PLEVEL") if name not in header
            ]
            if missing:
                raise InputError(f"{path} has no {missing[0]} in the header of OUTLIERS; {_REMEDY}")
            return ScoredPetalTable(
                path,
                fingerprint,
                ModelIdentity(*(str(header[name]) for name in ("MODEL", "MODELVER", "MODELSHA"))),
                float(header["PLEVEL"]),
                float(header["PFINEST"]) if "PFINEST" in header else None,
                {name: primary[name] for name in primary if name.startswith("IN") or name in NOISE},
                _columns(file.table("OUTLIERS")),
                all(name in file for name in _IMAGES),
            )

    def __len__(self) -> int:
        return len(self.columns["TARGETID"])

    def without_scores(self) -> "ScoredPetalTable":
        """Return the table with those columns only that say which spectrum a row is."""
        return replace(self, columns={name: self.columns[name] for name in _KEPT})

    @property
    def noise_corrected(self) -> bool:
        """Whether the spectra were scored with the noise that the petal's sky fibers show."""
        return "SKYCORR" in self.cards

    @property
    def inputs(self) -> tuple[str, str]:
        """Names of the coadd and its redrock file."""
        names = tuple(str(self.cards.get(f"INFIL{number:03d}", "")) for number in range(2))
        if is_remote(names[0]):
            raise InputError(
                f"{names[0]} was scored where it is, and this page reads coadds from folders only: "
                "copy it and its redrock file into one, and score them there"
            )
        # A name from a file never leads out of the folder.
        if not all(name and Path(name).name == name for name in names):
            raise InputError(f"{self.path} does not name its coadd and redrock file; {_REMEDY}")
        return names[0], names[1]

    def details(self, row: int) -> dict[str, Any]:
        """Return sentence, evidence and segments of a row, as JSON."""
        self._check_unchanged()
        with FitsFile(self.path) as file:
            one = file.table("OUTLIERS")[np.array([row])]
            return {
                "sentence": str(one.strings("SENTENCE")[0]) if "SENTENCE" in one else "",
                "evidence": list(_rows(file, "EXPLANATIONS", row, _EVIDENCE)),
                "segments": list(_rows(file, "SEGMENTS", row, _SEGMENT)),
            }

    def causes(self) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]:
        """Return row, cause and probability of each row of EXPLANATIONS."""
        self._check_unchanged()
        with FitsFile(self.path) as file:
            if "EXPLANATIONS" not in file:
                return np.zeros(0, np.int64), np.zeros(0, np.str_), np.zeros(0)
            table = file.table("EXPLANATIONS")
        return table.integers("ROW"), table.strings("CAUSE"), table.floats("PROBABILITY")

    def images(self, row: int) -> dict[str, NDArray[np.float32]] | None:
        """Return rest_wave, rest_flux, rest_ivar and model of a row; None where there are none."""
        if not self.has_images:
            return None
        self._check_unchanged()
        with FitsFile(self.path) as file:
            chosen = np.array([row])
            flux, model, ivar = (
                file.image(name, "f", np.float32, 2, chosen)[0] for name in _IMAGES[1:]
            )
            wave = file.image("WAVELENGTH", "f", np.float64, 1).astype(np.float32)
            return {"rest_wave": wave, "rest_flux": flux, "rest_ivar": ivar, "model": model}

    def _check_unchanged(self) -> None:
        if FileFingerprint.of(self.path) != self.fingerprint:
            raise InputError(f"{self.path} was written anew since the review began; start it again")


_EVIDENCE: Final = {
    **{"cause": "CAUSE", "sentence": "SENTENCE", "delta_chi2": "DELTA_CHI2"},
    **{"parameters": "PARAMETERS", "probability": "PROBABILITY", "p_value": "P_VALUE"},
    **{"z": "Z", "wave_min": "WAVE_MIN", "wave_max": "WAVE_MAX"},
}
_SEGMENT: Final = {
    **{"rest_min": "REST_MIN", "rest_max": "REST_MAX", "obs_min": "OBS_MIN"},
    **{"obs_max": "OBS_MAX", "significance": "SIGNIFICANCE", "sign": "SIGN"},
    **{"continuum_share": "CONTINUUM_SHARE", "tags": "TAGS", "chance": "CHANCE"},
    **{"repeats": "REPEATS", "expid": "EXPID"},
}
_TEXTS: Final = ("CAUSE", "SENTENCE", "TAGS", "REPEATS")


def _columns(table: FitsTable) -> dict[str, NDArray[Any]]:
    rows = len(table)
    explained = all(column.name in table for column in EXPLANATION_COLUMNS)
    unknown, empty = np.full(rows, np.nan), np.full(rows, "")
    return {
        "TARGETID": table.integers("TARGETID"),
        **{name: table.integers(name).astype(np.int32) for name in _INTEGERS},
        **{name: table.floats(name) for name in _FLOATS},
        **{name: table.floats(name).astype(np.float32) for name in _SINGLE},
        **{name: table.floats(name) if explained else unknown for name in _EXPLAINED},
        "SPECTYPE": table.strings("SPECTYPE"),
        "CAUSE": table.strings("CAUSE") if explained else empty,
        "ANOMALY": table.booleans("ANOMALY"),
        "LATENT": table.vectors("LATENT"),
    }


def _rows(file: FitsFile, name: str, row: int, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of EXPLANATIONS or SEGMENTS that are of a row of OUTLIERS."""
    if name not in file:
        return
    table = file.table(name)
    chosen = table[np.flatnonzero(table.integers("ROW") == row)]
    columns = {
        key: (chosen.strings(column) if column in _TEXTS else chosen.floats(column)).tolist()
        for key, column in names.items()
    }
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))
