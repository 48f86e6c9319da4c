"""Reference: an independent implementation of wmse and NOF with standard libraries.

SpectRes resamples one spectrum after another, Keras predicts all of them in one batch, and
scikit-learn's local outlier factor scores all of their latents in one batch.
"""

import re

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from sklearn.neighbors import LocalOutlierFactor
from spectres.spectral_resampling import spectres

import scoring.density
from model_store.bundle import Bundle
from outcrop import Spectra
from outcrop.spectra import WAVE
from scoring.coadd import OFFSET
from training.model.config import Network
from training.model.vae import LinearStart, Vae, build

# The ivar of a pixel without information; bins that contain such a pixel are bad.
_NO_IVAR = 1e-12


class ReferenceScorer:
    """A bundle's model in Keras and scikit-learn.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._wave = manifest.grid.wave
        self._vae = keras_networks(bundle)
        density = scoring.density.LocalOutlierFactor.from_arrays(
            bundle.arrays("density.npz"), manifest.neighbours
        )
        self._axes = density.axes
        lof = LocalOutlierFactor(n_neighbors=manifest.neighbours, novelty=True)
        self._lof = lof.fit(density.latents[:, self._axes])

    def score(self, spectra: Spectra) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return wmse and nof, (N,) each, of spectra in the model's redshift range.

        Bad bins are not infilled.
        """
        flux, ivar = self._rest_frame(*_coadd(spectra), spectra.z)
        norm = np.linalg.norm(flux, axis=1, keepdims=True)
        flux, ivar = flux / norm, ivar * norm**2
        count = len(flux)
        latent, _ = self._vae.encoder.predict(flux, batch_size=count, verbose=0)
        model = self._vae.decoder.predict(latent, batch_size=count, verbose=0)
        wmse = (ivar * (flux - model) ** 2).mean(axis=1)
        return wmse, self._lof.score_samples(latent[:, self._axes])

    def _rest_frame(
        self, flux: NDArray[np.float64], ivar: NDArray[np.float64], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rest = np.empty((2, len(z), len(self._wave)))
        for row, redshift in enumerate(z):
            good = ivar[row] > 0
            filled = np.interp(WAVE["brz"], WAVE["brz"][good], flux[row, good])
            sigma = np.where(good, ivar[row], _NO_IVAR) ** -0.5
            wave = WAVE["brz"] / (1 + redshift)
            rest[:, row] = spectres(self._wave, wave, filled, sigma, fill=0, verbose=False)
        with np.errstate(divide="ignore"):
            weight = np.where(rest[1] > 0, rest[1] ** -2, 0)
        return rest[0], np.where(weight > 1e3 * _NO_IVAR, weight, 0)


def _coadd(spectra: Spectra) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    flux, ivar = np.zeros((2, len(spectra), len(WAVE["brz"])))
    for name, band in spectra.bands.items():
        at = slice(OFFSET[name], OFFSET[name] + band.flux.shape[1])
        weight = band.ivar if band.mask is None else np.where(band.mask == 0, band.ivar, 0)
        flux[:, at] += weight * band.flux
        ivar[:, at] += weight
    return np.divide(flux, ivar, out=flux, where=ivar > 0), ivar


def keras_networks(bundle: Bundle) -> Vae:
    """Return the bundle's networks in Keras, as they were before training exported them."""
    network = Network.model_validate(bundle.manifest.configuration["network"])
    bins = bundle.manifest.grid.bins
    encoder, decoder = (_weights(bundle.bytes(f"{name}coder.onnx")) for name in ("en", "de"))

    start = None
    if network.linear_path:
        # All weights but the mean are set below.
        zeros = np.zeros((bins, network.latents), np.float32)
        (mean,) = (array for name, array in decoder.items() if "rescaling" in name and array.ndim)
        start = LinearStart(mean, zeros, zeros.T, zeros[0])

    # Layers get the names that they had in training.
    keras.utils.clear_session()
    vae = build(bins, network, start, seed=0)
    for model, weights in ((vae.encoder, encoder), (vae.decoder, decoder)):
        for layer in model.layers:
            if layer.weights:
                layer.set_weights([weights[f"{layer.name}/{w.name}"] for w in layer.weights])
    return vae


def _weights(graph: bytes) -> dict[str, NDArray[np.float32]]:
    """Return a graph's weights by Keras' names of layer and weight."""
    kinds = {"Cast": "kernel", "BiasAdd": "bias"}
    found: dict[str, NDArray[np.float32]] = {}
    for array in onnx.load_from_string(graph).graph.initializer:
        # encoder_1/dense_2_1/BiasAdd/ReadVariableOp:0 is the bias of dense_2.
        _, scope, kind, *_ = array.name.split("/")
        layer = re.sub(r"_\d+$", "", scope)
        found[f"{layer}/{kinds.get(kind, kind)}"] = numpy_helper.to_array(array)
    return found
