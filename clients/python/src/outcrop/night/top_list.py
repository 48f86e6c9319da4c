"""Top list: the most anomalous spectra of a night, by p_value, and where each of them was seen.

A spectrum is a row of a score table. A target that was observed on several tiles has several
spectra, each with scores of its own, and each is ranked for itself: one anomalous spectrum among
inliers of the same target speaks of the instrument, not of the sky. NSPECTRA says how many
there are.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import heapq
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .._constants import TOP
from .._fits import FitsTable
from ..errors import InputError
from .fiber_observations import Place, read_places

if TYPE_CHECKING:
    from astropy.table import Table

logger = logging.getLogger(__name__)

_DTYPES: Final = {
    "RANK": "i4",
    "TARGETID": "i8",
    "P_VALUE": "f8",
    "ANOMALY": "bool",
    "WMSE": "f4",
    "NOF": "f4",
    "SNR": "f4",
    "Z": "f8",
    "ZWARN": "i8",
    "SPECTYPE": "str",
    "STATUS": "i4",
    "TILEID": "i4",
    "FIBER": "i4",
    "PETAL": "i4",
    "NIGHT": "i4",
    "RA": "f8",
    "DEC": "f8",
    "NSPECTRA": "i4",
    "COADD": "str",
    "VIEWER": "str",
}


@dataclass(frozen=True)
class Strange:
    """A row of a score table that may be among the most anomalous.

    Attributes
    ----------
    coadd : Path
        Where its spectrum is.
    scores : dict
        Columns of the score table, by name.
    """

    coadd: Path
    scores: dict[str, Any]


@dataclass
class TopList:
    """The `TOP` eligible spectra with the smallest p_value, of all tables added.

    Holds those, and the TARGETID of every eligible row: 1.2 MB for a night.
    """

    most_anomalous: list[Strange] = field(default_factory=list[Strange])
    _targetids: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])

    def add(self, coadd: Path, table: FitsTable, eligible: NDArray[np.bool_]) -> None:
        """Take in a score table; InputError where it lacks a column.

        Parameters
        ----------
        coadd : Path
            Whose table it is.
        table : FitsTable
            OUTLIERS.
        eligible : (N,) bool
        """
        columns: dict[str, NDArray[Any]] = {
            **{name: table.integers(name) for name in ("TARGETID", "ZWARN", "STATUS")},
            **{name: table.floats(name) for name in ("P_VALUE", "WMSE", "NOF", "SNR", "Z")},
            "ANOMALY": table.booleans("ANOMALY"),
            "SPECTYPE": table.strings("SPECTYPE"),
        }
        p_value = np.where(eligible, columns["P_VALUE"], np.nan)
        rows = np.argsort(p_value, kind="stable")[:TOP]
        found = [
            Strange(coadd, {name: column[row] for name, column in columns.items()})
            for row in rows[np.isfinite(p_value[rows])]
        ]
        # Stable: where two share a p_value, the first added comes first.
        self.most_anomalous = heapq.nsmallest(
            TOP, [*self.most_anomalous, *found], key=lambda one: one.scores["P_VALUE"]
        )
        self._targetids.append(columns["TARGETID"][eligible])

    def table(self, root: Path) -> "Table":
        """Return the list, a row for every fibre and night of each spectrum.

        Rows of one spectrum share its RANK: in a tile's coadd there is one, in a healpixel's one
        for each combination of TILEID, FIBER, PETAL and NIGHT of the target. A coadd that cannot
        be read any more leaves RA, DEC and these unknown (NaN, −1), with a warning in the log.

        Parameters
        ----------
        root : Path
            COADD is relative to it.
        """
        from astropy.table import Table

        rows = list(self._rows(root))
        table = Table(
            {
                name: np.array([row[name] for row in rows], None if dtype == "str" else dtype)
                for name, dtype in _DTYPES.items()
            }
            if rows
            else {name: np.zeros(0, dtype) for name, dtype in _DTYPES.items()}
        )
        for name in ("RA", "DEC"):
            cast(Any, table)[name].unit = "deg"
        return table

    def targets(self) -> str:
        """Return the TARGETIDs, each once, the most anomalous first, one a line.

        This is what desihub's prospect reads: ``prospect_pages --target_list`` takes an "ASCII
        or FITS file", ASCII being a "simple list of TARGETIDs, one per row" that its pages keep
        the order of (py/prospect/scripts/prospect_pages.py). It reads a list of one line as a
        scalar and fails: that one goes to its ``--targets``.
        """
        return "".join(f"{one}\n" for one in dict.fromkeys(self._ids()))

    def _ids(self) -> list[int]:
        return [int(one.scores["TARGETID"]) for one in self.most_anomalous]

    def _rows(self, root: Path) -> Iterator[dict[str, Any]]:
        ids, counts = np.unique(
            np.concatenate([np.zeros(0, np.int64), *self._targetids]), return_counts=True
        )
        places = self._places()
        for rank, (one, targetid) in enumerate(
            zip(self.most_anomalous, self._ids(), strict=True), 1
        ):
            for place in places[one.coadd][targetid]:
                yield {
                    **one.scores,
                    "RANK": rank,
                    "TILEID": place.tileid,
                    "FIBER": place.fiber,
                    "PETAL": place.petal,
                    "NIGHT": place.night,
                    "RA": place.ra,
                    "DEC": place.dec,
                    "NSPECTRA": counts[np.searchsorted(ids, targetid)],
                    "COADD": one.coadd.relative_to(root).as_posix(),
                    "VIEWER": place.viewer,
                }

    def _places(self) -> dict[Path, dict[int, list[Place]]]:
        wanted: defaultdict[Path, list[int]] = defaultdict(list)
        for one, targetid in zip(self.most_anomalous, self._ids(), strict=True):
            wanted[one.coadd].append(targetid)
        places: dict[Path, dict[int, list[Place]]] = {}
        for coadd, ids in wanted.items():
            try:
                places[coadd] = read_places(coadd, np.array(ids))
            except InputError as error:
                logger.warning("%s; the top list does not know its fibres", error)
                places[coadd] = {targetid: [Place()] for targetid in ids}
        return places
