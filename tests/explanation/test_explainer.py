"""The explainer: whatever the pixels, an explanation that says what is known and no more."""

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from explanation.case import OBSERVED
from explanation.explainer import Explainer
from outcrop import Band, Explanation, Spectra, Status
from scoring.coadd import coadd

Pixels = tuple[NDArray[np.float32], NDArray[np.float32]]
Change = Callable[[NDArray[np.float32], NDArray[np.float32]], Pixels]
HUGE = 3e38


def explained(explainer: Explainer, galaxy: Spectra, pixels: Pixels) -> Explanation:
    """Return the explanation of a galaxy with other pixels; a warning is an error."""
    flux, ivar = (one.astype(np.float32)[None] for one in pixels)
    odd = Spectra({"brz": Band(flux, ivar)}, galaxy.z, galaxy.targetid, spectype=galaxy.spectype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = explainer.explain(odd)
    return found


@pytest.fixture
def pixels(galaxy: Spectra) -> Pixels:
    flux, ivar, _ = coadd(galaxy)
    return flux[0], ivar[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda flux, ivar: (np.where(np.arange(len(flux)) == 3000, 9e29, flux), ivar),
        lambda flux, ivar: (flux, np.full_like(ivar, HUGE)),
        lambda flux, ivar: (flux, np.full_like(ivar, 1.2e-38)),
        lambda flux, ivar: (1e27 * flux, np.full_like(ivar, 1e30)),
        lambda flux, ivar: (np.full_like(flux, 1e-30), ivar),
        lambda flux, ivar: (flux, np.where(np.arange(len(flux)) == 4000, HUGE, 1e-35)),
        lambda flux, ivar: (np.where(OBSERVED < 5780, 1e20 * flux, flux), ivar),
        lambda flux, ivar: (-flux, ivar),
        lambda flux, ivar: (flux, np.where(OBSERVED < 5780, 0, ivar)),
        lambda flux, ivar: (np.where(OBSERVED > 7570, np.nan, flux), ivar),
    ],
    ids=[
        *("a pixel of 9e29", "largest ivar", "smallest ivar", "huge", "zero", "one good pixel"),
        *("huge camera", "negative", "a camera less", "NaN"),
    ],
)
def test_hostile_pixels_have_an_explanation_and_no_warning(
    explainer: Explainer, galaxy: Spectra, pixels: Pixels, change: Change
) -> None:
    found = explained(explainer, galaxy, change(*pixels))

    # Below a S/N of 1 there is nothing to explain.
    assert bool(found.cause) == bool(found.evidence)
    if found.cause:
        assert sum(one.probability for one in found.evidence) == pytest.approx(1)
    for one in found.evidence:
        assert math.isfinite(one.delta_chi2)
        assert not re.search(r"\bnan\b|\binf\b", one.sentence)
        assert all(low <= high for low, high in one.wavelengths)


def test_without_a_p_value_it_is_no_inlier(
    explainer: Explainer, galaxy: Spectra, pixels: Pixels
) -> None:
    flux, ivar = pixels
    plain = explained(explainer, galaxy, pixels)
    (beyond,) = explainer.explain(replace(galaxy, z=np.array([0.36])))

    assert plain.sentence == "It is an inlier: there is nothing to explain"
    assert math.isnan(beyond.p_value)
    (unexplained,) = [one for one in beyond.evidence if one.cause == "unexplained"]
    assert "no p-value" in unexplained.sentence

    faint = explained(explainer, galaxy, (flux, 1e-6 * ivar))
    assert (faint.cause, faint.evidence) == ("", ())


def test_a_sky_fiber_has_no_cause(explainer: Explainer, galaxy: Spectra) -> None:
    sky = replace(galaxy, status=np.array([int(Status.NOT_TARGET)], np.int32))
    (found,) = explainer.explain(sky)

    assert (found.cause, found.segments) == ("", ())


def test_nothing_is_explained_where_there_is_nothing(explainer: Explainer, galaxy: Spectra) -> None:
    assert len(explainer.explain(galaxy[:0])) == 0
