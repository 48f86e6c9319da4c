"""Truth: truth.csv, the list of what was injected in the targets of a simulated sky."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import TrainingError

FILE: Final = "truth.csv"
CONTROL: Final = "lowsnr"
"""A kind that is a control, not an anomaly: faint inliers."""
UNKNOWN: Final = "unknown"
"""In place of a kind, where the truth leaves a TARGETID out."""

_COLUMNS: Final = ("TARGETID", "KIND", "TRUE_Z", "STRENGTH")


@dataclass(frozen=True, eq=False)
class Truth:
    """What was injected in each TARGETID.

    Attributes
    ----------
    kind : dict of int to str
        Empty for inliers.
    strength : dict of int to float
        NaN where there is none.
    true_z : dict of int to float
        NaN where it is not known.
    """

    kind: dict[int, str]
    strength: dict[int, float]
    true_z: dict[int, float]

    @staticmethod
    def read(path: Path) -> "Truth":
        """Read a truth.csv with TARGETID, KIND and, where they are known, STRENGTH and TRUE_Z.

        Raises
        ------
        TrainingError
            If a column is missing or a value is not a number.
        """
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        try:
            kind = {int(row["TARGETID"]): row["KIND"] for row in rows}
            strength = {int(row["TARGETID"]): float(row.get("STRENGTH") or "nan") for row in rows}
            true_z = {int(row["TARGETID"]): float(row.get("TRUE_Z") or "nan") for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{path}: {error!r}; expected columns TARGETID, KIND, perhaps STRENGTH and TRUE_Z, "
                "as `python -m training simulate` writes them"
            ) from error
        return Truth(kind, strength, true_z)

    @staticmethod
    def below(folder: Path) -> "Truth":
        """Read every truth.csv in a folder and its subfolders; empty if there is none."""
        parts = [Truth.read(path) for path in sorted(folder.rglob(FILE))]
        kind = {targetid: one for part in parts for targetid, one in part.kind.items()}
        strength = {targetid: one for part in parts for targetid, one in part.strength.items()}
        true_z = {targetid: one for part in parts for targetid, one in part.true_z.items()}
        return Truth(kind, strength, true_z)

    def anomalies(self) -> list[str]:
        """Return the injected kinds, the control left out."""
        return sorted(set(self.kind.values()) - {"", CONTROL})

    def kinds(self, targetid: Iterable[int]) -> NDArray[np.str_]:
        """Return the kind of each TARGETID, ``unknown`` where the truth leaves it out."""
        return np.array([self.kind.get(int(one), UNKNOWN) for one in targetid], np.str_)

    def strengths(self, targetid: Iterable[int]) -> NDArray[np.float64]:
        """Return the strength of each TARGETID, NaN where there is none."""
        return np.array([self.strength.get(int(one), np.nan) for one in targetid], np.float64)


def write_truth(folder: Path, rows: Iterable[tuple[int, str, float, float]]) -> None:
    """Write truth.csv into a folder from (TARGETID, kind, true z, strength or NaN)."""
    temporary = folder / f".{FILE}.part"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for targetid, kind, true_z, strength in rows:
            written = "" if np.isnan(strength) else f"{strength:.6g}"
            writer.writerow((targetid, kind, f"{true_z:.7f}", written))
    temporary.replace(folder / FILE)
