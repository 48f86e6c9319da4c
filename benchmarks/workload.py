"""Material: the spectra, the model and the reference samples that everything is measured with.

The sky is simulated and kept from run to run; the model is fitted to a part of it, and its
reference sample replaced by simulated latents of the size that is wanted.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pykdtree.kdtree import KDTree

from model_store.bundle import Bundle, Content, write_bundle
from outcrop import Petal, Spectra, find_petals, read_spectra
from scoring.canary import Canary
from scoring.density import LocalOutlierFactor
from scoring.scorer import Scorer
from scoring.training_targetids import TrainingTargetids
from training.model.cache import cached
from training.model.config import load_config
from training.model.pipeline import fit_bundle

from .request_sizes import Sizes

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
_SEED = 7
_NEARBY = 20
_MOVE = 0.7


def make_sky(petals: int) -> Path:
    """Return the folder of a simulated sky, made unless it is there already."""

    def write(folder: Path) -> None:
        command = [sys.executable, "-m", "training", "simulate", str(folder)]
        command += ["--petals", str(petals), "--seed", str(_SEED)]
        subprocess.run(command, check=True, cwd=ROOT)

    return cached(CACHE / f"sky-{petals}", write)


def fit_model(sky: Path, sizes: Sizes, output: Path) -> Path:
    """Fit a model to the sky's first tile, for a few epochs, and return its bundle."""
    config = load_config(sizes.config)
    fit = config.fit.model_copy(update={"epochs": sizes.epochs})
    tile = find_petals(sky)[0].coadd.parents[1]
    return fit_bundle([tile], output, config.model_copy(update={"fit": fit}))


@dataclass(frozen=True)
class Material:
    """What a run measures with.

    Attributes
    ----------
    sky : Path
    model : Path
        A bundle.
    folder : Path
        For what is written on the way.
    sizes : Sizes
    """

    sky: Path
    model: Path
    folder: Path
    sizes: Sizes

    @cached_property
    def petal(self) -> Petal:
        """The files of one petal."""
        return find_petals(self.sky)[-1]

    @cached_property
    def _spectra(self) -> Spectra:
        spectra = read_spectra(self.petal.coadd, self.petal.redrock)
        return spectra.rows(np.flatnonzero((spectra.status == 0) & np.isfinite(spectra.z)))

    def spectra(self, count: int) -> Spectra:
        """Return so many of the petal's targets, again and again from its first."""
        return self._spectra.rows(np.arange(count) % len(self._spectra))

    def bundle(self, reference: int) -> Path:
        """Return the model with a simulated reference sample of the given size."""
        path = self.folder / f"reference-{reference}"
        if not path.exists():
            source = Bundle.open(self.model)
            files: dict[str, Content] = {name: source.bytes(name) for name in source.manifest.files}
            density = LocalOutlierFactor.from_arrays(
                source.arrays("density.npz"), source.manifest.neighbours
            )
            files["density.npz"] = _enlarged(density, reference).to_arrays()
            files["training_targetids.npz"] = TrainingTargetids(
                np.arange(reference) + 10**15
            ).to_arrays()
            draft = write_bundle(path.with_suffix(".draft"), source.manifest, files)
            canary = Canary.from_arrays(source.arrays("canary.npz"))
            files["canary.npz"] = _rescored(canary, Scorer(draft)).to_arrays()
            write_bundle(path, source.manifest, files)
        return path


def _rescored(canary: Canary, scorer: Scorer) -> Canary:
    """Return the canary with the scores that another reference sample gives it."""
    scores = scorer.score(canary.spectra)
    flags = {name: getattr(scores, name) for name in canary.flags}
    return Canary(canary.spectra, scores.wmse, scores.nof, flags)


def _enlarged(density: LocalOutlierFactor, count: int) -> LocalOutlierFactor:
    """Return a density of `count` reference latents that lie as the given ones do.

    Each is one of them, moved along the difference of two of its neighbours. It keeps the density
    of where it came from, which is what a search does not ask for.
    """
    rng = np.random.default_rng(_SEED)
    latents = density.latents
    _, near = KDTree(latents).query(latents, k=min(_NEARBY + 1, len(latents)))
    origin = rng.integers(len(latents), size=count)
    ends = rng.integers(1, near.shape[1], size=(2, count))
    step = latents[near[origin, ends[0]]] - latents[near[origin, ends[1]]]
    length = _MOVE * rng.normal(size=(count, 1)).astype(np.float32)
    return replace(
        density,
        latents=latents[origin] + length * step,
        k_distances=density.k_distances[origin],
        densities=density.densities[origin],
    )


def new_folder() -> Path:
    """Return an empty folder for one run; what an earlier run left there is removed."""
    folder = CACHE / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def use_two_cores() -> int:
    """Keep this process, and all that it will start, to two cores; return how many there are."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    return len(cores)
