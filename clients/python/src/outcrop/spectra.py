"""Spectra: the content of a DESI coadd, in the observed frame, before any preprocessing.

DESI records each fiber with three cameras, b, r and z, on fixed wavelength grids with a step
of 0.8 Å in vacuum. A coadd has either one band per camera or one common band, here ``brz``.
The name of a band determines its wavelengths (`WAVE`), which are therefore not stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import notebook
from .index import Index, to_rows
from .inputs import Inputs
from .scores import Status, count_status

STEP: Final = 0.8
CAMERAS: Final = ("b", "r", "z")
SPECTYPES: Final = ("GALAXY", "QSO", "STAR")
"""redrock's classes."""

CANDIDATES: Final = 9
"""Other redshifts of a spectrum, at most; redrock keeps three for each class."""


def _grid(first: float, pixels: int) -> NDArray[np.float64]:
    wave = first + STEP * np.arange(pixels, dtype=np.float64)
    wave.flags.writeable = False
    return wave


WAVE: Final[Mapping[str, NDArray[np.float64]]] = {
    "b": _grid(3600.0, 2751),
    "r": _grid(5760.0, 2326),
    "z": _grid(7520.0, 2881),
    "brz": _grid(3600.0, 7781),
}
"""Pixel centres of each band, observed frame, vacuum Å."""
OVERLAPS: Final = tuple(
    (float(WAVE[red][0]), float(WAVE[blue][-1])) for blue, red in pairwise(CAMERAS)
)
"""Wavelengths that two cameras share, observed frame, vacuum Å."""
MIDDLES: Final = (5780.0, 7570.0)
"""Of the overlaps: where a spectrum is said to change from one camera to the next."""


def camera_of(wave: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which of `CAMERAS`, 0 to 2, observed wavelengths are of; `MIDDLES` are of the redder.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.spectra import CAMERAS, camera_of
    >>> [CAMERAS[number] for number in camera_of(np.array([3600.0, 5779.9, 5780.0, 9824.0]))]
    ['b', 'b', 'r', 'z']
    """
    return np.searchsorted(MIDDLES, wave, side="right")


def repeated(targetid: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows (N,) have a TARGETID that another row has too.

    0 never counts: spectra without a TARGETID have it.
    """
    ascending = np.sort(targetid)
    following = ascending[1:]
    twice = following[(following == ascending[:-1]) & (following != 0)]
    return np.isin(targetid, twice)


@dataclass(frozen=True, eq=False)
class Band:
    """Flux of N spectra in one band; an index chooses spectra, as for `Spectra`.

    Attributes
    ----------
    flux : (N, P) float32
        Flux density, 1e-17 erg / (s cm2 Å), observed frame.
    ivar : (N, P) float32
        Its inverse variance; 0 where there is no information.
    mask : (N, P) integer or bool, optional
        DESI spectral mask; every value other than 0 marks a bad pixel.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    mask: NDArray[np.integer | np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.flux.ndim != 2:
            raise ValueError(f"flux has shape {self.flux.shape}; expected (spectra, pixels)")
        for name, array in (("ivar", self.ivar), ("mask", self.mask)):
            if array is not None and array.shape != self.flux.shape:
                raise ValueError(
                    f"{name} has shape {array.shape}, flux has {self.flux.shape}; they must agree"
                )
        for name, array in (("flux", self.flux), ("ivar", self.ivar)):
            if array.dtype != np.float32 or not array.dtype.isnative:
                raise ValueError(
                    f"{name} has dtype {array.dtype.str}; "
                    "convert with np.ascontiguousarray(x, dtype=np.float32)"
                )

    def __len__(self) -> int:
        return len(self.flux)

    def __repr__(self) -> str:
        spectra, pixels = self.flux.shape
        mask = "no mask" if self.mask is None else "a mask"
        return f"<Band: {spectra} spectra of {pixels} pixels, {mask}>"

    def __getitem__(self, index: Index) -> "Band":
        rows = to_rows(index, len(self))
        return Band(
            self.flux[rows], self.ivar[rows], None if self.mask is None else self.mask[rows]
        )

    def folded(self) -> "Band":
        """Return an equivalent band without a mask: flux and ivar are 0 where it was set."""
        if self.mask is None:
            return self
        bad = self.mask != 0
        zero = np.float32(0)
        return Band(np.where(bad, zero, self.flux), np.where(bad, zero, self.ivar))


@dataclass(frozen=True, eq=False)
class Spectra:
    """N spectra of one coadd with their redshifts.

    ``spectra[:5]``, ``spectra[mask]`` and ``spectra[rows]`` are the chosen spectra, in the order of
    the index; ``spectra[0]`` is one.

    Attributes
    ----------
    bands : mapping of str to Band
        One to three of ``b``, ``r``, ``z``, or ``brz`` alone.
    z : (N,) float64
        Redshift as given by the file or the caller; NaN where none is given. It must not be used
        where status has NO_REDSHIFT: redrock writes 0 for spectra without data.
    targetid : (N,) int64
    status : (N,) int32
        `Status` bits that follow from the file (NO_REDSHIFT, NOT_TARGET, BAD_FIBER,
        MISSING_CAMERA, NO_SPECTRUM, DUPLICATE). Default: 0.
    zwarn : (N,) int64, optional
        redrock's warning bits.
    spectype : (N,) str, optional
        redrock's class: GALAXY, QSO or STAR.
    ra, dec : (N,) float64, optional
        Degrees, J2000.
    fiber, petal, tileid : (N,) int32, optional
        −1 where unknown.
    zerr, deltachi2 : (N,) float64, optional
        redrock's error of the redshift, and its χ² difference to the next best fit.
    subtype : (N,) str, optional
        redrock's subclass.
    desi_target, bgs_target, mws_target : (N,) int64, optional
        DESI's target bits, in survey validation those of its columns SV1_…, SV2_…, SV3_…; −1, which
        has every bit, where unknown.
    objtype : (N,) str, optional
        What the fiber was meant for: TGT, SKY, NON or BAD.
    z_candidates : (N, 9) float64, optional
        redrock's next best redshifts, the best first; NaN where there are fewer.
    inputs : Inputs
        The files that the spectra were read from; none by default.
    """

    bands: Mapping[str, Band]
    z: NDArray[np.float64]
    targetid: NDArray[np.int64]
    status: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    zwarn: NDArray[np.int64] | None = None
    spectype: NDArray[np.str_] | None = None
    ra: NDArray[np.float64] | None = None
    dec: NDArray[np.float64] | None = None
    fiber: NDArray[np.int32] | None = None
    petal: NDArray[np.int32] | None = None
    tileid: NDArray[np.int32] | None = None
    zerr: NDArray[np.float64] | None = None
    deltachi2: NDArray[np.float64] | None = None
    subtype: NDArray[np.str_] | None = None
    desi_target: NDArray[np.int64] | None = None
    bgs_target: NDArray[np.int64] | None = None
    mws_target: NDArray[np.int64] | None = None
    objtype: NDArray[np.str_] | None = None
    z_candidates: NDArray[np.float64] | None = None
    inputs: Inputs = field(default_factory=Inputs)

    def __post_init__(self) -> None:
        names = tuple(self.bands)
        if names != ("brz",) and (not names or tuple(b for b in CAMERAS if b in names) != names):
            raise ValueError(
                f"bands are {list(names)}; expected one to three of b, r, z in this order, "
                "or brz alone"
            )
        if self.status.shape == (0,) and len(self.z):
            object.__setattr__(self, "status", np.zeros(len(self.z), np.int32))

        for name, band in self.bands.items():
            expected = (len(self.z), len(WAVE[name]))
            if band.flux.shape != expected:
                raise ValueError(
                    f"band {name} has flux of shape {band.flux.shape}; expected {expected}: "
                    "one row per redshift, one column per pixel of DESI's grid"
                )
        for name, column in self.columns().items():
            several = (CANDIDATES,) if name == "z_candidates" else ()
            if column.shape != (*self.z.shape, *several):
                raise ValueError(
                    f"{name} has shape {column.shape}; expected {(*self.z.shape, *several)}, "
                    "one row per spectrum"
                )

    def __len__(self) -> int:
        return len(self.z)

    def __repr__(self) -> str:
        return (
            f"<Spectra: {len(self)} spectra, bands {', '.join(self.bands)}; "
            f"status: {count_status(self.status)}>"
        )

    def _repr_html_(self) -> str:
        shown = self[: notebook.ROWS].columns()
        shown.pop("z_candidates", None)
        shown["status"] = np.array([str(Status(int(bits))) for bits in shown["status"]], np.str_)
        return notebook.html_table(repr(self), {"targetid": shown.pop("targetid"), **shown})

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns that are present, by name: z, targetid, status and the optional."""
        values: dict[str, Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("bands", "inputs")
        }
        return {name: value for name, value in values.items() if value is not None}

    def __getitem__(self, index: Index) -> "Spectra":
        rows = to_rows(index, len(self))
        bands = {name: band[rows] for name, band in self.bands.items()}
        columns = {name: column[rows] for name, column in self.columns().items()}
        return replace(self, bands=bands, **columns)
