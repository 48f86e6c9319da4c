"""Tally: the counts of a catalogue, as its README lists them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from outcrop import Status, eligible
from outcrop._constants import Q_LEVEL


@dataclass
class Tally:
    """How many rows of a survey and program are what.

    Attributes
    ----------
    tables, rows, primary, eligible, flagged, discoveries, unplaced : int
        Score tables; rows of them: all, the primary ones, the eligible ones, the anomalies among
        these, the discoveries of the release, those without a position.
    status : Counter
        Rows with each status bit.
    causes : Counter
        Rows with each cause.
    """

    tables: int = 0
    rows: int = 0
    primary: int = 0
    eligible: int = 0
    flagged: int = 0
    discoveries: int = 0
    unplaced: int = 0
    status: Counter[str] = field(default_factory=Counter[str])
    causes: Counter[str] = field(default_factory=Counter[str])

    def add(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Count some rows, given their columns by name."""
        status = block["STATUS"]
        counted = eligible(status, block["SNR"])
        self.rows += len(status)
        self.primary += int(np.count_nonzero(block["PRIMARY"]))
        self.eligible += int(np.count_nonzero(counted))
        self.flagged += int(np.count_nonzero(counted & block["ANOMALY"]))
        self.discoveries += int(np.count_nonzero(block["Q_VALUE"] <= Q_LEVEL))
        self.unplaced += int(np.count_nonzero(block["_healpix_29"] < 0))

        for bit in Status:
            self.status[str(bit)] += int(np.count_nonzero(status & int(bit)))
        if "CAUSE" in block:
            causes, counts = np.unique(block["CAUSE"], return_counts=True)
            for cause, count in zip(causes.tolist(), counts.tolist(), strict=True):
                if cause:
                    self.causes[cause.decode()] += count

    def __add__(self, other: "Tally") -> "Tally":
        sums: dict[str, Any] = {
            each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)
        }
        return Tally(**sums)
