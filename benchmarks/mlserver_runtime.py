"""MLServer runtime: the scorer behind MLServer's own protocol and codec.

It runs in MLServer's environment, where this project's tools are not installed.
"""

# pyright: reportMissingImports=false

import asyncio

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from outcrop import Band, Spectra
from scoring.scorer import Scorer


class Runtime(MLModel):
    """Serves the bundle that the model's settings name."""

    async def load(self) -> bool:
        """Open the bundle."""
        self._scorer = Scorer.open(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score spectra."""
        arrays = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        bands = {
            name: Band(
                np.ascontiguousarray(arrays[f"flux_{name}"], np.float32),
                np.ascontiguousarray(arrays[f"ivar_{name}"], np.float32),
            )
            for name in ("b", "r", "z")
        }
        # The codec returns (N, 1) for arrays that were sent as (N,).
        spectra = Spectra(bands, arrays["z"].ravel(), arrays["targetid"].ravel())
        scores = await asyncio.to_thread(self._scorer.score, spectra)
        # The codec encodes NaN as null, which gRPC cannot send.
        outputs = [
            NumpyCodec.encode_output(name, np.nan_to_num(getattr(scores, name), nan=-1))
            for name in ("p_value", "wmse", "nof")
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
