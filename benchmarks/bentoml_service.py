"""BentoML service: the scorer behind a bare ``@bentoml.api`` with numpy arrays in JSON.

This is the service that BentoML's documentation suggests. This project's service is compared with
it.
"""

import os

import bentoml
import numpy as np

from outcrop import Band, Spectra
from scoring.scorer import Scorer


@bentoml.service(workers=1)
class NdarrayService:
    """The model named by OUTCROP_MODEL."""

    def __init__(self) -> None:
        self._scorer = Scorer.open(os.environ["OUTCROP_MODEL"])

    @bentoml.api
    def score(
        self,
        flux_b: np.ndarray,
        ivar_b: np.ndarray,
        flux_r: np.ndarray,
        ivar_r: np.ndarray,
        flux_z: np.ndarray,
        ivar_z: np.ndarray,
        z: np.ndarray,
        targetid: np.ndarray,
    ) -> np.ndarray:
        """Return p_value, wmse and nof, (N, 3)."""
        bands = {
            "b": Band(flux_b.astype(np.float32), ivar_b.astype(np.float32)),
            "r": Band(flux_r.astype(np.float32), ivar_r.astype(np.float32)),
            "z": Band(flux_z.astype(np.float32), ivar_z.astype(np.float32)),
        }
        scores = self._scorer.score(Spectra(bands, z.astype(float), targetid.astype(np.int64)))
        return np.column_stack([scores.p_value, scores.wmse, scores.nof])
