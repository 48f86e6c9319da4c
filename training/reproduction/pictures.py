"""Pictures: the paper's figures of a recipe's sample, from the spectra in the cache."""

import shutil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scoring.robust import robust_reconstruction

from ..plots.figures import draw_figures
from ..plots.sample import PlotSample, RestSpectra
from .recipe_scores import RecipeScores

_BLOCK = 1024
_MODEL = "model.txt"
"""File with the checksum of the model that the figures are of."""


def draw(scores: RecipeScores, folder: Path) -> None:
    """Draw the figures into a folder, complete or not at all, unless they are there."""
    drawn, sha256 = folder / _MODEL, scores.scorer.model.sha256
    if drawn.exists() and drawn.read_text() == sha256:
        return

    work = folder.with_name(f"{folder.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    spectra = work / "spectra"
    spectra.mkdir(parents=True)

    sample = _plot_sample(scores, spectra)
    pictures = work / "figures"
    draw_figures(scores.bundle, scores.scorer, sample, pictures)
    (pictures / _MODEL).write_text(sha256)
    shutil.rmtree(folder, ignore_errors=True)
    pictures.replace(folder)
    shutil.rmtree(work)


def _plot_sample(scores: RecipeScores, folder: Path) -> PlotSample:
    """Return the spectra with a p-value; flux, ivar and reconstruction are files in a folder.

    They are larger than the memory of some machines.
    """
    rows = np.flatnonzero(np.isfinite(scores.p_value))
    scored, p_value = scores.scored.choose(rows), scores.p_value[rows]
    shape = len(rows), scores.prepared[0].shape[1]
    flux, ivar, model = (
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
        for name in ("flux", "ivar", "model")
    )

    norm = np.empty(len(rows), np.float32)
    for start in tqdm(range(0, len(rows), _BLOCK), desc="reconstruct", unit="block"):
        block = slice(start, start + _BLOCK)
        index = scored.index[block]
        prepared, weight = (array[index] for array in scores.prepared)
        observed, ivar[block] = scores.sample.take(index)

        # The norm is that of the infilled spectrum; the good bins are enough to recover it.
        good = weight > 0
        norm[block] = np.linalg.norm(observed * good, axis=1)
        norm[block] /= np.linalg.norm(prepared * good, axis=1)

        latent, vae = scored.latent[block], scores.scorer.vae
        robust = robust_reconstruction(vae, prepared, weight, latent, vae.decode(latent))
        flux[block] = prepared * norm[block, None]
        model[block] = robust.reconstruction * norm[block, None]

    unknown = np.full(len(rows), np.nan)
    return PlotSample(
        targetid=scored.rows["targetid"],
        z=scored.rows["z"],
        ra=unknown,
        dec=unknown,
        spectype=scored.rows["spectype"],
        kind=np.full(len(rows), ""),
        snr=scored.rows["snr"],
        wmse=scored.wmse,
        nof=scored.nof,
        norm=norm,
        p_value=p_value,
        anomaly=p_value < scores.scorer.model.p_level,
        latent=scored.latent,
        spectrum_row=np.arange(len(rows)),
        spectra=RestSpectra(flux, ivar, model),
    )
