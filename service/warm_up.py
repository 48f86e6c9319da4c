"""Warm-up: flat spectra of each layout, scored and explained, and a list of numbers read.

Done before a request is answered.
"""

import numpy as np

from explanation.explainer import Explainer
from model_store.bundle import BundleError
from outcrop import Band, Spectra
from outcrop.spectra import CAMERAS, WAVE

from .interfaces.number_lists import read_floats


def warm_up(explainer: Explainer) -> None:
    """Explain two spectra and read a list, so that numba's code is compiled, or in its cache.

    Raises
    ------
    BundleError
        If their scores are not finite.
    """
    read_floats(b"[1]", 1, "flux")
    scorer = explainer.scorer
    for names in (("brz",), CAMERAS):
        bands = {name: np.ones((2, len(WAVE[name])), np.float32) for name in names}
        spectra = Spectra(
            {name: Band(flux, 100 * np.ones_like(flux)) for name, flux in bands.items()},
            z=np.full(2, sum(scorer.model.redshift_range) / 2),
            targetid=np.arange(2),
        )
        # Something that stands out, for the steps that look at nothing else.
        bands[names[0]][1, 500:600] = 2
        scores = scorer.score(spectra, reconstruction=True)
        if not np.isfinite([scores.wmse, scores.nof]).all():
            raise BundleError(
                f"model {scorer.model.version} gives a flat spectrum wmse {scores.wmse[0]} and "
                f"nof {scores.nof[0]}, so it cannot score; train it again"
            )
        explainer.explain(spectra)
