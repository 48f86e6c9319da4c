"""The shared model's explainer, and spectra to explain."""

from pathlib import Path

import numpy as np
import pytest

from explanation.case import Case, Reconstructor
from explanation.explainer import Explainer
from outcrop import Band, Spectra
from outcrop.spectra import CAMERAS


@pytest.fixture(scope="session")
def explainer(bundle: Path) -> Explainer:
    return Explainer.open(bundle)


@pytest.fixture(scope="session")
def reconstruct(explainer: Explainer) -> Reconstructor:
    return Reconstructor(explainer.scorer)


@pytest.fixture(scope="session")
def galaxy(explainer: Explainer, spectra: Spectra) -> Spectra:
    """An inlier that noise, not the small model, limits; its [O III] lies in camera r."""
    scores = explainer.scorer.score(spectra)
    possible = scores.eligible & (scores.wmse < 1.5) & (spectra.z > 0.17) & (spectra.z < 0.25)
    rows = np.flatnonzero(possible & (scores.snr < 25))
    return spectra[int(rows[np.argmax(scores.snr[rows])])]


@pytest.fixture
def case(explainer: Explainer, galaxy: Spectra) -> Case:
    return explainer.case(galaxy)


def changed(spectrum: Spectra, camera: str, flux: np.ndarray) -> Spectra:
    """Return a spectrum with another flux in one camera."""
    bands = {name: spectrum.bands[name] for name in CAMERAS}
    old = bands[camera]
    bands[camera] = Band(flux.astype(np.float32), old.ivar, old.mask)
    return Spectra(bands, spectrum.z, spectrum.targetid, spectype=spectrum.spectype)
