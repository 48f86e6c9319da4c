"""Preprocessing: the rest-frame ivar is that of the noise, S/N is numpy's median."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from model_store.grid import RestGrid
from outcrop import Band, Spectra
from outcrop.spectra import WAVE
from scoring.preprocess import _median, to_rest_frame


def test_the_rest_frame_ivar_is_that_of_the_noise() -> None:
    # The same spectra with and without noise of known variance, in the rest frame: their squared
    # difference times ivar is 1 on average over the good bins.
    rng = np.random.default_rng(9)
    count, sigma = 400, 0.05
    wave = WAVE["brz"]
    truth = np.broadcast_to(1 + wave / 1e4, (count, len(wave))).astype(np.float32)
    noise = (sigma * rng.normal(size=truth.shape)).astype(np.float32)
    ivar = np.full(truth.shape, sigma**-2, np.float32)
    ivar[:, 1000:1400] = 0
    z = rng.uniform(0.01, 0.29, count)

    noisy, clean = (
        to_rest_frame(
            Spectra({"brz": Band(flux, ivar)}, z, np.arange(count)), RestGrid(), (0.0, 0.3)
        )
        for flux in (truth + noise, truth)
    )
    chi2 = (noisy.ivar * (noisy.flux - clean.flux) ** 2).mean(axis=1)
    assert abs((chi2 / noisy.coverage).mean() - 1) < 0.01


numbers = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 3e38, -3e38, 1e-45, -1e-45]),
)


@given(values=hnp.arrays(np.float32, st.integers(1, 40), elements=numbers), bad=st.integers(0, 5))
def test_the_median_is_numpys(values: NDArray[np.float32], bad: int) -> None:
    padded = np.concatenate([values, np.full(bad, np.inf, np.float32)])
    expected = np.median(values.astype(np.float64))
    np.testing.assert_allclose(_median(padded, len(values)), expected, rtol=1e-6, atol=1e-45)
