"""Warm-up: a flat spectrum of each layout, scored before a request is, and a list of numbers."""

import numpy as np

from model_store.bundle import BundleError
from outcrop import Band, Spectra
from outcrop.spectra import CAMERAS, WAVE
from scoring.scorer import Scorer

from .interfaces.number_lists import read_floats


def warm_up(scorer: Scorer) -> None:
    """Score flat spectra and read a list, so that numba's code is compiled, or in its cache.

    Raises
    ------
    BundleError
        If their scores are not finite.
    """
    read_floats(b"[1]", 1, "flux")
    for names in (("brz",), CAMERAS):
        bands = {name: np.ones((1, len(WAVE[name])), np.float32) for name in names}
        spectra = Spectra(
            {name: Band(ones, ones) for name, ones in bands.items()},
            z=np.array([sum(scorer.model.redshift_range) / 2]),
            targetid=np.zeros(1, np.int64),
        )
        scores = scorer.score(spectra, reconstruction=True)
        if not np.isfinite([scores.wmse, scores.nof]).all():
            raise BundleError(
                f"model {scorer.model.version} gives a flat spectrum wmse {scores.wmse[0]} and "
                f"nof {scores.nof[0]}, so it cannot score; train it again"
            )
