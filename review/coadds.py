"""Coadds: the spectra of a night, read one at a time from the files that were scored."""

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from outcrop import Band, InputError, PetalNoise, Spectra, read_spectra
from outcrop._bands import read_bands
from outcrop._fits import FitsFile
from outcrop.exposures import Exposures, find_exposures, read_exposures
from outcrop.fingerprint import FileFingerprint, has_fingerprints
from outcrop.night.summary import SUMMARY
from outcrop.redrock_details import details_of, read_candidates

from .night import ReviewNight
from .scored_petal_table import ScoredPetalTable
from .unpacked import UnpackedCoadds


@dataclass(frozen=True, eq=False)
class KnownPetal:
    """What is kept of a coadd once it was read.

    Attributes
    ----------
    targetid : (n,) int64
        Of the rows of the coadd.
    noise : mapping
        Of each tile and petal; empty where spectra were scored as they are.
    """

    targetid: NDArray[np.int64]
    noise: Mapping[tuple[int, int], PetalNoise]


class Coadds:
    """The coadds of a night.

    Parameters
    ----------
    night : ReviewNight
    root : Path, optional
        The folder that `outcrop night` searched; default: as the summary of the night says.
    """

    def __init__(self, night: ReviewNight, root: Path | None = None) -> None:
        self._night = night
        self._root = root
        self._known: dict[Path, tuple[tuple[FileFingerprint, ...], KnownPetal]] = {}
        self._unpacked = UnpackedCoadds()
        self._locks = [threading.Lock() for _ in night.tables]
        # One coadd at a time is in memory as a whole: of each thread the allocator keeps 100 MB.
        self._whole = ThreadPoolExecutor(1, thread_name_prefix="coadd")

    @cached_property
    def root(self) -> Path | None:
        """The folder of the coadds; None where nothing says which it is."""
        return self._root or _recorded_root(self._night.folder)

    def read(self, row: int) -> Spectra:
        """Return one spectrum as it was scored, its noise corrected where it was.

        Raises
        ------
        InputError
            Where the coadd or redrock file is missing, changed since, or cannot be read.
        """
        table, at = self._night.place(row)
        coadd, redrock = self.files(table)
        with self._locks[self._night.table[row]]:
            known = self._petal(table, coadd, redrock)
            bands = self._bands(coadd, known, table, at)

        columns = table.columns
        tileid, petal = int(columns["TILEID"][at]), int(columns["PETAL_LOC"][at])
        spectrum = Spectra(
            bands,
            z=columns["Z"][at : at + 1],
            targetid=columns["TARGETID"][at : at + 1],
            spectype=columns["SPECTYPE"][at : at + 1],
            zwarn=columns["ZWARN"][at : at + 1].astype(np.int64),
        )
        noise = known.noise.get((tileid, petal))
        return spectrum if noise is None else noise.correct(spectrum)

    def prepare(self, ended: threading.Event) -> None:
        """Read every coadd once, those of the smallest p-values first, until ended.

        The first spectrum of a coadd then takes no longer than the others. What cannot be read is
        left to the one who looks at it.
        """
        for number in dict.fromkeys(self._night.table.tolist()):
            if ended.is_set():
                return
            with contextlib.suppress(InputError), self._locks[number]:
                table = self._night.tables[number]
                self._petal(table, *self.files(table))

    def exposures(self, row: int) -> Exposures | None:
        """Return the exposures of a spectrum, as they are in the file beside the coadd.

        None where there is no such file; InputError where it cannot be read or the coadd changed.
        """
        table, at = self._night.place(row)
        path = find_exposures(self.files(table)[0])
        targetid = table.columns["TARGETID"][at : at + 1]
        return None if path is None else read_exposures(path, targetid)

    def candidates(self, row: int) -> list[float]:
        """Return redrock's next best redshifts, the best first; none where there are no details."""
        table, at = self._night.place(row)
        details = details_of(self.files(table)[1])
        if details is None:
            return []
        found = read_candidates(details, table.columns["TARGETID"][at : at + 1])
        return [] if found is None else found[0][np.isfinite(found[0])].tolist()

    def files(self, table: ScoredPetalTable) -> tuple[Path, Path]:
        """Return the coadd and the redrock file of a table; InputError where they changed."""
        inputs = table.inputs
        if self.root is None:
            raise InputError(
                "the summary of the night does not say where its coadds are; name their folder "
                "with --coadds"
            )
        folder = self.root / table.path.parent.relative_to(self._night.folder)
        coadd, redrock = (folder / name for name in inputs)
        for path in (coadd, redrock):
            if not path.is_file():
                raise InputError(
                    f"{path} is not there any more; name the folder that the coadds are in now "
                    "with --coadds"
                )

        if not has_fingerprints(table.cards, [FileFingerprint.of(p) for p in (coadd, redrock)]):
            raise InputError(
                f"{coadd} or {redrock.name} changed since it was scored (another size or time); "
                "run outcrop night again"
            )
        return coadd, redrock

    def _petal(self, table: ScoredPetalTable, coadd: Path, redrock: Path) -> KnownPetal:
        """Return what is known of a coadd; the first time it is read as a whole."""
        files = FileFingerprint.of(coadd), FileFingerprint.of(redrock)
        kept = self._known.get(coadd)
        if kept is not None and kept[0] == files:
            return kept[1]

        with FitsFile(coadd) as file:
            targetid = file.table("FIBERMAP").integers("TARGETID")
        noise: Mapping[tuple[int, int], PetalNoise] = {}
        if table.noise_corrected:
            noise = self._whole.submit(_noise, coadd, redrock).result()

        known = KnownPetal(targetid, noise)
        self._known[coadd] = files, known
        return known

    def _bands(
        self, coadd: Path, known: KnownPetal, table: ScoredPetalTable, at: int
    ) -> dict[str, Band]:
        targetid, occurrence = int(table.columns["TARGETID"][at]), _occurrence(table, at)
        rows = np.flatnonzero(known.targetid == targetid)[occurrence : occurrence + 1]
        if not len(rows):
            raise InputError(
                f"TARGETID {targetid} has no spectrum in {coadd}, only a row of redrock's"
            )

        def read(chosen: NDArray[np.intp] | None = None) -> dict[str, Band]:
            with FitsFile(coadd) as file:
                return read_bands(file, len(known.targetid), chosen)

        if not self._unpacked.keeps(coadd, len(known.targetid)):
            return read(rows)
        return self._whole.submit(self._unpacked.read, coadd, rows, read).result()


def _noise(coadd: Path, redrock: Path) -> dict[tuple[int, int], PetalNoise]:
    """Return the noise of each tile and petal of a coadd, which is read as a whole."""
    spectra = read_spectra(coadd, redrock, allow_mismatch=True)
    unknown = np.full(len(spectra), -1, np.int32)
    tile = unknown if spectra.tileid is None else spectra.tileid
    petal = unknown if spectra.petal is None else spectra.petal
    return {
        one: PetalNoise.measure(spectra[(tile == one[0]) & (petal == one[1])])
        for one in set(zip(tile.tolist(), petal.tolist(), strict=True))
    }


def _occurrence(table: ScoredPetalTable, at: int) -> int:
    """Return how many rows before have the same TARGETID: the k-th has the coadd's k-th."""
    targetid = table.columns["TARGETID"]
    return int(np.count_nonzero(targetid[:at] == targetid[at]))


def _recorded_root(folder: Path) -> Path | None:
    """Return the folder of the coadds that the summary of a night names; None where it does not."""
    # astropy takes a second to import: the page does not wait for it.
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import Table

    path = folder / SUMMARY
    if not path.is_file():
        return None
    try:
        root = Table.read(path, format="ascii.ecsv").meta.get("root")
    except (OSError, ValueError, InconsistentTableError) as error:
        raise InputError(f"{path} cannot be read: {error}; run outcrop night again") from error
    return None if root is None else Path(root)
