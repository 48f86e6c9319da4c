"""The loss falls, the seed determines the fit, and a stopped fit continues unchanged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.network import OnnxVAE
from training.model.config import Fit, Network
from training.model.eigenspectra import noise_weighted_pca
from training.model.export import ExportError, export
from training.model.fit import Epoch, Rows, fit, learning_rate
from training.model.vae import Vae, build

pytestmark = pytest.mark.long

BINS, LATENTS = 60, 2
NETWORK = Network(latents=LATENTS, hidden=(32, 16), dropout=0.1, linear_path=True)
SETTINGS = Fit(
    epochs=6, batch_size=64, schedule="cosine", clip_norm=100.0, weight_decay=1.0, trim=0.02
)


def make(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make spectra on a curved two-dimensional surface, which a linear model cannot follow."""
    x = np.linspace(0, 1, BINS)
    centre, height = rng.uniform(0.3, 0.7, (500, 1)), rng.uniform(0.5, 2, (500, 1))
    flux = 1 + height * np.exp(-((x - centre) ** 2) / 0.02)
    flux /= np.linalg.norm(flux, axis=1, keepdims=True)
    sigma = 0.01
    flux = flux + sigma * rng.normal(size=flux.shape)
    return flux.astype(np.float32), np.full(flux.shape, 1 / sigma**2, np.float32)


FLUX, IVAR = make(np.random.default_rng(1))
TRAINING = Rows(FLUX, IVAR, np.arange(400))
VALIDATION = Rows(FLUX, IVAR, np.arange(400, 500))
ALIKE = [np.arange(200), np.arange(200, 400)]


def new() -> Vae:
    return build(BINS, NETWORK, noise_weighted_pca(FLUX[:400], IVAR[:400], LATENTS), seed=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vae, list[Epoch]]:
    vae = new()
    folder = tmp_path_factory.mktemp("fit")
    return vae, fit(vae, TRAINING, ALIKE, VALIDATION, SETTINGS, folder / "state.npz")


def test_the_fit_improves_on_the_linear_start(undisturbed: tuple[Vae, list[Epoch]]) -> None:
    _, history = undisturbed
    assert len(history) == SETTINGS.epochs
    linear = new()
    latent, _ = linear.encoder(FLUX[400:])
    residual = FLUX[400:] - np.asarray(linear.decoder(latent))
    assert history[-1].validation_wmse < 0.9 * np.mean(IVAR[400:] * residual**2)
    assert history[-1].validation_loss < history[0].validation_loss


def test_a_stopped_fit_continues_as_if_undisturbed(
    undisturbed: tuple[Vae, list[Epoch]], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "state.npz"

    class StoppedError(Exception):
        pass

    class Interrupted(Rows):
        def batches(self, size: int, order: NDArray[np.intp] | None = None):
            for number, batch in enumerate(super().batches(size, order)):
                # In the middle of the third epoch.
                if checkpoint.exists() and number == 3 and epochs_done(checkpoint) == 2:
                    raise StoppedError
                yield batch

    with pytest.raises(StoppedError):
        fit(
            new(),
            Interrupted(FLUX, IVAR, np.arange(400)),
            ALIKE,
            VALIDATION,
            SETTINGS,
            checkpoint,
        )

    vae = new()
    history = fit(vae, TRAINING, ALIKE, VALIDATION, SETTINGS, checkpoint)
    whole, expected = undisturbed
    for ours, theirs in zip(history, expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-3)
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, abs=1e-3)
    for one, other in zip(vae.trainable(), whole.trainable(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def epochs_done(checkpoint: Path) -> int:
    with np.load(checkpoint) as arrays:
        return str(arrays["history"]).count("validation_loss")


def test_a_finished_fit_is_not_repeated(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.npz"
    settings = SETTINGS.model_copy(update={"epochs": 1})
    vae = new()
    first = fit(vae, TRAINING, ALIKE, VALIDATION, settings, checkpoint)
    again = new()
    assert fit(again, TRAINING, ALIKE, VALIDATION, settings, checkpoint) == first
    for one, other in zip(vae.trainable(), again.trainable(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("epochs", "expected"), [(0.5, 1), (1, 1), (2.9, 2), (9, 3)])
def test_a_fit_takes_whole_epochs_of_the_most_steps(
    tmp_path: Path, epochs: float, expected: int
) -> None:
    steps = -(-len(TRAINING.index) // SETTINGS.batch_size)
    settings = SETTINGS.model_copy(update={"epochs": 3, "max_steps": int(epochs * steps)})
    history = fit(new(), TRAINING, ALIKE, VALIDATION, settings, tmp_path / "state.npz")
    assert len(history) == expected
    # The cosine is that of the steps taken.
    assert history[-1].learning_rate < 1e-4


def test_the_worst_of_each_group_are_left_out(tmp_path: Path) -> None:
    # One in fifty has a second line.
    flux, odd = FLUX.copy(), np.arange(0, 400, 50)
    line = np.exp(-((np.linspace(0, 1, BINS) - 0.9) ** 2) / 0.001)
    flux[odd] += (0.3 * line).astype(np.float32)

    checkpoint = tmp_path / "state.npz"
    fit(new(), Rows(flux, IVAR, np.arange(400)), ALIKE, VALIDATION, SETTINGS, checkpoint)
    with np.load(checkpoint) as arrays:
        np.testing.assert_array_equal(np.flatnonzero(~arrays["kept"]), odd)


def test_the_cosine_falls_to_the_final_rate() -> None:
    settings = Fit(learning_rate=1e-3, final_learning_rate=1e-5, schedule="cosine")
    assert learning_rate(settings, [], 0.0) == pytest.approx(1e-3)
    assert learning_rate(settings, [], 0.5) == pytest.approx(5.05e-4)
    assert learning_rate(settings, [], 1.0) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([9, 8, 7, 6, 5, 4, 3], 1e-3),
        ([9, 8, 8, 8, 8, 8], 1e-3),
        ([9, 8, 8, 8, 8, 8, 8], 1e-4),
        ([9, 8, 8, 8, 8, 8, 7.9], 1e-3),
        ([8, *[8] * 5, *[8] * 5], 1e-5),
        ([8, *[8] * 5, 7, *[8] * 4], 1e-4),
    ],
)
def test_the_plateau_divides_by_ten_after_five_epochs_without_a_better_loss(
    losses: list[float], expected: float
) -> None:
    history = [Epoch(1e-3, 0.0, 0.0, loss, 0.0) for loss in losses]
    assert learning_rate(Fit(), history, 0.3) == pytest.approx(expected)


def test_batches_hold_every_row_once() -> None:
    rows = Rows(
        np.arange(20, dtype=np.float32)[:, None], np.ones((20, 1), np.float32), np.arange(5, 18)
    )
    order = np.random.default_rng(0).permutation(13)
    parts = [flux for flux, _ in rows.batches(4, order)]
    assert [len(part) for part in parts] == [4, 4, 4, 1]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)[:, 0]), np.arange(5, 18))
    assert set(parts[0][:, 0]) == set(rows.index[order[:4]])


def test_exported_networks_give_what_the_trained_ones_do(
    undisturbed: tuple[Vae, list[Epoch]],
) -> None:
    vae, _ = undisturbed
    exported = OnnxVAE(*export(vae, FLUX[:50]))
    latent, log_variance = (np.asarray(x) for x in vae.encoder(FLUX[50:], training=False))
    np.testing.assert_allclose(exported.encode(FLUX[50:]), latent, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(exported.posterior(FLUX[50:])[1], log_variance, rtol=1e-5, atol=1e-5)
    decoded = np.asarray(vae.decoder(latent, training=False))
    np.testing.assert_allclose(exported.decode(latent), decoded, rtol=1e-5, atol=1e-5)


def test_networks_with_nan_weights_are_not_exported() -> None:
    vae = new()
    vae.trainable()[0].assign(np.full(vae.trainable()[0].shape, np.nan, np.float32))
    with pytest.raises(ExportError, match="exported latent differs"):
        export(vae, FLUX[:10])
