"""Sources: the petals that a sample is drawn from, of folders and of plans.

A petal of a folder is known by the paths, sizes and times of its files. A petal of a plan is known
by its addresses and the size that the plan states: its files need not stay where they were read
once. Where they are local and were written anew since, they are read again.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from outcrop import InputError, Petal, find_petals
from outcrop.plan import Plan, PlannedPetal
from outcrop.remote import fetch, is_remote

from .. import TrainingError
from .cache import key_of

PLAN = ".ecsv"
"""How the name of a plan ends."""


@dataclass(frozen=True)
class PetalSource:
    """A petal to read.

    Attributes
    ----------
    coadd, redrock : str
        Paths or addresses.
    planned : bool
        Whether a plan names it.
    size : int
        Bytes of the coadd according to the plan; −1 where unknown.
    """

    coadd: str
    redrock: str
    planned: bool = False
    size: int = -1

    def identity(self) -> str:
        """Return what its prepared spectra are known by; OSError where a file of a folder is not.

        No file of a plan is touched.
        """
        if self.planned:
            return f"{self.coadd}:{self.size};{self.redrock}"
        stats = [(path.resolve(), path.stat()) for path in map(Path, (self.coadd, self.redrock))]
        return ";".join(f"{path}:{stat.st_size}:{stat.st_mtime_ns}" for path, stat in stats)

    def changed_since(self, time_ns: int) -> bool:
        """Return whether a local file of the petal that is there was written after a time."""
        paths = [Path(one) for one in (self.coadd, self.redrock) if not is_remote(one)]
        return any(path.stat().st_mtime_ns > time_ns for path in paths if path.exists())

    @contextmanager
    def opened(self) -> Iterator[Petal]:
        """Hold the petal's files: use them within a ``with`` block.

        Raises
        ------
        InputError
            Where a file is not there, or the coadd is not the one that was planned.
        ConnectionFailed, Timeout, StatusError, WireError
            Where a server fails.
        """
        with ExitStack() as held:
            redrock, coadd = (
                held.enter_context(fetch(address)) for address in (self.redrock, self.coadd)
            )
            petal = Petal(coadd, redrock)
            if self.size >= 0:
                self._check_size(petal)
            yield petal

    def _check_size(self, petal: Petal) -> None:
        size = petal.fingerprints()[0].size
        if size != self.size:
            raise InputError(
                f"{self.coadd} has {size} bytes, its plan says {self.size}: it is cut off, or was "
                "replaced since; fetch it again, or make the plan anew"
            )


def is_plan(path: str | os.PathLike[str]) -> bool:
    """Return whether a path names a plan rather than a folder.

    Examples
    --------
    >>> from training.model.sources import is_plan
    >>> is_plan("edr.ecsv"), is_plan("edr/tiles/cumulative")
    (True, False)
    """
    return os.fspath(path).endswith(PLAN)


def find_sources(paths: Sequence[str | os.PathLike[str]]) -> list[PetalSource]:
    """Return the petals of folders and plans, each once, in the order of their coadds.

    Raises
    ------
    TrainingError
        If there is none.
    InputError
        If a plan cannot be read.
    """
    found: dict[str, PetalSource] = {}
    for path in paths:
        if is_plan(path):
            plan = Plan.read(path)
            sources = [_planned(plan, petal) for petal in plan.petals]
        else:
            sources = [PetalSource(str(p.coadd), str(p.redrock)) for p in find_petals(path)]
        for source in sources:
            found.setdefault(_place(source.coadd), source)
    if not found:
        raise TrainingError(
            f"no pair of coadd-*.fits and redrock-*.fits below {', '.join(map(str, paths))}; "
            "give folders of DESI petals or plans of a release, or make some petals with "
            "`python -m training simulate`"
        )
    return sorted(found.values(), key=lambda source: source.coadd)


def drawn(sources: Sequence[PetalSource], seed: int) -> list[PetalSource]:
    """Return petals in an order that the seed and the name of each one's coadd give.

    It is that of any copy of the release. A release that grows, or a petal that is left out, leaves
    the order of the others as it is.
    """
    return sorted(sources, key=lambda source: key_of(seed, PurePosixPath(source.coadd).name))


def _place(address: str) -> str:
    """Return what two ways of naming one file have in common."""
    return address if is_remote(address) else str(Path(address).resolve())


def _planned(plan: Plan, petal: PlannedPetal) -> PetalSource:
    addresses = [plan.address(path) for path in (petal.coadd, petal.redrock)]
    # A folder may be given relative to where the command is run.
    if not is_remote(plan.root):
        addresses = [str(Path(address).absolute()) for address in addresses]
    return PetalSource(*addresses, planned=True, size=petal.size)
