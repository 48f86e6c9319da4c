"""Reference: the reconstruction that a spectrum's segments are measured against.

A step between two cameras bends even the robust reconstruction: it goes half-way, and the residual
is where the step is, not the camera that is off. So each camera in turn is left out and filled with
the reconstruction of the others. Where that, times a factor in the camera, fits far better, the
reconstruction of the other cameras is the reference.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop.spectra import CAMERAS, camera_of
from scoring.network import OnnxVAE

_ROUNDS: Final = 4
_LEAST_GAIN: Final = 30.0
"""χ², clipped; 95 % of inliers gain less than 20."""
_LEAST_OFFSET: Final = 0.08
"""Of a camera's flux, relative; those of inliers are a few per cent."""
_CLIP: Final = 9.0
# A camera with fewer good bins is not left out, nor one beside which there are fewer.
_LEAST_BINS: Final = 80
_LEAST_BESIDE: Final = 200


def reference_reconstruction(
    vae: OnnxVAE,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    robust: NDArray[np.float32],
    z: float,
    wave: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the reference (M,) of a prepared spectrum: the robust reconstruction for most.

    Parameters
    ----------
    vae : OnnxVAE
    flux, ivar : (M,) float32
        Normalised, bad bins infilled; ivar = 0 in bad bins.
    robust : (M,) float32
        The robust reconstruction, in the unit of the flux.
    z : float
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    """
    good = ivar > 0
    observed = wave * (1 + z)
    cameras = camera_of(observed) == np.arange(len(CAMERAS))[:, None]
    inside = (cameras & good).sum(axis=1)
    cameras = cameras[(inside >= _LEAST_BINS) & (good.sum() - inside >= _LEAST_BESIDE)]
    if len(cameras) == 0:
        return robust

    models = _without(vae, flux, ivar, robust, cameras)
    weight = ivar.astype(np.float64)
    within = np.where(cameras, weight * models, 0)
    factor = (within @ flux) / np.maximum((within * models).sum(axis=1), np.finfo(float).tiny)
    fitted = np.where(cameras, factor[:, None] * models, models)
    gain = _clipped(flux, weight, robust[None]) - _clipped(flux, weight, fitted)
    gain[np.abs(factor - 1) < _LEAST_OFFSET] = -np.inf

    best = int(gain.argmax())
    return models[best].astype(np.float32) if gain[best] > _LEAST_GAIN else robust


def _without(
    vae: OnnxVAE,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    robust: NDArray[np.float32],
    cameras: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the reconstructions (C, M) without each of the cameras (C, M)."""
    kept = ~cameras & (ivar > 0)
    weight = np.where(kept, ivar.astype(np.float64), 0)
    models = np.repeat(robust[None].astype(np.float64), len(cameras), axis=0)
    for _ in range(_ROUNDS):
        weighted = weight * models
        square = np.maximum((weighted * models).sum(axis=1), np.finfo(float).tiny)
        scale = np.maximum(weighted @ flux.astype(np.float64) / square, 0)
        filled = np.where(kept, flux, scale[:, None] * models)
        norm = np.linalg.norm(filled, axis=1, keepdims=True)
        models = vae.decode(vae.encode((filled / norm).astype(np.float32))) * norm
    return models


def _clipped(
    flux: NDArray[np.float32], weight: NDArray[np.float64], models: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the sum of the squared residuals (C,), each at most the clip."""
    return np.minimum(weight * (flux - models) ** 2, _CLIP).sum(axis=1)
