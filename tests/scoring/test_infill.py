"""Infill restores what is known to be in a gap and changes nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.infill import Eigenspectra

BINS = 300


@pytest.fixture
def eigenspectra() -> Eigenspectra:
    rng = np.random.default_rng(3)
    smooth = np.cumsum(rng.normal(size=(5, BINS)), axis=1)
    mean = 10 + smooth[0] / 10
    basis = np.linalg.qr(smooth[1:].T)[0].T
    return Eigenspectra((mean / np.linalg.norm(mean)).astype(np.float32), basis.astype(np.float32))


def known_spectra(eigenspectra: Eigenspectra, count: int) -> NDArray[np.float32]:
    """Spectra without noise: the linear model itself, in arbitrary units."""
    rng = np.random.default_rng(4)
    coefficients = rng.normal(0, 0.2, (count, len(eigenspectra.components)))
    amplitude = rng.lognormal(1, 1, (count, 1))
    unit = eigenspectra.mean + coefficients @ eigenspectra.components
    return (amplitude * unit).astype(np.float32)


def test_a_gap_is_filled_with_the_truth(eigenspectra: Eigenspectra) -> None:
    truth = known_spectra(eigenspectra, 20)
    ivar = np.full_like(truth, 1e4)
    ivar[:, 100:150] = 0
    ivar[3, :60] = 0
    flux = np.where(ivar > 0, truth, 1e3).astype(np.float32)
    filled = eigenspectra.infill(flux, ivar)
    scale = np.abs(truth).max(axis=1, keepdims=True)
    np.testing.assert_allclose(filled / scale, truth / scale, atol=3e-3)


def test_with_noise_the_gap_is_as_good_as_least_squares_allows(
    eigenspectra: Eigenspectra,
) -> None:
    rng = np.random.default_rng(5)
    truth = known_spectra(eigenspectra, 200)
    sigma = np.linalg.norm(truth, axis=1, keepdims=True) / np.sqrt(BINS) / 20
    ivar = np.broadcast_to(sigma**-2, truth.shape).astype(np.float32).copy()
    ivar[:, 100:130] = 0
    flux = (truth + sigma * rng.normal(size=truth.shape)).astype(np.float32)
    error = (eigenspectra.infill(flux, ivar) - truth)[:, 100:130] / sigma
    # Five coefficients from 270 bins: far below the noise of a single bin.
    assert np.sqrt(np.mean(error**2)) < 0.5


def test_good_bins_and_whole_spectra_are_unchanged(eigenspectra: Eigenspectra) -> None:
    flux = known_spectra(eigenspectra, 4)
    ivar = np.ones_like(flux)
    ivar[1, 5] = 0
    ivar[2] = 0
    filled = eigenspectra.infill(flux, ivar)
    np.testing.assert_array_equal(filled[ivar > 0], flux[ivar > 0])
    np.testing.assert_array_equal(filled[2], flux[2])
    assert filled[1, 5] != flux[1, 5]


def test_the_input_is_not_changed(eigenspectra: Eigenspectra) -> None:
    flux = known_spectra(eigenspectra, 2)
    before = flux.copy()
    ivar = np.ones_like(flux)
    ivar[:, :10] = 0
    eigenspectra.infill(flux, ivar)
    np.testing.assert_array_equal(flux, before)


@pytest.mark.parametrize("unit", [1e-30, 1e-17, 1e25])
def test_the_unit_of_flux_does_not_matter(eigenspectra: Eigenspectra, unit: float) -> None:
    flux = known_spectra(eigenspectra, 3)
    ivar = np.ones_like(flux)
    ivar[:, 40:60] = 0
    scaled = eigenspectra.infill((flux * np.float32(unit)).astype(np.float32), ivar)
    np.testing.assert_allclose(
        scaled / np.float32(unit), eigenspectra.infill(flux, ivar), rtol=1e-4
    )


def test_arrays_hold_the_eigenspectra(eigenspectra: Eigenspectra) -> None:
    again = Eigenspectra.from_arrays(eigenspectra.to_arrays())
    np.testing.assert_array_equal(again.mean, eigenspectra.mean)
    np.testing.assert_array_equal(again.components, eigenspectra.components)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        Eigenspectra(np.zeros(3, np.float32), np.zeros((2, 4), np.float32))
