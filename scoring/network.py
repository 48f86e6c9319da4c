"""OnnxVAE: the trained encoder and decoder, executed by onnxruntime."""

import os

import numpy as np
from numpy.typing import NDArray

# onnxruntime sends telemetry unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

from model_store.bundle import BundleError


class OnnxVAE:
    """Encoder and decoder of a bundle.

    Parameters
    ----------
    encoder, decoder : bytes
        ONNX models: ``flux`` (N, M) to ``latent`` (N, L) and ``log_variance`` (N, L), and
        ``latent`` (N, L) to ``flux`` (N, M), all float32 with a free batch size.
    threads : int, optional
        Threads of one call; default: one for each core the process may use.

    Raises
    ------
    BundleError
        If one of them is not such a model. The message names the file.

    Notes
    -----
    The latent is the posterior's mean: there is no sampling and no dropout.
    """

    def __init__(self, encoder: bytes, decoder: bytes, threads: int | None = None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        self._encoder = _session("encoder.onnx", encoder, "flux", options)
        self._decoder = _session("decoder.onnx", decoder, "latent", options)

    def encode(self, flux: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the posterior means (N, L) of normalised flux (N, M)."""
        (latent,) = self._encoder.run(["latent"], {"flux": flux})
        return np.asarray(latent)

    def posterior(
        self, flux: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the posterior's mean and log variance, both (N, L)."""
        latent, log_variance = self._encoder.run(["latent", "log_variance"], {"flux": flux})
        return np.asarray(latent), np.asarray(log_variance)

    def decode(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return normalised flux (N, M) for latents (N, L)."""
        (flux,) = self._decoder.run(["flux"], {"latent": latent})
        return np.asarray(flux)


def _session(
    name: str, content: bytes, expected: str, options: ort.SessionOptions
) -> ort.InferenceSession:
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"{name} cannot be loaded ({error}); train again") from error

    inputs = [each.name for each in session.get_inputs()]
    if inputs != [expected]:
        raise BundleError(f"{name} has inputs {inputs}, expected {[expected]}; train again")
    return session
