"""Hypotheses: each finds what was planted in an inlier, and what is left is the inlier again."""

import re
from dataclasses import replace

import numpy as np
import pytest

from explanation.case import OBSERVED, Case, Reconstructor
from explanation.explainer import Explainer
from explanation.hypotheses.camera_calibration import CameraCalibration
from explanation.hypotheses.cosmic_ray import CosmicRay
from explanation.hypotheses.lines import EmissionLine
from explanation.hypotheses.proposal import Hypothesis, Proposal
from explanation.hypotheses.sky_lines import SkyLines
from explanation.hypotheses.sky_residual import SkyResidual
from explanation.sky_lines import sky_lines
from outcrop import WAVE, Band, Spectra
from scoring.coadd import coadd

from .conftest import changed


def chi2(case: Case, reconstruct: Reconstructor, proposal: Proposal) -> float:
    found = reconstruct(proposal.flux[None], proposal.ivar[None])
    return float(found.chi2[0])


def fitted(hypothesis: Hypothesis, case: Case, reconstruct: Reconstructor) -> Proposal:
    proposal = hypothesis.fit(case, reconstruct)
    assert proposal is not None
    return proposal


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_the_factor_of_a_camera_is_found(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra, factor: float
) -> None:
    inlier = explainer.case(galaxy)
    odd = explainer.case(changed(galaxy, "b", galaxy.bands["b"].flux * factor))
    proposal = fitted(CameraCalibration(), odd, reconstruct)

    ((first, last),) = proposal.wavelengths
    assert first == pytest.approx(odd.observed[0])
    assert last < 5800
    said = re.search(r"camera b is (\d+) % too (high|low)", proposal.sentence)
    assert said is not None
    assert float(said[1]) == pytest.approx(abs(100 * (factor - 1)), abs=6)
    assert said[2] == ("high" if factor > 1 else "low")
    # The small model follows a camera that is off, in part.
    assert chi2(odd, reconstruct, proposal) < 1.4 * inlier.chi2 < 0.7 * odd.chi2


def test_a_camera_ends_where_its_data_end(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    far = replace(galaxy, z=np.array([0.36]))
    odd = explainer.case(changed(far, "z", galaxy.bands["z"].flux * 1.8))
    proposal = fitted(CameraCalibration(), odd, reconstruct)

    assert "camera z" in proposal.sentence
    assert odd.observed[-1] > 9824 > proposal.wavelengths[0][1] > 9800


def test_one_camera_alone_has_no_factor(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    bands = {"r": galaxy.bands["r"]}
    alone = Spectra(bands, galaxy.z, galaxy.targetid, spectype=galaxy.spectype)

    assert CameraCalibration().fit(explainer.case(alone), reconstruct) is None


def test_a_spike_is_a_cosmic_ray_and_a_resolved_line_is_none(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    band = galaxy.bands["r"]
    pixel = int(np.flatnonzero(band.ivar[0] > 0)[900])
    error = 1 / np.sqrt(band.ivar[0, pixel])

    spike = band.flux.copy()
    spike[0, pixel] += 150 * error
    proposal = fitted(CosmicRay(), explainer.case(changed(galaxy, "r", spike)), reconstruct)
    assert proposal.wavelengths == ((WAVE["r"][pixel], WAVE["r"][pixel]),)
    assert proposal.parameters == 1

    line = band.flux.copy()
    line[0] += 150 * error * np.exp(-0.5 * ((WAVE["r"] - WAVE["r"][pixel]) / 2.5) ** 2)
    assert CosmicRay().fit(explainer.case(changed(galaxy, "r", line)), reconstruct) is None


@pytest.mark.parametrize("end", [0, -1])
def test_a_spike_in_the_outer_half_of_the_outermost_bins_is_found(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra, end: int
) -> None:
    flux, ivar, _ = coadd(galaxy)
    first, last = explainer.scorer.preprocessor.grid.edges[[0, -1]] * (1 + galaxy.z)
    pixel = int(np.flatnonzero((first < OBSERVED) & (last > OBSERVED))[end])
    ivar[0, pixel] = np.median(ivar)
    flux[0, pixel] += 150 / np.sqrt(ivar[0, pixel])
    odd = Spectra({"brz": Band(flux, ivar)}, galaxy.z, galaxy.targetid)

    proposal = fitted(CosmicRay(), explainer.case(odd), reconstruct)
    assert proposal.wavelengths == ((OBSERVED[pixel], OBSERVED[pixel]),)


def test_a_line_at_the_redshift_is_named(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    band = galaxy.bands["r"]
    centre = 5008.24 * (1 + galaxy.z[0])
    line = band.flux + 20 * np.median(band.flux) * np.exp(-0.5 * ((WAVE["r"] - centre) / 2.0) ** 2)
    odd = explainer.case(changed(galaxy, "r", line))
    proposal = fitted(EmissionLine(), odd, reconstruct)

    assert "[O III] 5008" in proposal.sentence
    assert any(low < centre < high for low, high in proposal.wavelengths)
    assert chi2(odd, reconstruct, proposal) < 0.2 * odd.chi2


def test_a_trough_is_found_where_it_is(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra
) -> None:
    inside = (WAVE["r"] > 6300) & (WAVE["r"] < 6400)
    band = galaxy.bands["r"]
    odd = explainer.case(changed(galaxy, "r", np.where(inside, -0.5, 1.0) * band.flux))
    proposal = fitted(SkyResidual(), odd, reconstruct)

    ((first, last),) = proposal.wavelengths
    assert first == pytest.approx(6300, abs=50)
    assert last == pytest.approx(6400, abs=50)
    assert "too low" in proposal.sentence


@pytest.mark.parametrize("sign", [-1, 1])
def test_lines_of_the_sky_are_found_with_their_sign(
    explainer: Explainer, reconstruct: Reconstructor, galaxy: Spectra, sign: int
) -> None:
    wave, brightness = sky_lines()
    band = galaxy.bands["z"]
    profile = np.exp(-0.5 * ((WAVE["z"][:, None] - wave) / 0.8) ** 2) @ brightness
    error = 1 / np.sqrt(np.median(band.ivar[0]))
    odd = explainer.case(
        changed(galaxy, "z", band.flux + sign * 200 * error * profile / profile.max())
    )
    proposal = fitted(SkyLines(), odd, reconstruct)

    assert f"{'too little' if sign > 0 else 'too much'} in camera z" in proposal.sentence
    assert chi2(odd, reconstruct, proposal) < 0.5 * odd.chi2


def test_a_corrected_spectrum_has_the_bins_of_the_case(explainer: Explainer, case: Case) -> None:
    proposals, candidates = explainer.competitors(case)

    assert len({one.cause for one in proposals}) == len(proposals)
    assert candidates.cause[: len(proposals)] == tuple(one.cause for one in proposals)
    assert set(candidates.cause[len(proposals) :]) <= {"rare"}
    assert np.isfinite(candidates.delta_chi2).all()
    assert ((candidates.p_value > 0) & (candidates.p_value < 1)).all()
    for one in proposals:
        assert one.flux.shape == one.ivar.shape == case.flux.shape
