"""The redshift scan finds the redshift of an inlier, whatever redshift is given."""

from itertools import pairwise

import numpy as np
import pytest

from explanation.case import Reconstructor
from explanation.explainer import Explainer
from explanation.redshift import RedshiftScan
from explanation.rest_frame import resample_at
from outcrop import Spectra
from scoring.coadd import coadd
from scoring.preprocess import to_rest_frame
from scoring.resample import fill_row


def test_the_bins_are_those_of_preprocessing(explainer: Explainer, galaxy: Spectra) -> None:
    grid = explainer.scorer.preprocessor.grid
    flux, ivar, _ = coadd(galaxy)
    fill_row(flux[0], ivar[0])

    found = resample_at(flux[0], ivar[0], galaxy.z, grid.edges)
    expected = to_rest_frame(galaxy, grid, (-1.0, 9.0))
    np.testing.assert_array_equal(found[0], expected.flux)
    np.testing.assert_array_equal(found[1], expected.ivar)


def test_the_redshift_is_found_from_a_wrong_one(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    preprocessor = explainer.scorer.preprocessor
    scan = RedshiftScan(preprocessor.grid.edges, preprocessor.redshift_range)
    lost = Spectra(galaxy.bands, galaxy.z * 0.5, galaxy.targetid, spectype=galaxy.spectype)
    best = scan(explainer.case(lost), reconstruct)

    assert best[0] == pytest.approx(galaxy.z[0], abs=0.003)
    assert all(abs(np.log1p(a) - np.log1p(b)) > 3e-3 for a, b in pairwise(best))


def test_no_redshift_beyond_the_range_is_proposed(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    """The true one is a little beyond: the best is the end of the range."""
    z = float(galaxy.z[0])
    edges = explainer.scorer.preprocessor.grid.edges
    for low, high in ((0.05, z - 2e-4), (z + 2e-4, 0.29)):
        best = RedshiftScan(edges, (low, high))(explainer.case(galaxy), reconstruct)
        assert all(low <= one <= high for one in best)
        assert min(abs(one - z) for one in best) == pytest.approx(2e-4, rel=1e-6)
