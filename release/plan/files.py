"""Files: which coadds of a plan are there, and how large they are."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from outcrop import InputError
from outcrop._fits import FitsFile
from outcrop.petals import find_coadds_without_redrock, find_petals
from outcrop.plan import PlannedPetal
from outcrop.remote import fingerprint

from .layouts import of_files
from .selection import PlanSelection

_Item = TypeVar("_Item")

_THREADS: Final = 16
_CONNECTIONS: Final = 4
"""At a time, to a server that many share."""


@dataclass
class FoundPetals:
    """Coadds of a plan, and what cannot be planned.

    Attributes
    ----------
    petals : list of PlannedPetal
    selected, coadds : int
        Rows that are selected, and the coadds that they are of, missing ones included.
    missing : list of str
        Files that are not there or cannot be read: their name and, after a tab, why.
    """

    petals: list[PlannedPetal] = field(default_factory=list[PlannedPetal])
    selected: int = 0
    coadds: int = 0
    missing: list[str] = field(default_factory=list[str])


def find_files(root: Path, petals: Sequence[PlannedPetal]) -> FoundPetals:
    """Look for the files of coadds below a folder; either may be gzipped.

    Raises
    ------
    InputError
        Where it is none.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; name the one that holds healpix or tiles")
    return _found(petals, lambda petal: _on_disk(root, petal), _THREADS)


def ask_server(root: str, petals: Sequence[PlannedPetal]) -> FoundPetals:
    """Ask a server for each coadd and redrock file, without fetching them.

    Raises
    ------
    OutcropError
        Where the server cannot be reached or fails.
    """

    def there(petal: PlannedPetal) -> PlannedPetal | str:
        sizes: list[int] = []
        for name in (petal.redrock, petal.coadd):
            try:
                sizes.append(fingerprint(f"{root.rstrip('/')}/{name}").size)
            except InputError as error:
                return f"{name}\t{error}"
        return replace(petal, size=sizes[1])

    return _found(petals, there, _CONNECTIONS)


def find_tree(root: Path, selection: PlanSelection) -> FoundPetals:
    """Find the coadds below a folder that have a selected row.

    The rows are those of the redrock files, which are read.

    Raises
    ------
    InputError
        Where the folder is none, or cannot be read.
    """
    pairs = [
        (pair.coadd.relative_to(root).as_posix(), pair.redrock.relative_to(root).as_posix())
        for pair in find_petals(root)
    ]
    selected: list[int] = []

    def of_pair(pair: tuple[str, str]) -> PlannedPetal | str | None:
        coadd, redrock = pair
        petal = of_files(coadd, redrock, 0, root.absolute().as_posix())
        if not selection.has_program(petal):
            return None
        try:
            wanted = _selected(root / redrock, selection)
        except InputError as error:
            return f"{redrock}\t{error}"
        selected.append(int(np.count_nonzero(wanted)))
        if not selected[-1]:
            return None
        return replace(petal, spectra=len(wanted), size=(root / coadd).stat().st_size)

    # One thread: astropy and its warnings are not made for several.
    found = _found(pairs, of_pair, 1)
    found.selected, found.coadds = sum(selected), sum(map(bool, selected))
    found.missing += [
        f"{path.relative_to(root).as_posix()}\tit has no redrock file"
        for path in find_coadds_without_redrock(root)
    ]
    return found


def _selected(redrock: Path, selection: PlanSelection) -> NDArray[np.bool_]:
    """Return which rows of a redrock or zbest file are selected."""
    with FitsFile(redrock) as file:
        table = file.table("ZBEST" if "ZBEST" in file else "REDSHIFTS")
        return selection.rows(
            table.integers("TARGETID"),
            table.floats("Z"),
            table.integers("ZWARN"),
            table.strings("SPECTYPE"),
        )


def _found(
    items: Sequence[_Item], ask: Callable[[_Item], PlannedPetal | str | None], threads: int
) -> FoundPetals:
    """Return what is found of each item: a coadd, what is missing, or None where not selected."""
    found = FoundPetals()
    with ThreadPoolExecutor(threads) as pool:
        for answer in tqdm(
            pool.map(ask, items), total=len(items), desc="files", unit="coadd", delay=2
        ):
            if isinstance(answer, PlannedPetal):
                found.petals.append(answer)
            elif answer is not None:
                found.missing.append(answer)
    return found


def _on_disk(root: Path, petal: PlannedPetal) -> PlannedPetal | str:
    """Return a coadd with its size and the names of its files, or what is missing."""
    names: list[str] = []
    for name in (petal.coadd, petal.redrock):
        there = next((one for one in (name, f"{name}.gz") if (root / one).is_file()), None)
        if there is None:
            return f"{name}\tit does not exist"
        names.append(there)
    return replace(petal, coadd=names[0], redrock=names[1], size=(root / names[0]).stat().st_size)
