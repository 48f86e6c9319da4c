"""Petals: the pairs of coadd and redrock files that DESI's folders hold."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import InputError
from .fingerprint import FileFingerprint

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

    def fingerprints(self) -> tuple[FileFingerprint, FileFingerprint]:
        """Return those of the two files as they are now; InputError where one is missing."""
        return FileFingerprint.of(self.coadd), FileFingerprint.of(self.redrock)


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
    for folder, _, names in os.walk(root, onerror=_raise_input_error):
        petals += _pairs(Path(folder), names)
    return sorted(petals, key=lambda petal: petal.redrock)


def require_petals(*roots: str | os.PathLike[str]) -> list[Petal]:
    """Find all pairs of coadd and redrock files below some folders; at least one.

    Parameters
    ----------
    *roots : path
        Each searched as by `find_petals`. A pair below two of them is listed once.

    Returns
    -------
    list of Petal
        Sorted by the redrock file's path.

    Raises
    ------
    InputError
        Where there is no pair, or a root is not a folder or cannot be read.
    """
    petals = {petal for root in roots for petal in find_petals(root)}
    if not petals:
        raise InputError(
            "no pair of coadd-*.fits and redrock-*.fits below "
            f"{', '.join(str(root) for root in roots)}; give a folder that holds DESI petals"
        )
    return sorted(petals, key=lambda petal: petal.redrock)


def pair_files(
    coadds: Sequence[str | os.PathLike[str]], redrocks: Sequence[str | os.PathLike[str]]
) -> list[Petal]:
    """Pair coadds with redrock files by their names, ``coadd-X`` with ``redrock-X`` or ``zbest-X``.

    One coadd and one redrock file are a pair whatever their names are.

    Raises
    ------
    InputError
        Where a file has no partner.

    Examples
    --------
    >>> from outcrop.petals import pair_files
    >>> coadds = ["coadd-1.fits", "coadd-2.fits"]
    >>> pairs = pair_files(coadds, ["b/redrock-2.fits", "a/redrock-1.fits"])
    >>> [str(petal.redrock) for petal in pairs]
    ['a/redrock-1.fits', 'b/redrock-2.fits']
    """
    names = pair_names([os.fspath(one) for one in coadds], [os.fspath(one) for one in redrocks])
    return [Petal(Path(coadd), Path(redrock)) for coadd, redrock in names]


def pair_names(coadds: Sequence[str], redrocks: Sequence[str]) -> list[tuple[str, str]]:
    """Pair the paths or addresses of coadds with those of redrock files, as `pair_files`."""
    if len(coadds) == len(redrocks) == 1:
        return [(coadds[0], redrocks[0])]

    by_name = {_redrock_stem(Path(redrock).name): redrock for redrock in redrocks}
    wanted = [_stem(Path(coadd).name, "coadd") for coadd in coadds]
    paired = len(coadds) == len(redrocks) == len(by_name) and set(wanted) == set(by_name)
    if not paired or None in by_name:
        raise InputError(
            f"{len(coadds)} coadds and {len(redrocks)} redrock files are not pairs of the same "
            "names, as coadd-1.fits and redrock-1.fits; name both of each petal"
        )
    return [(coadd, by_name[name]) for coadd, name in zip(coadds, wanted, strict=True)]


def find_coadds_without_redrock(root: str | os.PathLike[str]) -> list[Path]:
    """Find the coadds below a folder beside which there is no redrock or zbest file.

    Returns
    -------
    list of Path
        Sorted; a coadd that is there twice, plain and gzipped, is listed once.

    Raises
    ------
    InputError
        Where part of the folder cannot be read.
    """
    found: list[Path] = []
    for folder, _, names in os.walk(root, onerror=_raise_input_error):
        coadds = {
            stem: name for name in sorted(names, reverse=True) if (stem := _stem(name, "coadd"))
        }
        paired = {_stem(name, prefix) for prefix in ("redrock", "zbest") for name in names}
        found += [Path(folder, name) for stem, name in coadds.items() if stem not in paired]
    return sorted(found)


def _stem(name: str, prefix: str) -> str | None:
    """Return what the name of a coadd shares with that of its redrock file."""
    plain = name.removesuffix(".gz")
    if plain.startswith(f"{prefix}-") and plain.endswith(".fits"):
        return plain.removeprefix(prefix)
    return None


def _redrock_stem(name: str) -> str | None:
    return _stem(name, "redrock") or _stem(name, "zbest")


def _raise_input_error(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


@cache
def _warn_of_missing_coadd(redrock: Path) -> None:
    """Log a warning once, however often the folder is searched."""
    logger.warning("%s has no coadd in its folder; it is left out", redrock)


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
