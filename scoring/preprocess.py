"""Preprocess: raw spectra to the encoder's input, for training and serving alike.

The steps are those of Nicolaou et al. 2025, Section 4, in their order: fill pixels without
information linearly, resample to rest-frame bins, infill bad bins by PCA, normalise to unit norm.
The inverse variance is multiplied by the squared norm, so that Eq. 6 remains a reduced χ² near 1.
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
_ZERO = np.float32(0)
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
        The input's bits and those set by preprocessing.
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
    """N spectra as the encoder takes them.

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
def _signal_to_noise(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], ratio: NDArray[np.float32]
) -> int:
    """Fill ratio with flux·√ivar, with infinity in bad bins; return how many are good."""
    good = 0
    for j in range(len(flux)):
        value = np.float64(flux[j]) * np.sqrt(np.float64(ivar[j]))
        usable = ivar[j] > _ZERO
        ratio[j] = max(-_LARGEST, min(value, _LARGEST)) if usable else np.inf
        good += usable
    return good


@njit(cache=True, nogil=True)
def _median(values: NDArray[np.float32], count: int) -> float:
    """Return the median of the `count` smallest values.

    The lower of the two middle values is found by bisection over the bits of a float, counting
    the values below. No branch depends on the values: with np.median the Scorer takes 4 % longer,
    with a sort 35 %.
    """
    # Interpreted as integers, positive floats have the order of floats, and so have negative ones
    # once all bits but the sign are flipped.
    keys = values.view(np.int32)
    keys = keys ^ ((keys >> np.int32(31)) & np.int32(0x7FFFFFFF))

    # The key of the lower middle value.
    rank = (count - 1) // 2
    low = np.int64(-(2**31))
    high = np.int64(2**31 - 1)
    while low < high:
        middle = (low + high) >> 1
        if _count_to(keys, np.int32(middle)) > rank:
            high = middle
        else:
            low = middle + 1

    # The value of that key, and the next larger one.
    lower = -np.inf
    upper = np.inf
    for j in range(len(values)):
        if keys[j] <= low:
            lower = max(lower, values[j])
        else:
            upper = min(upper, values[j])

    if count % 2 == 1 or _count_to(keys, np.int32(low)) > rank + 1:
        return lower
    return (lower + upper) / 2.0


@njit(cache=True, nogil=True)
def _count_to(keys: NDArray[np.int32], key: np.int32) -> np.int32:
    # As wide as the keys, so that the loop is vectorised.
    count = np.int32(0)
    for j in range(len(keys)):
        count = np.int32(count + np.int32(keys[j] <= key))
    return count


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
    pixel_flux = np.empty(PIXELS, np.float32)
    pixel_ivar = np.empty(PIXELS, np.float32)
    variance = np.empty(PIXELS, np.float32)
    ratio = np.empty(bins, np.float32)

    for row in range(len(z)):
        bad_pixels[row] = coadd_row(row, cameras, pixel_flux, pixel_ivar)
        no_data[row] = not fill_row(pixel_flux, pixel_ivar)
        if no_data[row] or not (z[row] > -1.0 and z[row] < np.inf):
            continue

        resample_row(pixel_flux, pixel_ivar, z[row], edges, variance, flux[row], ivar[row])
        good = _signal_to_noise(flux[row], ivar[row], ratio)
        coverage[row] = good / bins
        if good:
            snr[row] = _median(ratio, good)


@njit(cache=True, nogil=True, error_model="numpy")
def _normalise(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    unit: NDArray[np.float32],
    weight: NDArray[np.float32],
    norms: NDArray[np.float32],
) -> None:
    for row in range(len(flux)):
        square = 0.0
        for j in range(flux.shape[1]):
            square += np.float64(flux[row, j]) ** 2
        norm = max(np.sqrt(square), _SMALLEST)

        for j in range(flux.shape[1]):
            unit[row, j] = flux[row, j] / norm
            weight[row, j] = min(ivar[row, j] * norm * norm, _LARGEST)
        norms[row] = min(norm, _LARGEST)


def to_rest_frame(
    spectra: Spectra, grid: RestGrid, redshift_range: tuple[float, float]
) -> RestFrame:
    """Coadd the cameras, divide wavelengths by 1 + z and resample.

    Parameters
    ----------
    spectra : Spectra
        Observed frame.
    grid : RestGrid
    redshift_range : (float, float)
        Inclusive; spectra outside get Z_OUT_OF_RANGE, and bins outside their wavelengths are bad.
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
        prepared = Prepared(
            np.empty_like(flux), np.empty_like(flux), np.empty(len(flux), np.float32)
        )
        _normalise(flux, rest.ivar, prepared.flux, prepared.ivar, prepared.norm)
        return prepared

    def __call__(self, spectra: Spectra) -> Prepared:
        """Do all steps; every spectrum must have at least one good bin in the rest frame."""
        return self.prepare(self.to_rest_frame(spectra))
