"""Compile: numba's functions and Python's modules, while the image is built.

A flat spectrum of each layout is scored and explained with a synthetic model, and a list of numbers
is read. Every function that numba compiles leaves its machine code in NUMBA_CACHE_DIR, and every
module that a start imports leaves its bytecode. tests/deploy/test_compile.py checks that a real
model needs no more, and `make test-image` that a start in a container needs no more.
"""

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explanation.explainer import Explainer
from explanation.reference import Reference
from explanation.segments import SegmentScan
from model_store.bundle import Manifest, Thresholds
from model_store.grid import RestGrid
from outcrop import Band, Spectra
from outcrop.spectra import CAMERAS, WAVE
from scoring import scorer
from scoring.calibration import LEAST, Calibration, PValueInputs
from scoring.density import LocalOutlierFactor
from scoring.galaxy_shapes import GalaxyShapes
from scoring.infill import Eigenspectra
from scoring.training_targetids import TrainingTargetids
from service.interfaces.number_lists import read_floats

# Imported by name, or late: BentoML's command, its supervisor, its worker, and the review.
_LATE_IMPORTS = (
    "_bentoml_impl.server.app",
    "_bentoml_impl.server.serving",
    "_bentoml_impl.worker.service",
    "bentoml_cli.cli",
    "circus.arbiter",
    "review.__main__",
    "review.bundled_model",
    "service.app",
    "service.application",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.protocols.http.httptools_impl",
)
_BINS, _LATENTS, _REFERENCE, _NEIGHBOURS = 1000, 2, 100, 5


class _FlatNetwork:
    """Replaces the networks, which contain no numba code."""

    def __init__(self, *_: Any) -> None:
        pass

    def encode(self, flux: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros((len(flux), _LATENTS), np.float32)

    def decode(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        # Flat at the origin, where all spectra are encoded.
        return 1 + 0.1 * latent[:, :1] * np.sin(np.arange(_BINS, dtype=np.float32))


def _bundle() -> Any:
    """Return a synthetic bundle, with what a scorer reads of one."""
    manifest = Manifest.model_construct(
        version="flat",
        sample=SimpleNamespace(label="flat"),
        grid=RestGrid(bins=_BINS),
        redshift_range=(0.0, 0.3),
        latents=_LATENTS,
        neighbours=_NEIGHBOURS,
        thresholds=Thresholds(wmse=1.0, nof=-1.0),
        p_level=0.01,
        configuration={},
        packages={},
    )

    flat = np.full(_BINS, _BINS**-0.5, np.float32)
    some = np.linspace(1, 2, _REFERENCE, dtype=np.float32)
    latents, axes = np.stack([some] * _LATENTS, axis=1), np.arange(_LATENTS)
    density = LocalOutlierFactor(latents, some, some, _NEIGHBOURS, axes)
    many = np.linspace(1, 2, LEAST, dtype=np.float32)
    boxcar = np.stack([many] * 3, axis=1)
    classes = np.full(LEAST, "GALAXY")
    inputs = PValueInputs(many, many, many, -many, boxcar, boxcar, many, many, many, classes)
    calibration = Calibration.fit(inputs)

    reference = Reference(
        np.arange(_REFERENCE),
        some.astype(np.float64),
        np.full(_REFERENCE, "GALAXY"),
        np.stack([some] * 2, axis=1),
        np.linspace(0, 1, 101),
    )
    ones = np.ones((LEAST, _BINS), np.float32)
    scan = SegmentScan.fit(ones, ones, ones, np.full(LEAST, 0.1), many, RestGrid(bins=_BINS))
    galaxies = GalaxyShapes(flat, flat[:, None], 1.0, np.ones((2, _BINS), np.float32))
    arrays = {
        "eigenspectra.npz": Eigenspectra(flat, flat[None, :]).to_arrays(),
        "density.npz": density.to_arrays(),
        "galaxies.npz": galaxies.to_arrays(),
        "training_targetids.npz": TrainingTargetids(np.arange(_REFERENCE)).to_arrays(),
        "calibration.npz": calibration.to_arrays(),
        "explanation.npz": reference.to_arrays() | scan.to_arrays(),
    }

    return SimpleNamespace(
        manifest=manifest, sha256="", arrays=arrays.__getitem__, bytes=lambda name: b""
    )


def main() -> None:
    """Explain flat spectra, read a list of numbers and import the modules of a start."""
    scorer.OnnxVAE = _FlatNetwork
    bundle = _bundle()
    explainer = Explainer(bundle, scorer.Scorer(bundle, threads=1))

    for names in (("brz",), CAMERAS):
        bands: dict[str, Band] = {}
        for name in names:
            flux = np.ones((1, len(WAVE[name])), np.float32)
            # A gap to infill, short enough for the spectrum to stay eligible.
            bands[name] = Band(flux, np.where(np.abs(WAVE[name] - 5000) < 50, 0, flux))
        explainer.explain(Spectra(bands, z=np.array([0.1]), targetid=np.zeros(1, np.int64)))

    read_floats(b"[1]", 1, "flux")
    for name in _LATE_IMPORTS:
        importlib.import_module(name)


if __name__ == "__main__":
    main()
