"""Fit: the training loop of encoder and decoder.

Batches are read from memory-mapped arrays, so the sample may be larger than memory. Order, sampling
and dropout depend on the seed and the epoch only. After each epoch the whole state is written to a
checkpoint; an interrupted fit continues from there with the same result.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from .config import Fit
from .vae import Vae, kl_divergence, log_likelihood, weighted_mse

_VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class Epoch:
    """Losses of one epoch, per spectrum and in nats.

    Attributes
    ----------
    learning_rate : float
        At the last step of the epoch.
    loss, wmse : float
        Means over the training spectra during the steps: latents sampled, with dropout.
    validation_loss, validation_wmse : float
        Means over the validation spectra, wmse at the posterior mean.
    """

    learning_rate: float
    loss: float
    wmse: float
    validation_loss: float
    validation_wmse: float


@dataclass(frozen=True, eq=False)
class Rows:
    """Selected rows of prepared spectra, which may be memory-mapped.

    Attributes
    ----------
    flux, ivar : (N, M) float32
        Normalised; ivar = 0 in bad bins.
    index : (n,) int64
        The selected rows.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    index: NDArray[np.intp]

    def batches(
        self, size: int, order: NDArray[np.intp] | None = None
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Yield flux and ivar of up to `size` rows at a time."""
        index = self.index if order is None else self.index[order]
        for start in range(0, len(index), size):
            # The order within a batch does not matter; ascending rows read faster from disk.
            rows = np.sort(index[start : start + size])
            yield self.flux[rows], self.ivar[rows]


def fit(vae: Vae, training: Rows, validation: Rows, settings: Fit, checkpoint: Path) -> list[Epoch]:
    """Fit the networks in place; return one record per epoch.

    Parameters
    ----------
    checkpoint : Path
        Written after each epoch. If it exists, the fit continues from it; it must then come from
        the same networks, spectra and settings.
    """
    optimizer = _make_optimizer(vae, settings)
    train_step = _make_train_step(vae, optimizer)
    validation_step = _make_validation_step(vae)

    # Networks, optimizer and history are all that a checkpoint holds.
    state = [*vae.variables(), *optimizer.variables]
    history = _restore(checkpoint, state) if checkpoint.exists() else []

    steps = -(-len(training.index) // settings.batch_size)
    total = settings.epochs * steps
    with tqdm(total=total, initial=len(history) * steps, desc="fit", unit="step") as progress:
        for epoch in range(len(history), settings.epochs):
            order = np.random.default_rng([settings.seed, epoch]).permutation(len(training.index))
            sums = np.zeros(2)
            rate = 0.0
            for i, (flux, ivar) in enumerate(training.batches(settings.batch_size, order)):
                number = epoch * steps + i
                rate = learning_rate(settings, history, number / total)
                seed = np.array([settings.seed, number], np.int32)
                sums += len(flux) * np.array(train_step(flux, ivar, seed, rate))
                progress.update()

            loss, wmse = sums / len(training.index)
            validated = _validate(validation_step, validation, settings.seed)
            history.append(Epoch(rate, loss, wmse, *validated))
            _save(checkpoint, state, history)
            progress.set_postfix_str(
                f"epoch {epoch + 1}/{settings.epochs}, "
                f"validation wmse {history[-1].validation_wmse:.3f}"
            )

    return history


def learning_rate(settings: Fit, history: list[Epoch], done: float) -> float:
    """Return the rate after a share `done` of all steps, given the complete epochs."""
    first, last = settings.learning_rate, settings.final_learning_rate
    if settings.schedule == "cosine":
        return last + (first - last) * 0.5 * (1 + np.cos(np.pi * done))

    rate, best, wait = first, np.inf, 0
    for epoch in history:
        wait += 1
        if epoch.validation_loss < best:
            best, wait = epoch.validation_loss, 0
        elif wait == settings.patience:
            rate, wait = rate / 10, 0
    return rate


def _make_optimizer(vae: Vae, settings: Fit) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.Adam(
        settings.learning_rate,
        global_clipnorm=settings.clip_norm,
        weight_decay=settings.weight_decay,
    )
    if settings.weight_decay is not None:
        optimizer.exclude_from_weight_decay(vae.undecayed())
    optimizer.build(vae.trainable())
    return optimizer


def _make_train_step(vae: Vae, optimizer: keras.optimizers.Optimizer) -> Callable[..., Any]:
    """Return the function that updates the weights by one batch: mean loss and wmse."""
    weights = vae.trainable()
    # Keras annotates the rate as a plain object.
    rate_variable: Any = optimizer.learning_rate

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((2,), tf.int32),
            tf.TensorSpec((), tf.float32),
        ]
    )
    def step(
        flux: tf.Tensor, ivar: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rate_variable.assign(rate)
        with tf.GradientTape() as tape:
            latent, log_variance = vae.encoder(flux, training=True)
            noise = tf.random.stateless_normal(tf.shape(latent), seed)
            sample = latent + tf.exp(log_variance / 2) * noise
            reconstruction = vae.decoder(sample, training=True)
            loss = tf.reduce_mean(
                kl_divergence(latent, log_variance) - log_likelihood(flux, ivar, reconstruction)
            )
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss, tf.reduce_mean(weighted_mse(flux, ivar, reconstruction))

    return step


def _make_validation_step(vae: Vae) -> Callable[..., Any]:
    """Return the function that evaluates one batch: summed loss and wmse."""

    @tf.function(reduce_retracing=True)
    def validation_step(
        flux: tf.Tensor, ivar: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        latent, log_variance = vae.encoder(flux, training=False)
        noise = tf.random.stateless_normal(tf.shape(latent), seed)
        sampled = vae.decoder(latent + tf.exp(log_variance / 2) * noise, training=False)
        loss = kl_divergence(latent, log_variance) - log_likelihood(flux, ivar, sampled)
        wmse = weighted_mse(flux, ivar, vae.decoder(latent, training=False))
        return tf.reduce_sum(loss), tf.reduce_sum(wmse)

    return validation_step


def _validate(
    validation_step: Callable[..., Any], validation: Rows, seed: int
) -> tuple[float, float]:
    sums = np.zeros(2)
    for i, (flux, ivar) in enumerate(validation.batches(_VALIDATION_BATCH)):
        # The same noise in each epoch, so that epochs can be compared.
        sums += np.array(validation_step(flux, ivar, np.array([seed, i], np.int32)))
    loss, wmse = sums / len(validation.index)
    return float(loss), float(wmse)


def _save(path: Path, state: list[keras.Variable], history: list[Epoch]) -> None:
    arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(state)}
    arrays["history"] = np.array(json.dumps([asdict(epoch) for epoch in history]))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(buffer.getbuffer())
    temporary.replace(path)


def _restore(path: Path, state: list[keras.Variable]) -> list[Epoch]:
    with np.load(path, allow_pickle=False) as arrays:
        for i, variable in enumerate(state):
            variable.assign(arrays[f"variable_{i}"])
        return [Epoch(**epoch) for epoch in json.loads(str(arrays["history"]))]
