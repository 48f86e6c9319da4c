"""Night: all spectra of the score tables below a folder, in the order of their p-values."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import CAUSES, InputError, ModelIdentity, eligible
from outcrop.night.discoveries import Discoveries
from outcrop.night.faults import PetalPValues

from .scored_petal_table import ScoredPetalTable

SPECTYPES: Final = ("", "GALAXY", "QSO", "STAR")
"""Classes by number; the first is any other."""
CAUSE_NAMES: Final = ("", *CAUSES)
"""Causes by number; the first is that of a spectrum that is not explained."""
_CAMERAS: Final = {"b": "NOISE_B", "r": "NOISE_R", "z": "NOISE_Z"}


@dataclass(frozen=True, eq=False)
class ReviewNight:
    """N spectra; a row is a number in the order of p-values, NaN last.

    Attributes
    ----------
    folder : Path
    model : ModelIdentity
        Of all of them.
    tables : list of ScoredPetalTable
        Without their scores.
    table, table_row : (N,) int32
        Of each spectrum: its table, and its row there.
    columns : dict of (N,) arrays
        What the page gets, by name.
    ra, dec : (N,) float64
        Degrees, J2000; NaN where unknown.
    wmse, nof : (N,) float32
    latent : (N, L) float32
    """

    folder: Path
    model: ModelIdentity
    tables: list[ScoredPetalTable]
    table: NDArray[np.int32]
    table_row: NDArray[np.int32]
    columns: dict[str, NDArray[Any]]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    latent: NDArray[np.float32]

    @staticmethod
    def read(folder: Path) -> "ReviewNight":
        """Read all score tables below a folder.

        Raises
        ------
        InputError
            Where there is none, one cannot be read, or they are of more than one model.
        """
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; name the one that outcrop night wrote")
        paths = sorted(folder.rglob("outliers*.fits"))
        if not paths:
            raise InputError(
                f"{folder} holds no score table, outliers*.fits; name the folder that "
                "outcrop night wrote"
            )
        tables = [ScoredPetalTable.read(path) for path in paths]
        _check_one_model(tables)
        return _night(folder, tables)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def identity(self) -> str:
        """What a row number belongs to: these tables, as they are."""
        files = [
            f"{table.path.relative_to(self.folder)} {table.fingerprint}" for table in self.tables
        ]
        return hashlib.sha256("\n".join(files).encode()).hexdigest()

    def place(self, row: int) -> tuple[ScoredPetalTable, int]:
        """Return the table of a spectrum, and its row there."""
        return self.tables[self.table[row]], int(self.table_row[row])

    def rows_of(self) -> dict[int, int]:
        """Return the row of each TARGETID: the one with the smallest p-value."""
        targetid = self.columns["targetid"].tolist()
        return {one: row for row, one in reversed(list(enumerate(targetid)))}

    def ordered_by(self, name: str) -> NDArray[np.int32]:
        """Return all rows with the smallest value of a column first, NaN last."""
        return np.argsort(self.columns[name], kind="stable").astype(np.int32)

    def cause_rows(self) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]:
        """Return row, cause and probability of all causes that compete."""
        by_place = np.lexsort((self.table_row, self.table))
        starts = np.cumsum([0, *map(len, self.tables)])
        rows: list[NDArray[np.int64]] = []
        others: list[tuple[NDArray[np.str_], NDArray[np.float64]]] = []

        for number, table in enumerate(self.tables):
            row, cause, probability = table.causes()
            rows.append(by_place[starts[number] + row])
            others.append((cause, probability))
        causes, probabilities = zip(*others, strict=True)
        return np.concatenate(rows), np.concatenate(causes), np.concatenate(probabilities)


def _check_one_model(tables: Sequence[ScoredPetalTable]) -> None:
    first = tables[0]
    for table in tables:
        if table.model != first.model:
            raise InputError(
                f"{table.path} is of model {table.model}, {first.path} of {first.model}: p-values "
                "of two models are not compared; run outcrop night again over the folder, or move "
                "one of them away"
            )
        if table.columns["LATENT"].shape[1] != first.columns["LATENT"].shape[1]:
            raise InputError(f"{table.path} has another number of latents than {first.path}")


def _night(folder: Path, tables: list[ScoredPetalTable]) -> ReviewNight:
    sizes = [len(table) for table in tables]
    p_value = np.concatenate([table.columns["P_VALUE"] for table in tables])
    rows = np.argsort(p_value, kind="stable")  # NaN sorts last

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([table.columns[name] for table in tables])[rows]

    columns = {
        "targetid": joined("TARGETID"),
        **{"z": joined("Z"), "p_value": p_value[rows], "q_value": _q_values(tables)[rows]},
        **{"p_explained": joined("P_EXPLAINED"), "z_best": joined("Z_BEST")},
        **{"snr": joined("SNR"), "cause_prob": joined("CAUSE_PROB").astype(np.float32)},
        **{name.lower(): joined(name) for name in ("STATUS", "ZWARN", "TILEID", "FIBER")},
        "petal": joined("PETAL_LOC"),
        "spectype": _numbers(joined("SPECTYPE"), SPECTYPES),
        "cause": _numbers(joined("CAUSE"), CAUSE_NAMES),
        "flagged": joined("ANOMALY").astype(np.uint8),
    }

    return ReviewNight(
        folder,
        tables[0].model,
        [table.without_scores() for table in tables],
        np.repeat(np.arange(len(tables), dtype=np.int32), sizes)[rows],
        np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])[rows],
        columns,
        *(joined(name) for name in ("TARGET_RA", "TARGET_DEC", "WMSE", "NOF", "LATENT")),
    )


def _q_values(tables: Sequence[ScoredPetalTable]) -> NDArray[np.float64]:
    """Return the q-values of all rows of the tables in order, as in the summary of the night."""
    counted = [eligible(t.columns["STATUS"], t.columns["SNR"]) for t in tables]
    petals = [
        PetalPValues(
            table.columns["P_VALUE"][chosen],
            table.columns["ANOMALY"][chosen],
            table.columns["FIBER"][chosen],
            {b: float(table.cards[n]) for b, n in _CAMERAS.items() if n in table.cards},
        )
        for table, chosen in zip(tables, counted, strict=True)
    ]
    found = Discoveries.find(petals, tables[0].p_level, tables[0].finest_p)
    q_value = np.full(sum(map(len, tables)), np.nan)
    q_value[np.concatenate(counted)] = np.concatenate(found.q_value)
    return q_value


def _numbers(texts: NDArray[np.str_], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the number of each text in names; 0 where it is none of them."""
    found = np.zeros(len(texts), np.uint8)
    for number, name in enumerate(names[1:], 1):
        found[texts == name] = number
    return found
