"""Petal files in DESI's format: a coadd, its redrock table and, optionally, its exposures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from astropy.io import fits
from numpy.lib import recfunctions
from numpy.typing import ArrayLike, NDArray

from outcrop.spectra import WAVE as BANDS
from training.sky.exposures import Exposure
from training.sky.grid import Array
from training.sky.noise import Frame

BGS_ANY: Final = 1 << 60
SURVEY: Final = "main"
NSIDE: Final = 64
SIMULATED: Final = "a simulated sky of Outcrop, not DESI data"
_OF_EXPOSURES: Final = ("PETAL_LOC", "DEVICE_LOC", "LOCATION", "FIBER", "TILEID")


@dataclass(frozen=True, eq=False)
class SimulatedPetal:
    """The content of a petal's files, N rows each, or N rows per exposure.

    Attributes
    ----------
    tile, night, number : int
        TILEID, NIGHT (YYYYMMDD) and the petal's number on the tile, 0 to 9.
    frames : mapping of str to Frame
        Cameras b, r, z.
    fibermap, redshifts : structured arrays
    exposures : sequence of Exposure
        None by default.
    pixel : int
        The healpix, nested and of nside 64, in which all targets lie; −1 in a tile's petal.
    """

    tile: int
    night: int
    number: int
    frames: Mapping[str, Frame]
    fibermap: NDArray[np.void]
    redshifts: NDArray[np.void]
    exposures: Sequence[Exposure] = field(default_factory=tuple[Exposure, ...])
    pixel: int = -1

    @property
    def program(self) -> str:
        """The programme, bright and dark by turns of tiles."""
        return ("bright", "dark")[self.tile % 2]

    @property
    def name(self) -> str:
        """What the names of its files share: ``PETAL-TILE-thruNIGHT`` or ``main-PROGRAM-PIXEL``."""
        if self.pixel >= 0:
            return f"{SURVEY}-{self.program}-{self.pixel}.fits"
        return f"{self.number}-{self.tile}-thru{self.night}.fits"

    @property
    def folder(self) -> Path:
        """Where in a release its files are."""
        if self.pixel >= 0:
            group = str(self.pixel // 100)
            return Path("healpix", SURVEY, self.program, group, str(self.pixel))
        return Path("tiles", "cumulative", str(self.tile), str(self.night))

    def rows(self, rows: NDArray[np.intp]) -> "SimulatedPetal":
        """Return the petal with some of its fibers alone."""
        return replace(
            self,
            frames=_rows(self.frames, rows),
            fibermap=self.fibermap[rows],
            redshifts=self.redshifts[rows],
            exposures=[replace(one, frames=_rows(one.frames, rows)) for one in self.exposures],
        )


def structured(columns: Mapping[str, tuple[str, ArrayLike]]) -> NDArray[np.void]:
    """Return a structured array from {name: (dtype, values)}."""
    size = max(np.size(values) for _, values in columns.values())
    out = np.zeros(size, dtype=[(name, kind) for name, (kind, _) in columns.items()])
    for name, (_, values) in columns.items():
        out[name] = values
    return out


def _rows(frames: Mapping[str, Frame], rows: NDArray[np.intp]) -> dict[str, Frame]:
    return {
        camera: Frame(frame.flux[rows], frame.ivar[rows], frame.mask[rows])
        for camera, frame in frames.items()
    }


def _primary(petal: SimulatedPetal) -> fits.PrimaryHDU:
    header = fits.Header()
    header["SIMULATD"] = (True, SIMULATED)
    if petal.pixel >= 0:
        header["SPGRP"], header["SPGRPVAL"] = "healpix", petal.pixel
        header["HPXPIXEL"], header["HPXNSIDE"], header["HPXNEST"] = petal.pixel, NSIDE, True
        header["SURVEY"], header["PROGRAM"] = SURVEY, petal.program
    else:
        header["SPGRP"], header["SPGRPVAL"] = "cumulative", petal.night
        header["TILEID"], header["PETAL"], header["SPECTRO"] = (
            petal.tile,
            petal.number,
            petal.number,
        )
        header["NIGHT"] = petal.night
    header.add_comment("Written by Outcrop's simulator: this is a simulated sky, not DESI data.")
    return fits.PrimaryHDU(header=header)


def _fibermap(petal: SimulatedPetal) -> NDArray[np.void]:
    """Return the FIBERMAP: in a healpix, what is of an exposure is in EXP_FIBERMAP alone."""
    if petal.pixel < 0:
        return petal.fibermap
    names = [name for name in petal.fibermap.dtype.names or () if name not in _OF_EXPOSURES]
    return recfunctions.repack_fields(petal.fibermap[names])


def _table(rows: NDArray[np.void], name: str) -> fits.BinTableHDU:
    return fits.BinTableHDU(rows, name=name)


def _scores(petal: SimulatedPetal) -> NDArray[np.void]:
    """Return medians of flux and S/N by camera, as in a coadd's SCORES."""
    columns: dict[str, tuple[str, ArrayLike]] = {"TARGETID": ("i8", petal.fibermap["TARGETID"])}
    for camera, frame in petal.frames.items():
        flux, error = frame.flux, np.sqrt(frame.ivar)
        columns[f"INTEG_COADD_FLUX_{camera.upper()}"] = ("f4", flux.sum(axis=1) * 0.8)
        columns[f"MEDIAN_COADD_FLUX_{camera.upper()}"] = ("f4", np.median(flux, axis=1))
        columns[f"MEDIAN_COADD_SNR_{camera.upper()}"] = ("f4", np.median(flux * error, axis=1))
    return structured(columns)


def _tsnr2(petal: SimulatedPetal) -> NDArray[np.void]:
    """Return squared template S/N, taken as proportional to the median inverse variance."""
    columns: dict[str, tuple[str, ArrayLike]] = {"TARGETID": ("i8", petal.fibermap["TARGETID"])}
    ivar = {c: np.median(frame.ivar, axis=1) for c, frame in petal.frames.items()}
    for target, scale in (
        ("BGS", 2500.0),
        ("LRG", 20.0),
        ("ELG", 25.0),
        ("QSO", 5.0),
        ("LYA", 15.0),
    ):
        for camera, value in ivar.items():
            columns[f"TSNR2_{target}_{camera.upper()}"] = ("f4", scale * value)
        columns[f"TSNR2_{target}"] = ("f4", scale * sum(ivar.values()))
    return structured(columns)


def _exposure_fibermap(petal: SimulatedPetal) -> NDArray[np.void]:
    """Return the rows of the exposures: those of the petal once for each."""
    exposures = [(one.expid, one.night) for one in petal.exposures] or [(petal.tile, petal.night)]
    rows = np.tile(petal.fibermap, len(exposures))
    each = np.repeat(exposures, len(petal.fibermap), 0)
    columns: dict[str, tuple[str, ArrayLike]] = {
        name: (kind, rows[name])
        for name, kind in (
            ("TARGETID", "i8"),
            ("PETAL_LOC", "i2"),
            ("FIBER", "i4"),
            ("OBJTYPE", "U3"),
            ("TILEID", "i4"),
        )
    }
    columns["FIBERSTATUS"] = ("i4", rows["COADD_FIBERSTATUS"])
    columns["EXPID"], columns["NIGHT"] = ("i4", each[:, 0]), ("i4", each[:, 1])
    return structured(columns)


def _stacked(frames: Sequence[Frame]) -> Frame:
    """Return the rows of several frames, one frame after the other."""
    return Frame(
        np.concatenate([one.flux for one in frames]),
        np.concatenate([one.ivar for one in frames]),
        np.concatenate([one.mask for one in frames]),
    )


def _images(frames: Mapping[str, Frame]) -> list[fits.ImageHDU]:
    """Return the HDUs of the cameras."""
    images: list[fits.ImageHDU] = []
    for camera, frame in frames.items():
        for part, data, unit in (
            ("WAVELENGTH", BANDS[camera].astype(np.float64), "Angstrom"),
            ("FLUX", frame.flux, "10**-17 erg/(s cm2 Angstrom)"),
            ("IVAR", frame.ivar, "10**+34 (s2 cm4 Angstrom2) / erg2"),
            ("MASK", frame.mask, ""),
        ):
            image = fits.ImageHDU(data, name=f"{camera.upper()}_{part}")
            if unit:
                image.header["BUNIT"] = unit
            images.append(image)
    return images


def write_hdus(path: Path, hdus: list[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]) -> None:
    """Write under a temporary name in the same folder, then rename."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_petal(folder: Path, petal: SimulatedPetal) -> tuple[Path, Path]:
    """Write the coadd and the redrock file of a petal below a folder, and its spectra file.

    Parameters
    ----------
    folder : Path
        Root; files go to ``tiles/cumulative/TILEID/NIGHT/`` or, those of a healpix, to
        ``healpix/SURVEY/PROGRAM/PIXEL//100/PIXEL/``.
    petal : SimulatedPetal

    Returns
    -------
    coadd, redrock : Path
    """
    place = folder / petal.folder
    place.mkdir(parents=True, exist_ok=True)

    fibermap = _table(_fibermap(petal), "FIBERMAP")
    exposures: list[fits.BinTableHDU] = []
    if petal.pixel >= 0:
        exposures.append(_table(_exposure_fibermap(petal), "EXP_FIBERMAP"))

    coadd = [_primary(petal), fibermap, *exposures, *_images(petal.frames)]
    coadd.append(_table(_scores(petal), "SCORES"))
    write_hdus(place / f"coadd-{petal.name}", coadd)

    redrock = [_primary(petal), _table(petal.redshifts, "REDSHIFTS"), fibermap, *exposures]
    redrock.append(_table(_tsnr2(petal), "TSNR2"))
    write_hdus(place / f"redrock-{petal.name}", redrock)

    if petal.exposures:
        frames = {
            camera: _stacked([exposure.frames[camera] for exposure in petal.exposures])
            for camera in petal.frames
        }
        table = _table(_exposure_fibermap(petal), "FIBERMAP")
        write_hdus(place / f"spectra-{petal.name}", [_primary(petal), table, *_images(frames)])
    return place / f"coadd-{petal.name}", place / f"redrock-{petal.name}"


def magnitudes(flux: Array) -> Array:
    """Return fluxes in nanomaggies in the g, r and z bands of the Legacy Surveys, (N, 3)."""
    wave = BANDS["brz"]
    out = []
    for low, high in ((4000, 5500), (5650, 7200), (8400, 9800)):
        inside = (wave > low) & (wave < high)
        # From 1e-17 erg/s/cm²/Å to nanomaggies at the band's middle
        out.append(flux[:, inside].mean(axis=1) * ((low + high) / 2) ** 2 / 1.0885e7)
    return np.stack(out, axis=1)
