"""Remote files: coadds and redrock files of a release that is elsewhere.

A file at ``https://`` or ``s3://`` (public, without credentials) is fetched to a cache as a smaller
file: of a coadd only what is read, without the resolution matrices. Each HDU is checked by its
DATASUM and CHECKSUM, where it has them. All readers take the copy as they take any file, and score
tables name the address, the size and the time of the origin.

Needs fsspec, aiohttp and, for ``s3://``, s3fs; a path needs none of them.

Nothing else of this package fetches addresses: not the readers, and never those that a file or a
request names.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ._remote.address import is_remote
from .fingerprint import FileFingerprint
from .petals import Petal
from .remote_cache import RemoteCache

if TYPE_CHECKING:
    from .plan import Plan, PlannedPetal

__all__ = ["RemoteCache", "fetch", "fetch_petal", "fingerprint", "is_remote"]


@contextmanager
def fetch(
    address: str,
    cache: RemoteCache | None = None,
    *,
    sha256: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Generator[Path]:
    """Hold a local copy of a file: use it within a ``with`` block.

    Parameters
    ----------
    address : str
        ``https://…``, ``s3://bucket/…``, ``http://`` of this machine, or the path of a file, which
        is returned as it is.
    cache : RemoteCache, optional
        Of the environment by default.
    sha256 : bool
        Read the whole file, and check it by the ``*.sha256sum`` in its folder. What is not needed
        is then fetched too, but not kept. Of a path nothing is checked.
    progress : function, optional
        Called with the number of bytes of each request.

    Yields
    ------
    Path
        Of the copy, which has the file's own name. Other processes do not delete it before the end
        of the block; afterwards it stays in the cache while there is room.

    Raises
    ------
    InputError
        Where the address may not be fetched, there is no such file, it is damaged, is served as a
        whole only and has more than 8 MiB, or changes while it is fetched; where the cache has no
        room or a package is missing.
    ConnectionFailed, Timeout, StatusError
        Where the server cannot be reached or fails, also when it is asked again.
    WireError
        Where its answer is not what was asked for.

    Examples
    --------
    >>> from outcrop.remote import fetch
    >>> with fetch("coadd-0-1-thru2.fits") as path:
    ...     path.name
    'coadd-0-1-thru2.fits'
    """
    if not is_remote(address):
        yield Path(address)
        return
    with (cache or RemoteCache.of_environment()).copy(address, sha256, progress) as path:
        yield path


@contextmanager
def fetch_petal(
    plan: "Plan",
    planned: "PlannedPetal",
    cache: RemoteCache | None = None,
    *,
    sha256: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Generator[Petal]:
    """Hold local copies of a planned petal: use it within a ``with`` block.

    Parameters and errors are those of `fetch`; a plan whose root is a folder gives the petal's own
    files.

    Yields
    ------
    Petal
    """
    with ExitStack() as held:
        # The redrock file first: it is small, and shows a wrong address early.
        redrock, coadd = (
            held.enter_context(fetch(plan.address(name), cache, sha256=sha256, progress=progress))
            for name in (planned.redrock, planned.coadd)
        )
        yield Petal(coadd, redrock)


def fingerprint(address: str, cache: RemoteCache | None = None) -> FileFingerprint:
    """Return the fingerprint that a score table of this file keeps, without fetching the file.

    Parameters
    ----------
    address : str
        As of `fetch`; of a remote file one request is made.
    cache : RemoteCache, optional
        For its limit of connections.

    Raises
    ------
    OutcropError
        As `fetch`.
    """
    if not is_remote(address):
        return FileFingerprint.of(address)
    return (cache or RemoteCache.of_environment()).fingerprint(address)
