"""Export: the Keras networks as ONNX models, which must give the same numbers."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray

from scoring.network import OnnxVAE

from .. import TrainingError
from .vae import Vae

PARITY = 1e-5
_OPSET = 18


class ExportError(TrainingError):
    """The exported networks' outputs differ from the trained ones'."""


def export(vae: Vae, flux: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Return encoder.onnx and decoder.onnx.

    Parameters
    ----------
    vae : Vae
    flux : (N, M) float32
        Prepared spectra on which both versions are compared.

    Raises
    ------
    ExportError
        If any output differs by more than 1e-5 of its largest value.
    """
    encoder = _convert(
        lambda x: dict(
            zip(("latent", "log_variance"), vae.encoder(x, training=False), strict=True)
        ),
        "flux",
        flux.shape[1],
    )
    latents = int(vae.decoder.input_shape[1])
    decoder = _convert(lambda x: {"flux": vae.decoder(x, training=False)}, "latent", latents)
    _compare(vae, OnnxVAE(encoder, decoder), flux)
    return encoder, decoder


def _convert(function: Callable[[tf.Tensor], Any], name: str, width: int) -> bytes:
    signature = [tf.TensorSpec((None, width), tf.float32, name=name)]
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    model, _ = tf2onnx.convert.from_function(
        tf.function(function, input_signature=signature), input_signature=signature, opset=_OPSET
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _compare(vae: Vae, exported: OnnxVAE, flux: NDArray[np.float32]) -> None:
    latent, log_variance = (np.asarray(x) for x in vae.encoder(flux, training=False))
    decoded = np.asarray(vae.decoder(latent, training=False))
    pairs = zip(
        ("latent", "log_variance", "flux"),
        (latent, log_variance, decoded),
        (*exported.posterior(flux), exported.decode(latent)),
        strict=True,
    )
    for name, ours, theirs in pairs:
        difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
        # NaN must fail too.
        if not difference <= PARITY:
            raise ExportError(
                f"exported {name} differs from the trained network's by {difference:.1e} of its "
                f"largest value, more than {PARITY:.0e}; no bundle was written: "
                "train with another seed or a lower learning rate"
            )
