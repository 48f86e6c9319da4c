"""Fit: the training loop of encoder and decoder.

Batches are read from memory-mapped arrays, so the sample may be larger than memory. Order, sampling
and dropout depend on the seed and the epoch only. After each epoch the whole state is written to a
checkpoint; an interrupted fit continues from there with the same result.

A sample may contain anomalies, and the networks learn those of which there are a few. Several times
during the fit the spectra that are reconstructed worst among others alike are therefore left out.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
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
_TRIM_AFTER = (0.1, 0.25, 0.5, 0.75)
"""Shares of the epochs after which the training spectra to be left out are chosen anew."""


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


def fit(
    vae: Vae,
    training: Rows,
    alike: Sequence[NDArray[np.intp]],
    validation: Rows,
    settings: Fit,
    checkpoint: Path,
) -> list[Epoch]:
    """Fit the networks in place; return one record per epoch.

    Parameters
    ----------
    alike : sequence of (n,) int64
        Groups of training spectra, as indices of ``training.index``, in each of which the worst
        reconstructed are left out.
    checkpoint : Path
        Written after each epoch. If it exists, the fit continues from it; it must then come from
        the same networks, spectra and settings.
    """
    optimizer = _make_optimizer(vae, settings)
    train_step = _make_train_step(vae, optimizer)
    validation_step = _make_validation_step(vae)

    # Networks, optimizer, history and the spectra left in are all that a checkpoint holds.
    state = [*vae.variables(), *optimizer.variables]
    kept = np.ones(len(training.index), np.bool_)
    history: list[Epoch] = []
    if checkpoint.exists():
        history, kept = _restore(checkpoint, state)

    steps = -(-len(training.index) // settings.batch_size)
    epochs = settings.epochs
    if settings.max_steps is not None:
        epochs = max(min(epochs, settings.max_steps // steps), 1)

    trim_at = {round(share * epochs) for share in _TRIM_AFTER} - {0}
    total = epochs * steps
    with tqdm(total=total, initial=len(history) * steps, desc="fit", unit="step") as progress:
        for epoch in range(len(history), epochs):
            if settings.trim > 0 and epoch in trim_at:
                kept = _well_reconstructed(vae, training, alike, settings.trim)
            order = np.random.default_rng([settings.seed, epoch]).permutation(len(training.index))
            order = order[kept[order]]
            sums = np.zeros(2)
            rate = 0.0
            for i, (flux, ivar) in enumerate(training.batches(settings.batch_size, order)):
                number = epoch * steps + i
                rate = learning_rate(settings, history, number / total)
                seed = np.array([settings.seed, number], np.int32)
                sums += len(flux) * np.array(train_step(flux, ivar, seed, rate))
                progress.update()

            loss, wmse = sums / len(order)
            validated = _validate(validation_step, validation, settings.seed)
            history.append(Epoch(rate, loss, wmse, *validated))
            _save(checkpoint, state, history, kept)
            progress.set_postfix_str(
                f"epoch {epoch + 1}/{epochs}, validation wmse {history[-1].validation_wmse:.3f}"
            )

    return history


def _well_reconstructed(
    vae: Vae, training: Rows, alike: Sequence[NDArray[np.intp]], share: float
) -> NDArray[np.bool_]:
    """Return which training spectra (n,) remain without the worst share of each group."""
    errors: list[NDArray[np.float32]] = []
    for flux, ivar in training.batches(_VALIDATION_BATCH):
        latent, _ = vae.encoder(flux, training=False)
        wmse = np.asarray(weighted_mse(flux, ivar, vae.decoder(latent, training=False)))
        errors.append(wmse / np.mean(ivar > 0, axis=1))

    error = np.concatenate(errors)
    kept = np.ones(len(error), np.bool_)
    for group in alike:
        kept[group] = error[group] <= np.quantile(error[group], 1 - share)
    return kept


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


def _save(
    path: Path, state: list[keras.Variable], history: list[Epoch], kept: NDArray[np.bool_]
) -> None:
    arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(state)}
    arrays["kept"] = kept
    arrays["history"] = np.array(json.dumps([asdict(epoch) for epoch in history]))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(buffer.getbuffer())
    temporary.replace(path)


def _restore(path: Path, state: list[keras.Variable]) -> tuple[list[Epoch], NDArray[np.bool_]]:
    with np.load(path, allow_pickle=False) as arrays:
        for i, variable in enumerate(state):
            variable.assign(arrays[f"variable_{i}"])
        history = [Epoch(**epoch) for epoch in json.loads(str(arrays["history"]))]
        return history, arrays["kept"]
