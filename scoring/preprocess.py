"""Preprocess: the one door from raw spectra to what the encoder sees.

Training and serving both come through here, in the paper's order (Nicolaou et al. 2025,
Section 4): fill pixels without information linearly, resample to rest-frame bins, infill bad
bins by PCA, normalise to unit norm. The inverse variance is multiplied with the squared norm, so
that Eq. 6 stays a reduced χ² near 1.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from outcrop import Spectra, Status
from outcrop.spectra import CAMERAS

from .coadd import PIXELS, Cameras, camera_arrays, coadd_row
from .infill import Eigenspectra
from .resample import RestGrid, fill_row, resample_row

LOW_SNR = 5.0
LOW_COVERAGE = 0.9
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


@dataclass(frozen=True, eq=False)
class RestFrame:
    """N spectra on the rest-frame grid, in the input's flux unit.

    Attributes
    ----------
    flux, ivar : (N, M) float32
        ivar = 0 marks bad bins; flux there is interpolated or 0.
    snr : (N,) float32
        Median over good bins of flux·√ivar; NaN where no bin is good.
    coverage : (N,) float32
        Share of the bins that are good.
    status : (N,) int32
        The input's bits and those found on the way.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    snr: NDArray[np.float32]
    coverage: NDArray[np.float32]
    status: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.snr)

    def rows(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> "RestFrame":
        """Return the chosen spectra."""
        return RestFrame(
            self.flux[index],
            self.ivar[index],
            self.snr[index],
            self.coverage[index],
            self.status[index],
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """N spectra as the encoder sees them.

    Attributes
    ----------
    flux, ivar : (N, M) float32
        Unit norm, ‖flux‖ = 1, with bad bins infilled; ivar × norm², 0 in bad bins.
    norm : (N,) float32
        ‖flux‖ before normalisation, in the input's flux unit.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    norm: NDArray[np.float32]


@njit(cache=True, nogil=True)
def _to_rest_frame(
    cameras: Cameras,
    z: NDArray[np.float64],
    edges: NDArray[np.float64],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    snr: NDArray[np.float32],
    coverage: NDArray[np.float32],
    no_data: NDArray[np.bool_],
    bad_pixels: NDArray[np.bool_],
) -> None:
    bins = flux.shape[1]
    pixel_flux = np.empty(PIXELS)
    pixel_ivar = np.empty(PIXELS)
    bin_flux = np.empty(bins)
    bin_ivar = np.empty(bins)
    ratio = np.empty(bins)
    for row in range(len(z)):
        bad_pixels[row] = coadd_row(row, cameras, pixel_flux, pixel_ivar)
        no_data[row] = not pixel_ivar.any()
        if no_data[row] or not (z[row] > -1.0 and z[row] < np.inf):
            continue
        fill_row(pixel_flux, pixel_ivar)
        resample_row(pixel_flux, pixel_ivar, z[row], edges, bin_flux, bin_ivar)
        good = 0
        for j in range(bins):
            flux[row, j] = bin_flux[j]
            ivar[row, j] = min(bin_ivar[j], _LARGEST)
            if ivar[row, j] > 0.0:
                ratio[good] = bin_flux[j] * np.sqrt(bin_ivar[j])
                good += 1
        coverage[row] = good / bins
        if good:
            snr[row] = max(-_LARGEST, min(np.median(ratio[:good]), _LARGEST))


def to_rest_frame(
    spectra: Spectra, grid: RestGrid, redshift_range: tuple[float, float]
) -> RestFrame:
    """Coadd the cameras, divide wavelengths by 1 + z and resample, all spectra at once.

    Parameters
    ----------
    spectra : Spectra
        Observed frame.
    grid : RestGrid
    redshift_range : (float, float)
        Inclusive; spectra outside get Z_OUT_OF_RANGE and are brought to the rest frame as far as
        their wavelengths reach.
    """
    rows = len(spectra)
    flux = np.zeros((rows, grid.bins), np.float32)
    ivar = np.zeros((rows, grid.bins), np.float32)
    snr = np.full(rows, np.nan, np.float32)
    coverage = np.zeros(rows, np.float32)
    no_data = np.zeros(rows, np.bool_)
    bad_pixels = np.zeros(rows, np.bool_)
    z = spectra.z
    _to_rest_frame(
        camera_arrays(spectra), z, grid.edges, flux, ivar, snr, coverage, no_data, bad_pixels
    )
    known = np.isfinite(z)
    out_of_range = known & ~((z >= redshift_range[0]) & (z <= redshift_range[1]))
    missing = "brz" not in spectra.bands and tuple(spectra.bands) != CAMERAS
    status = spectra.status.copy()
    for bit, where in (
        (Status.NO_DATA, no_data),
        (Status.NO_REDSHIFT, ~known),
        (Status.Z_OUT_OF_RANGE, out_of_range),
        (Status.LOW_SNR, snr < LOW_SNR),
        (Status.LOW_COVERAGE, coverage < LOW_COVERAGE),
        (Status.MISSING_CAMERA, np.full(rows, missing)),
        (Status.BAD_PIXELS, bad_pixels),
    ):
        status[where] |= int(bit)
    return RestFrame(flux, ivar, snr, coverage, status)


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """Raw spectra to the encoder's input.

    Attributes
    ----------
    grid : RestGrid
    redshift_range : (float, float)
    eigenspectra : Eigenspectra
        On the same grid.
    """

    grid: RestGrid
    redshift_range: tuple[float, float]
    eigenspectra: Eigenspectra

    def __post_init__(self) -> None:
        if self.eigenspectra.mean.shape != (self.grid.bins,):
            raise ValueError(
                f"eigenspectra have {len(self.eigenspectra.mean)} bins, the grid has "
                f"{self.grid.bins}; they must agree"
            )

    def to_rest_frame(self, spectra: Spectra) -> RestFrame:
        """Return `to_rest_frame` on this grid and redshift range."""
        return to_rest_frame(spectra, self.grid, self.redshift_range)

    def prepare(self, rest: RestFrame) -> Prepared:
        """Infill bad bins and normalise; every spectrum must have at least one good bin."""
        flux = self.eigenspectra.infill(rest.flux, rest.ivar)
        norm = np.sqrt(np.einsum("ij,ij->i", flux, flux, dtype=np.float64))
        norm = np.maximum(norm, _SMALLEST)
        unit = (flux / norm[:, None]).astype(np.float32)
        weight = np.minimum(rest.ivar * (norm * norm)[:, None], _LARGEST).astype(np.float32)
        return Prepared(unit, weight, np.minimum(norm, _LARGEST).astype(np.float32))

    def __call__(self, spectra: Spectra) -> Prepared:
        """Return all steps at once; every spectrum must have a good bin in the rest frame."""
        return self.prepare(self.to_rest_frame(spectra))
