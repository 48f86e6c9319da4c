"""An explanation says no more than is known of the spectrum."""

from dataclasses import replace

import numpy as np

from explanation.explainer import Explainer
from outcrop import Spectra


def test_a_spectrum_without_a_p_value_is_not_called_an_inlier(
    explainer: Explainer, galaxy: Spectra
) -> None:
    (inlier,) = explainer.explain(galaxy)
    assert inlier.p_value > 0.01
    said = {one.sentence for one in inlier.evidence if one.cause == "unexplained"}
    assert said == {"It is an inlier: there is nothing to explain"}

    (beyond,) = explainer.explain(replace(galaxy, z=np.array([0.36])))
    assert np.isnan(beyond.p_value)
    said = {one.sentence for one in beyond.evidence if one.cause == "unexplained"}
    assert said == {"It has no p-value: whether it stands out is not known"}
