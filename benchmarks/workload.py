"""Workload: the spectra, the model and the reference samples of a run.

The sky is simulated and kept from run to run. The model is fitted to a part of it; its reference
sample is replaced by simulated latents, as many as a measurement needs.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pykdtree.kdtree import KDTree

from explanation.reference import Reference
from model_store.bundle import Bundle, Content, write_bundle
from outcrop import Petal, Spectra, find_petals, read_spectra
from scoring.canary import Canary
from scoring.density import LocalOutlierFactor
from scoring.scorer import Scorer
from scoring.training_targetids import TrainingTargetids
from training.model.cache import cached
from training.model.config import load_config
from training.model.pipeline import fit_bundle

from .request_sizes import RequestSizes

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
_SEED = 7
_NEIGHBOURS = 20
_STEP = 0.7


def make_sky(petals: int) -> Path:
    """Return the folder of a simulated sky; it is simulated unless the folder exists."""

    def write(folder: Path) -> None:
        command = [sys.executable, "-m", "training", "simulate", str(folder)]
        command += ["--petals", str(petals), "--seed", str(_SEED)]
        subprocess.run(command, check=True, cwd=ROOT)

    return cached(CACHE / f"sky-{petals}", write)


def fit_model(sky: Path, sizes: RequestSizes, output: Path) -> Path:
    """Fit a model to the sky's first tile, for a few epochs, and return its bundle."""
    config = load_config(sizes.config)
    fit = config.fit.model_copy(update={"epochs": sizes.epochs})
    tile = find_petals(sky)[0].coadd.parents[1]
    return fit_bundle([tile], output, config.model_copy(update={"fit": fit}))


@dataclass(frozen=True)
class Workload:
    """Spectra and model of a run.

    Attributes
    ----------
    sky : Path
        Folder of petals.
    model : Path
        A bundle.
    folder : Path
        Folder for intermediate files.
    sizes : RequestSizes
    """

    sky: Path
    model: Path
    folder: Path
    sizes: RequestSizes

    @cached_property
    def petal(self) -> Petal:
        """The files of one petal."""
        return find_petals(self.sky)[-1]

    @cached_property
    def _spectra(self) -> Spectra:
        spectra = read_spectra(self.petal.coadd, self.petal.redrock)
        # Beyond the range a spectrum has no scores, and so costs hardly anything.
        low, high = Bundle.open(self.model).manifest.redshift_range
        inside = (spectra.z >= low) & (spectra.z <= high)
        return spectra[np.flatnonzero((spectra.status == 0) & inside)]

    def spectra(self, count: int) -> Spectra:
        """Return `count` targets in the model's redshift range, repeated if there are fewer."""
        return self._spectra[np.arange(count) % len(self._spectra)]

    def bundle(self, reference_latents: int) -> Path:
        """Return the model with a simulated reference sample of the given size."""
        path = self.folder / f"reference-{reference_latents}"
        if not path.exists():
            source = Bundle.open(self.model)
            files: dict[str, Content] = {name: source.bytes(name) for name in source.manifest.files}
            density = LocalOutlierFactor.from_arrays(
                source.arrays("density.npz"), source.manifest.neighbours
            )
            resized, origin = _resized(density, reference_latents)
            files["density.npz"] = resized.to_arrays()
            targetids = np.arange(reference_latents) + 10**15
            files["training_targetids.npz"] = TrainingTargetids(targetids).to_arrays()
            reference = Reference.from_arrays(source.arrays("explanation.npz"))
            files["explanation.npz"] = (
                source.arrays("explanation.npz")
                | replace(
                    reference,
                    targetid=targetids,
                    z=reference.z[origin],
                    spectype=reference.spectype[origin],
                    place=reference.place[origin],
                ).to_arrays()
            )

            # The canary's NOF depends on the reference sample.
            draft = write_bundle(path.with_suffix(".draft"), source.manifest, files)
            canary = Canary.from_arrays(source.arrays("canary.npz"))
            files["canary.npz"] = _rescored(canary, Scorer(draft)).to_arrays()
            write_bundle(path, source.manifest, files)
        return path


def _rescored(canary: Canary, scorer: Scorer) -> Canary:
    """Return the canary with the scores of another reference sample."""
    scores = scorer.score(canary.spectra)
    flags = {name: getattr(scores, name) for name in canary.flags}
    p_values = scores.p_value, scores.p_value_pooled
    return Canary(canary.spectra, scores.wmse, scores.nof, *p_values, flags)


def _resized(
    density: LocalOutlierFactor, count: int
) -> tuple[LocalOutlierFactor, NDArray[np.int64]]:
    """Return a density of `count` reference latents, distributed as the given ones are.

    Each is one of them, moved along the difference of two of its neighbours. It keeps the density
    of the original, because the search for neighbours does not use the density. The originals' rows
    are returned with it.
    """
    rng = np.random.default_rng(_SEED)
    latents = density.latents
    _, near = KDTree(latents).query(latents, k=min(_NEIGHBOURS + 1, len(latents)))
    origin = rng.integers(len(latents), size=count)
    ends = rng.integers(1, near.shape[1], size=(2, count))
    step = latents[near[origin, ends[0]]] - latents[near[origin, ends[1]]]
    length = _STEP * rng.normal(size=(count, 1)).astype(np.float32)
    resized = replace(
        density,
        latents=latents[origin] + length * step,
        k_distances=density.k_distances[origin],
        densities=density.densities[origin],
    )
    return resized, origin


def new_folder() -> Path:
    """Return an empty folder for one run, without the files of earlier runs."""
    folder = CACHE / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def use_two_cores() -> int:
    """Restrict this process and its children to two cores; return the number of cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    return len(cores)
