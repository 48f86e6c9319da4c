"""Top list: the most anomalous spectra of a night, by p_value, with their fiber observations.

A spectrum is a row of a score table. A target that was observed on several tiles has several
spectra, each scored separately: one anomalous spectrum among inliers of the same target points to
the instrument, not to the sky. NSPECTRA is their number. Unless every spectrum is asked for, a
target is listed once, with its most anomalous spectrum.

Spectra that are set apart for a fault follow after all others, however small their p_value: the
first part is for those who look for objects, the second for those who look for the fault.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .fiber_observations import FiberObservation, read_fiber_observations
from .selection import FLAGGED, Selection

if TYPE_CHECKING:
    from astropy.table import Table

logger = logging.getLogger(__name__)

_DTYPES: Final = {
    "RANK": "i4",
    "TARGETID": "i8",
    "P_VALUE": "f8",
    "Q_VALUE": "f8",
    "ANOMALY": "bool",
    "WMSE": "f4",
    "NOF": "f4",
    "SNR": "f4",
    "Z": "f8",
    "ZWARN": "i8",
    "SPECTYPE": "str",
    "STATUS": "i4",
    "CAUSE": "str",
    "CAUSE_PROB": "f4",
    "P_EXPLAINED": "f8",
    "Z_BEST": "f8",
    "TILEID": "i4",
    "FIBER": "i4",
    "PETAL": "i4",
    "NIGHT": "i4",
    "RA": "f8",
    "DEC": "f8",
    "NSPECTRA": "i4",
    "COADD": "str",
    "VIEWER": "str",
    "SENTENCE": "str",
}


@dataclass(frozen=True)
class Candidate:
    """A row of a score table that may be among the most anomalous.

    Attributes
    ----------
    coadd : Path
        The file of its spectrum.
    scores : dict
        Columns of the score table, by name, and Q_VALUE: NaN where it is set apart.
    """

    coadd: Path
    scores: dict[str, Any]

    @property
    def targetid(self) -> int:
        """TARGETID of the spectrum."""
        return int(self.scores["TARGETID"])


@dataclass
class TopList:
    """The selected spectra of all tables added, the smallest p_value first."""

    selection: Selection = FLAGGED
    most_anomalous: list[Candidate] = field(default_factory=list[Candidate])
    _targetids: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])

    def add(
        self, coadd: Path, chosen: Mapping[str, NDArray[Any]], targetid: NDArray[np.int64]
    ) -> None:
        """Add the spectra of a score table.

        Parameters
        ----------
        coadd : Path
            The file of these spectra.
        chosen : mapping of str to (n,) array
            Columns of the score table, as `read_table` returns them, of the spectra that meet the
            selection's conditions, and Q_VALUE, NaN where they are set apart.
        targetid : (N,) int64
            Of all eligible spectra, for NSPECTRA.
        """
        merged = [
            *self.most_anomalous,
            *(
                Candidate(coadd, {name: column[row] for name, column in chosen.items()})
                for row in self._listed(chosen)
            ),
        ]
        self.most_anomalous = [merged[row] for row in self._listed(_columns(merged))]
        self._targetids.append(targetid)

    def _listed(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.intp]:
        return self.selection.listed(
            columns["TARGETID"], columns["P_VALUE"], np.isnan(columns["Q_VALUE"])
        )

    def table(self, root: Path) -> "Table":
        """Return the list: one row for each target, with its first fiber observation.

        Where every spectrum is listed, each has a row for every fiber observation, with the same
        RANK: in a tile's coadd there is one, in a healpixel's one for each combination of TILEID,
        FIBER, PETAL and NIGHT of the target. Where a coadd cannot be read any more, RA, DEC and
        these are unknown (NaN, −1), with a warning in the log.

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
        ids = dict.fromkeys(one.targetid for one in self.most_anomalous)
        return "".join(f"{targetid}\n" for targetid in ids)

    def _rows(self, root: Path) -> Iterator[dict[str, Any]]:
        eligible = np.concatenate([np.zeros(0, np.int64), *self._targetids])
        ids, counts = np.unique(eligible, return_counts=True)
        observations = self._observations()

        for rank, one in enumerate(self.most_anomalous, 1):
            listed = observations[one.coadd][one.targetid]
            for observation in listed if self.selection.every_spectrum else listed[:1]:
                yield {
                    **one.scores,
                    "RANK": rank,
                    "TILEID": observation.tileid,
                    "FIBER": observation.fiber,
                    "PETAL": observation.petal,
                    "NIGHT": observation.night,
                    "RA": observation.ra,
                    "DEC": observation.dec,
                    "NSPECTRA": counts[np.searchsorted(ids, one.targetid)],
                    "COADD": one.coadd.relative_to(root).as_posix(),
                    "VIEWER": observation.viewer,
                }

    def _observations(self) -> dict[Path, dict[int, list[FiberObservation]]]:
        targetids: defaultdict[Path, list[int]] = defaultdict(list)
        for one in self.most_anomalous:
            targetids[one.coadd].append(one.targetid)

        observations: dict[Path, dict[int, list[FiberObservation]]] = {}
        for coadd, ids in targetids.items():
            try:
                observations[coadd] = read_fiber_observations(coadd, np.array(ids))
            except InputError as error:
                logger.warning("%s; its fibers are unknown in the top list", error)
                observations[coadd] = {targetid: [FiberObservation()] for targetid in ids}
        return observations


def _columns(candidates: Sequence[Candidate]) -> dict[str, NDArray[Any]]:
    """Return what the order of candidates depends on."""
    scores = [one.scores for one in candidates]
    return {
        "TARGETID": np.array([one["TARGETID"] for one in scores], np.int64),
        "P_VALUE": np.array([one["P_VALUE"] for one in scores], np.float64),
        "Q_VALUE": np.array([one["Q_VALUE"] for one in scores], np.float64),
    }
