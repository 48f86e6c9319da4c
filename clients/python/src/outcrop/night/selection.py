"""Selection: which spectra of a night its top list holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .._constants import TOP


@dataclass(frozen=True)
class Selection:
    """The spectra to list: by default those with the flag ANOMALY, one of each target.

    Attributes
    ----------
    max_p : float, optional
        List eligible spectra with a p_value below this, with the flag or without.
    spectype : str
        List only this class of redrock's: GALAXY, QSO or STAR. Default: any.
    min_snr : float
        List only spectra with at least this S/N.
    number : int
        List at most so many spectra, those with the smallest p_value, and after them at most so
        many of those that are set apart.
    every_spectrum : bool
        List every spectrum of a target, not only that with the smallest p_value.
    """

    max_p: float | None = None
    spectype: str = ""
    min_snr: float = 0.0
    number: int = TOP
    every_spectrum: bool = False

    def __str__(self) -> str:
        conditions = ["flagged" if self.max_p is None else f"p < {self.max_p:g}"]
        if self.spectype:
            conditions.append(self.spectype)
        if self.min_snr > 0:
            conditions.append(f"S/N >= {self.min_snr:g}")
        each = "every spectrum" if self.every_spectrum else "one spectrum of each target"
        return f"{', '.join(conditions)}; {each}, at most {self.number}"

    def chosen(
        self, table: Mapping[str, NDArray[Any]], eligible: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which rows of a score table meet the conditions, however many they are.

        Parameters
        ----------
        table : mapping of str to (N,) array
            Columns of the score table, as `read_table` returns them.
        eligible : (N,) bool
        """
        p_value = table["P_VALUE"]
        chosen = eligible & np.isfinite(p_value)
        chosen &= table["ANOMALY"] if self.max_p is None else p_value < self.max_p
        if self.spectype:
            chosen &= table["SPECTYPE"] == self.spectype
        return chosen & (table["SNR"] >= self.min_snr)

    def listed(
        self,
        targetid: NDArray[np.int64],
        p_value: NDArray[np.float64],
        set_apart: NDArray[np.bool_],
    ) -> NDArray[np.intp]:
        """Return which of the chosen spectra to list, in order: those set apart after all others.

        A target is listed once, unless every spectrum is.

        Parameters
        ----------
        targetid, p_value, set_apart : (N,)
        """
        # Stable: where two share a p_value, the first comes first.
        rows = np.lexsort((p_value, set_apart))
        if not self.every_spectrum:
            rows = rows[np.sort(np.unique(targetid[rows], return_index=True)[1])]
        apart = set_apart[rows]
        return np.concatenate([rows[~apart][: self.number], rows[apart][: self.number]])


FLAGGED: Final = Selection()
"""The flagged spectra, one of each target."""
