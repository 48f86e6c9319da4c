"""Catalogue: DESI's redshift catalogue, from which a release is planned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError
from outcrop.plan import PlannedPetal

from ..zcatalog import ZcatalogFile
from .layouts import of_pixel, of_tile
from .selection import PlanSelection

_PLACES: Final = {
    "tiles": ("TILEID", "PETAL_LOC", "LASTNIGHT"),
    "uniqpix": ("UNIQPIX",),
    "healpix": ("HEALPIX",),
}
"""Columns that say which coadd a row is of; where there are several kinds, the first."""


@dataclass
class CoaddRows:
    """Rows of a catalogue that are of one coadd: how many, and how many of them are selected."""

    rows: int = 0
    selected: int = 0


class Catalogue:
    """A redshift catalogue.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    kind : str
        Of its coadds: ``healpix``, ``uniqpix`` or ``tiles``.

    Raises
    ------
    InputError
        Where it cannot be read, is cut off, or does not say which coadds its rows are of.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ZcatalogFile(path)
        self._header, self._names = self._file.header, self._file.names
        self.kind = self._kind()

    def __len__(self) -> int:
        return len(self._file)

    def petals(self, selection: PlanSelection) -> tuple[list[PlannedPetal], int]:
        """Find the coadds that have a selected row.

        Returns
        -------
        list of PlannedPetal
            With the number of rows that the catalogue has of them, selected or not.
        int
            Number of selected rows.

        Raises
        ------
        InputError
            Where a column is missing that is selected by, or has impossible values.
        """
        coadds: dict[tuple[Any, ...], CoaddRows] = {}
        keys = ["SURVEY", "PROGRAM", *_PLACES[self.kind]]
        for rows in self._file.blocks():
            selected = selection.rows(
                targetid=self._column(rows, "TARGETID"),
                z=self._column(rows, "Z", "Z_BEST"),
                zwarn=self._column(rows, "ZWARN", "ZWARN_BEST"),
                spectype=self._column(rows, "SPECTYPE", "SPECTYPE_BEST"),
            )

            # Most rows are of the same coadd as the one before.
            place = rows[[name for name in keys if name in self._names]]
            starts = np.concatenate([[0], np.flatnonzero(place[1:] != place[:-1]) + 1])
            counts = np.diff(starts, append=len(rows))
            chosen = np.add.reduceat(selected.astype(np.int64), starts)
            for key, count, number in zip(place[starts].tolist(), counts, chosen, strict=True):
                of_coadd = coadds.setdefault(key, CoaddRows())
                of_coadd.rows += int(count)
                of_coadd.selected += int(number)

        petals: list[PlannedPetal] = []
        total = 0
        for key, of_coadd in coadds.items():
            petal = self._petal(key, of_coadd.rows)
            if of_coadd.selected and selection.has_program(petal):
                petals.append(petal)
                total += of_coadd.selected
        return petals, total

    def _kind(self) -> str:
        group = str(self._header.get("SPGRP", "cumulative")).strip()
        for kind, names in _PLACES.items():
            if set(names) <= set(self._names) and (kind != "tiles" or group == "cumulative"):
                break
        else:
            raise InputError(
                f"{self.path} has no columns HEALPIX, UNIQPIX or TILEID, PETAL_LOC and LASTNIGHT, "
                f"or its tiles are not cumulative; name zall-pix-*.fits or "
                "zall-tilecumulative-*.fits"
            )
        for name in ("SURVEY", "PROGRAM"):
            if name not in self._names and name not in self._header:
                raise InputError(
                    f"{self.path} has no {name}, neither a column nor a card; name a redshift "
                    "catalogue that DESI made, as zall-pix-iron.fits"
                )
        return kind

    def _column(self, rows: Any, *names: str) -> NDArray[Any] | None:
        """Return the first of the columns that is there."""
        return next((rows[name] for name in names if name in self._names), None)

    def _petal(self, key: tuple[Any, ...], rows: int) -> PlannedPetal:
        values = list(key)
        # tolist() gives bytes for strings, which are padded.
        words = [
            values.pop(0) if name in self._names else str(self._header[name])
            for name in ("SURVEY", "PROGRAM")
        ]
        survey, program = (
            (word.decode(errors="replace") if isinstance(word, bytes) else word).strip()
            for word in words
        )
        try:
            if self.kind == "tiles":
                tileid, petal, night = values
                return of_tile(survey, program, tileid, petal, night, rows)
            return of_pixel(self.kind, survey, program, values[0], rows)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
