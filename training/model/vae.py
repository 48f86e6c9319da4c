"""Vae: encoder, decoder and loss of the variational autoencoder.

The networks are multi-layer perceptrons, as in Nicolaou et al. 2025 (Section 3). With a linear
path each of them is added to a linear map that is initialised with the noise-weighted PCA: the fit
starts at the reconstruction of the PCA, and the perceptrons, whose last layers start at zero, learn
the non-linear rest.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .config import Network

with warnings.catch_warnings():
    # Its import compares version numbers with a deprecated class.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorflow_probability import distributions as tfd

_LINEAR = "linear_path"
Values = tf.Tensor | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LinearStart:
    """A linear autoencoder of unit-norm spectra whose latents have unit variance.

    Attributes
    ----------
    mean : (M,) float32
        The spectrum at the origin of latent space.
    encode : (M, L) float32
        latent = (flux − mean) @ encode.
    decode : (L, M) float32
        flux = mean + latent @ decode.
    log_variance : (L,) float32
        Of the posterior of a typical spectrum, from its noise.
    """

    mean: NDArray[np.float32]
    encode: NDArray[np.float32]
    decode: NDArray[np.float32]
    log_variance: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vae:
    """The two networks.

    Attributes
    ----------
    encoder : keras.Model
        flux (N, M) -> latent (N, L), log_variance (N, L).
    decoder : keras.Model
        latent (N, L) -> flux (N, M).
    """

    encoder: keras.Model
    decoder: keras.Model

    def variables(self) -> list[keras.Variable]:
        """Return all variables that a fit changes, including the states of random generators."""
        return [*self.encoder.variables, *self.decoder.variables]

    def trainable(self) -> list[keras.Variable]:
        """Return the variables that the optimizer changes."""
        return [*self.encoder.trainable_variables, *self.decoder.trainable_variables]

    def undecayed(self) -> list[keras.Variable]:
        """Return the trainable variables without weight decay: biases and the linear path."""
        return [v for v in self.trainable() if len(v.shape) == 1 or _LINEAR in v.path]


def build(bins: int, network: Network, start: LinearStart | None, seed: int) -> Vae:
    """Build the networks; `start` is given if and only if the network has a linear path.

    Input and output are unit-norm spectra, with values near 1/√M; the networks rescale them to
    values near 1.
    """
    if network.linear_path != (start is not None):
        raise ValueError(f"linear_path = {network.linear_path} but start is {start!r}")
    keras.utils.set_random_seed(seed)

    # Inputs and perceptrons, the decoder's mirroring the encoder's.
    root = float(np.sqrt(bins))
    mean = np.zeros(bins, np.float32) if start is None else start.mean
    flux, latent = keras.Input((bins,), name="flux"), keras.Input((network.latents,), name="latent")
    scaled = _rescale(root, -root * mean)(flux)
    hidden = _perceptron(scaled, network.hidden, network.dropout)
    mirrored = _perceptron(latent, network.hidden[::-1], network.dropout)

    # Outputs: free layers, or the linear map plus layers that start at zero.
    if start is None:
        mu = keras.layers.Dense(network.latents)(hidden)
        log_variance = keras.layers.Dense(network.latents)(hidden)
        output = keras.layers.Dense(bins)(mirrored)
    else:
        zeros = np.zeros((network.hidden[-1], network.latents), np.float32)
        mu = _given(scaled, start.encode / root, name=_LINEAR) + _given(hidden, zeros, zeros[0])
        log_variance = _given(hidden, zeros, start.log_variance)
        zeros = np.zeros((network.hidden[0], bins), np.float32)
        linear = _given(latent, start.decode * root, name=_LINEAR)
        output = linear + _given(mirrored, zeros, zeros[0])

    return Vae(
        keras.Model(flux, [mu, log_variance], name="encoder"),
        keras.Model(latent, _rescale(1 / root, mean)(output), name="decoder"),
    )


# Any: Keras annotates neither arrays of offsets nor the result of calling a layer.
def _rescale(scale: float, offset: Any) -> keras.layers.Layer:
    return keras.layers.Rescaling(scale, offset)


def _perceptron(inputs: Any, widths: tuple[int, ...], dropout: float) -> Any:
    for width in widths:
        inputs = keras.layers.Dense(width, activation="relu")(inputs)
        if dropout:
            inputs = keras.layers.Dropout(dropout)(inputs)
    return inputs


def _given(
    inputs: Any,
    kernel: NDArray[np.floating],
    bias: NDArray[np.floating] | None = None,
    name: str | None = None,
) -> Any:
    """Apply a dense layer initialised with the given weights."""
    layer = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, name=name)
    output = layer(inputs)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return output


def log_likelihood(flux: Values, ivar: Values, reconstruction: Values) -> tf.Tensor:
    """Return the Gaussian log-likelihood (N,) of spectra given their reconstructions.

    Eq. 5 of Nicolaou et al. 2025 with its misprint corrected, summed over the good bins: the
    variance is 1 / ivar of the data, the mean is the output of the decoder.
    """
    good = ivar > 0
    sigma = tf.math.rsqrt(tf.where(good, ivar, 1.0))
    terms = tfd.Normal(reconstruction, sigma).log_prob(flux)
    return tf.reduce_sum(tf.where(good, terms, 0.0), axis=1)


def kl_divergence(latent: Values, log_variance: Values) -> tf.Tensor:
    """Return the divergence (N,) of the posterior from the standard normal prior (Eq. 3)."""
    posterior = tfd.Normal(latent, tf.exp(log_variance / 2))
    return tf.reduce_sum(tfd.kl_divergence(posterior, tfd.Normal(0.0, 1.0)), axis=1)


def weighted_mse(flux: Values, ivar: Values, reconstruction: Values) -> tf.Tensor:
    """Return wmse (N,): Eq. 6 of Nicolaou et al. 2025, with weight 0 for bad bins."""
    return tf.reduce_mean(ivar * tf.square(flux - reconstruction), axis=1)
