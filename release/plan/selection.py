"""Selection: which spectra of a release are wanted, and so which coadds are planned."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError
from outcrop.plan import PlannedPetal

_NODATA: Final = 1 << 9
"""ZWARN of rows without data, which have a redshift of 0."""
_LONGEST_LINE: Final = 10_000


@dataclass(frozen=True, eq=False)
class PlanSelection:
    """What a spectrum must be; everything is wanted by default.

    Attributes
    ----------
    surveys, programs, spectypes : tuple of str
        One of these; empty for all.
    z_range : tuple of float, optional
        Redshifts between these two, both excluded.
    targetids : (n,) int64, optional
        One of these, sorted and each once.
    found : (n,) bool, optional
        Which of them have been seen; set by `rows`.
    """

    surveys: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    spectypes: tuple[str, ...] = ()
    z_range: tuple[float, float] | None = None
    targetids: NDArray[np.int64] | None = None
    found: NDArray[np.bool_] | None = None

    def has_program(self, petal: PlannedPetal) -> bool:
        """Return whether a coadd is of the surveys and programs.

        Raises
        ------
        InputError
            Where they are not known of this coadd.
        """
        for name, wanted in (("survey", self.surveys), ("program", self.programs)):
            value: str = getattr(petal, name)
            if wanted and not value:
                raise InputError(
                    f"the {name} of {petal.coadd} is not known, as its name does not tell; plan "
                    f"from zall-tilecumulative-*.fits (--zcatalog), or without --{name}"
                )
            if wanted and value not in wanted:
                return False
        return True

    def rows(
        self,
        targetid: NDArray[Any] | None,
        z: NDArray[Any] | None,
        zwarn: NDArray[Any] | None,
        spectype: NDArray[Any] | None,
    ) -> NDArray[np.bool_]:
        """Return which rows (N,) are wanted, whatever their survey and program.

        Parameters
        ----------
        targetid, z, zwarn, spectype : (N,) arrays
            None where there is no such column; `spectype` of str or bytes.

        Raises
        ------
        InputError
            Where there is no column that is selected by.
        """
        targetid = _known("TARGETID", targetid)
        wanted = np.ones(len(targetid), np.bool_)
        if self.z_range is not None:
            low, high = self.z_range
            redshift = _known("Z", z)
            wanted &= (redshift > low) & (redshift < high)
        if self.spectypes:
            names = np.array(self.spectypes)
            known = np.char.strip(_known("SPECTYPE", spectype))
            wanted &= np.isin(known, names.astype(known.dtype.kind))
        if self.z_range is not None or self.spectypes:
            wanted &= (_known("ZWARN", zwarn) & _NODATA) == 0

        if self.targetids is not None and self.found is not None:
            ids = targetid.astype(np.int64)
            self.found[np.isin(self.targetids, ids)] = True
            wanted &= np.isin(ids, self.targetids)
        return wanted

    @property
    def not_found(self) -> NDArray[np.int64]:
        """TARGETIDs that no row had, so far."""
        if self.targetids is None or self.found is None:
            return np.zeros(0, np.int64)
        return self.targetids[~self.found]

    @property
    def of_rows(self) -> bool:
        """Whether rows are selected, not only coadds."""
        return bool(self.spectypes) or self.z_range is not None or self.targetids is not None


def _known(name: str, column: NDArray[Any] | None) -> NDArray[Any]:
    if column is None:
        raise InputError(f"there is no column {name}, by which is selected; plan without it")
    return column


def read_targetids(path: Path) -> NDArray[np.int64]:
    """Read TARGETIDs from a text file.

    One each line, or CSV of which one column is named TARGETID, in upper or lower case, as a table
    of SPARCL's results is written.

    Returns
    -------
    (n,) int64
        Sorted, each once.

    Raises
    ------
    InputError
        Where the file cannot be read, or a line has no TARGETID.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            ids = np.fromiter(_targetids(path, lines), np.int64)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not len(ids):
        raise InputError(f"{path} has no TARGETID; give one on each line, or a CSV with TARGETID")
    return np.unique(ids)


def _targetids(path: Path, lines: Any) -> Iterator[int]:
    column = 0
    for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), ""), 1):
        values = [value.strip().strip('"') for value in line.split(",")]
        names = [value.lower() for value in values]
        if number == 1 and "targetid" in names:
            column = names.index("targetid")
        elif values != [""]:
            try:
                targetid = int(values[column])
                yield np.int64(targetid).item()
            except (ValueError, IndexError, OverflowError) as error:
                raise InputError(
                    f"{path}, line {number}: no TARGETID in {line[:80].rstrip()!r}; give one on "
                    "each line, or a CSV of which a column is named TARGETID"
                ) from error
