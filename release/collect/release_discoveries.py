"""Release discoveries: the targets of a release that are anomalous although so many were tested.

The procedure is that of a night (`outcrop.night.discoveries`), over all eligible targets of the
release. A target counts once, with its primary row: several rows of one anomaly would be several
discoveries, and share the false ones among them.

Petals and fiber bundles of tiles are set apart as in a night, against the other petals of the
release. Healpix coadds are never: each holds the exposures of many petals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outcrop.night.discoveries import fdr_basis, q_values
from outcrop.night.faults import PetalPValues, find_faults

from .row_index import RowIndex
from .score_tables import TableDescription


@dataclass(frozen=True)
class SetApart:
    """Rows of a table that were not tested.

    Attributes
    ----------
    table : TableDescription
    reason : str
    rows : int
    """

    table: TableDescription
    reason: str
    rows: int


@dataclass(frozen=True, eq=False)
class ReleaseDiscoveries:
    """The discoveries of a release.

    Attributes
    ----------
    q_value : (N,) float64
        NaN where a row was not tested. The discoveries are those up to `Q_LEVEL`.
    basis : str
        As of `Discoveries`.
    set_apart : list of SetApart
    """

    q_value: NDArray[np.float64]
    basis: str
    set_apart: list[SetApart]

    @staticmethod
    def find(index: RowIndex, primary: NDArray[np.bool_]) -> "ReleaseDiscoveries":
        """Set apart what is faulty, and test the primary rows of the rest together."""
        cards = index.cards
        tested = np.where(primary, index.p_value, np.nan)
        of_tiles = [number for number, table in enumerate(index.tables) if table.of_tile]
        petals = [_petal(index, number) for number in of_tiles]

        set_apart: list[SetApart] = []
        found = find_faults(petals, float(cards["PLEVEL"])) if petals else []
        for number, faults in zip(of_tiles, found, strict=True):
            rows = index.rows_of(number)
            counted = rows.start + np.flatnonzero(index.eligible[rows])
            for fault in faults:
                tested[counted[fault.rows]] = np.nan
                count = int(np.count_nonzero(fault.rows))
                set_apart.append(SetApart(index.tables[number], fault.reason, count))

        finest = cards.get("PFINEST")
        q_value = q_values(tested)
        basis = fdr_basis(tested, q_value, None if finest is None else float(finest))
        return ReleaseDiscoveries(q_value, basis, set_apart)

    @property
    def tested(self) -> int:
        """Number of targets that were tested."""
        return int(np.count_nonzero(np.isfinite(self.q_value)))


def _petal(index: RowIndex, number: int) -> PetalPValues:
    rows = index.rows_of(number)
    counted = index.eligible[rows]
    return PetalPValues(
        index.p_value[rows][counted],
        index.flagged[rows][counted],
        index.fiber[rows][counted],
        index.tables[number].noise,
    )
