"""Petals: the pairs of coadd and redrock files that DESI's folders hold."""

import logging
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import InputError
from .fingerprint import Stamp

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Petal:
    """A coadd and its redrock file.

    Attributes
    ----------
    coadd, redrock : Path
    """

    coadd: Path
    redrock: Path

    def stamps(self) -> tuple[Stamp, Stamp]:
        """Return what the two files are now; InputError where one is missing."""
        return Stamp.of(self.coadd), Stamp.of(self.redrock)


def find_petals(root: str | os.PathLike[str]) -> list[Petal]:
    """Find all pairs of coadd and redrock files below a folder.

    Parameters
    ----------
    root : path
        Searched recursively, in any of DESI's layouts or none. ``redrock-*.fits`` and, where
        there is no such file, ``zbest-*.fits`` are paired with the coadd of the same name and
        folder; each of them may be gzipped.

    Returns
    -------
    list of Petal
        Sorted by the redrock file's path. A redrock file without its coadd is left out, with one
        warning in the log: partial copies of a release are common.

    Raises
    ------
    InputError
        Where `root` is not a folder or part of it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("coadd-0-1-thru2.fits", "redrock-0-1-thru2.fits"):
    ...         Path(folder, name).touch()
    ...     [petal.coadd.name for petal in find_petals(folder)]
    ['coadd-0-1-thru2.fits']
    """
    if not Path(root).is_dir():
        raise InputError(
            f"{root} is not a folder; name the folder that holds coadd and redrock files"
        )
    petals: list[Petal] = []
    for folder, _, names in os.walk(root, onerror=_refuse):
        petals += _pairs(Path(folder), names)
    return sorted(petals, key=lambda petal: petal.redrock)


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


@cache
def _warn_of_missing_coadd(redrock: Path) -> None:
    """Say so once, however often the folder is searched."""
    logger.warning("%s has no coadd beside it; it is left out", redrock)


def _pairs(folder: Path, names: list[str]) -> list[Petal]:
    # The first name of each stem wins: redrock before zbest, plain before gzipped.
    found: dict[str, str] = {}
    for prefix in ("redrock", "zbest"):
        for end in (".fits", ".fits.gz"):
            for name in names:
                if name.startswith(f"{prefix}-") and name.endswith(end):
                    found.setdefault(name[len(prefix) : -len(end)], name)
    pairs: list[Petal] = []
    for stem, redrock in found.items():
        coadd = next((c for c in (f"coadd{stem}.fits", f"coadd{stem}.fits.gz") if c in names), None)
        if coadd is None:
            _warn_of_missing_coadd(folder / redrock)
        else:
            pairs.append(Petal(folder / coadd, folder / redrock))
    return pairs
