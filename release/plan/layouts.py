"""Layouts: the names and folders of DESI's coadds.

::

    healpix/SURVEY/PROGRAM/PIXEL//100/PIXEL/coadd-SURVEY-PROGRAM-PIXEL.fits        EDR to DR2
    spectra/SURVEY/PROGRAM/UNIQPIX//100/UNIQPIX/coadd-SURVEY-PROGRAM-UNIQPIX.fits  from DR3 on
    tiles/cumulative/TILEID/NIGHT/coadd-PETAL-TILEID-thruNIGHT.fits

Source: desidatamodel, DESI_SPECTRO_REDUX/SPECPROD. UNIQPIX is HEALPIX + 4 nside².
"""

import re
from pathlib import PurePosixPath
from typing import Any, Final

from outcrop.plan import PlannedPetal

_PIXEL: Final = re.compile(r"coadd-([A-Za-z0-9]+)-([A-Za-z0-9]+)-(\d{1,15})\.fits(?:\.gz)?")
_TILE: Final = re.compile(r"coadd-(\d)-(\d{1,15})-\w+\.fits(?:\.gz)?")
_FOLDERS: Final = {"healpix": "healpix", "uniqpix": "spectra"}


def of_pixel(kind: str, survey: str, program: str, pixel: int, spectra: int) -> PlannedPetal:
    """Return the coadd of a healpix, or of an adaptive pixel.

    Parameters
    ----------
    kind : str
        ``healpix`` or ``uniqpix``.

    Raises
    ------
    InputError
        Where a value cannot be of a coadd.
    """
    folder = f"{_FOLDERS[kind]}/{survey}/{program}/{pixel // 100}/{pixel}"
    name = f"{survey}-{program}-{pixel}.fits"
    number: dict[str, Any] = {kind: pixel}
    return PlannedPetal(
        f"{folder}/coadd-{name}",
        f"{folder}/redrock-{name}",
        survey,
        program,
        spectra=spectra,
        **number,
    )


def of_tile(
    survey: str, program: str, tileid: int, petal: int, night: int, spectra: int
) -> PlannedPetal:
    """Return the cumulative coadd of a tile's petal; InputError where a value cannot be of one."""
    folder, name = f"tiles/cumulative/{tileid}/{night}", f"{petal}-{tileid}-thru{night}.fits"
    return PlannedPetal(
        f"{folder}/coadd-{name}",
        f"{folder}/redrock-{name}",
        survey,
        program,
        tileid=tileid,
        petal=petal,
        spectra=spectra,
    )


def of_files(coadd: str, redrock: str, spectra: int, root: str = "") -> PlannedPetal:
    """Return a coadd by its path below a root, and what both say of it.

    Examples
    --------
    >>> from release.plan.layouts import of_files
    >>> folder = "tiles/cumulative/80613/20210324/"
    >>> name = "4-80613-thru20210324.fits"
    >>> petal = of_files(f"{folder}coadd-{name}", f"{folder}redrock-{name}", 500)
    >>> petal.tileid, petal.petal, petal.healpix
    (80613, 4, -1)
    """
    path = PurePosixPath(coadd)
    values: dict[str, Any] = {}
    if found := _TILE.fullmatch(path.name):
        values = {"petal": int(found[1]), "tileid": int(found[2])}
    elif found := _PIXEL.fullmatch(path.name):
        values = {"survey": found[1], "program": found[2]}
        above = PurePosixPath(root, coadd).parts[-6:-5]
        for kind, folder in _FOLDERS.items():
            if above == (folder,):
                values[kind] = int(found[3])
    return PlannedPetal(coadd, redrock, spectra=spectra, **values)
