"""Inprocess: the scorer beside the plain way and beside what it cannot do without.

The floor is the sum of three things, each as fast as this machine does it alone: the networks'
runs, the search for neighbours, and one read of the input from memory.
"""

import numpy as np
from pykdtree.kdtree import KDTree

from model_store.bundle import Bundle
from outcrop import Spectra
from scoring.network import OnnxVAE
from scoring.scorer import Scorer

from .reference import Plain
from .results import Table, Target
from .timing import Seconds, median, milliseconds, rate, take_turns
from .workload import Material


def measure(material: Material) -> list[Target | Table]:
    """Measure a petal in process, with the full reference sample."""
    sizes = material.sizes
    count = sizes.petal
    bundle = Bundle.open(material.bundle(sizes.reference))
    spectra = material.spectra(count)
    scorer = Scorer(bundle)
    floor = _Floor(bundle, scorer, spectra)
    taken = take_turns(
        {
            "scorer": lambda: scorer.score(spectra),
            "networks": floor.networks,
            "neighbours": floor.neighbours,
            "read": floor.read,
        },
        2 * sizes.seconds,
    )
    seconds = {name: median(each) for name, each in taken.items()}
    least = seconds["networks"] + seconds["neighbours"] + seconds["read"]
    beside = _beside_plain(Plain(bundle), scorer, spectra)
    ratio = median(beside["plain"]) / median(beside["scorer"])
    rows = [
        ("scorer", seconds["scorer"]),
        ("plain way", median(beside["plain"])),
        ("floor", least),
        ("- the networks' runs", seconds["networks"]),
        ("- the search for neighbours", seconds["neighbours"]),
        ("- one read of the input", seconds["read"]),
    ]
    return [
        Target("in process, against the plain way", ratio, 75, "times"),
        Target("in process, share of the floor", 100 * least / seconds["scorer"], 60, "%"),
        Table(
            f"In process: {count} spectra, {sizes.reference} reference latents",
            ("", "ms", "spectra/s"),
            [(name, milliseconds(each), rate(count, each)) for name, each in rows],
            "The plain way: SpectRes for each spectrum, Keras' predict and scikit-learn's "
            "LocalOutlierFactor.score_samples in one batch.",
        ),
    ]


def _beside_plain(plain: Plain, scorer: Scorer, spectra: Spectra) -> Seconds:
    # No time to use up: the least number of rounds takes half a minute.
    return take_turns(
        {"plain": lambda: plain.score(spectra), "scorer": lambda: scorer.score(spectra)}, 0
    )


class _Floor:
    def __init__(self, bundle: Bundle, scorer: Scorer, spectra: Spectra) -> None:
        self._vae = OnnxVAE(bundle.bytes("encoder.onnx"), bundle.bytes("decoder.onnx"))
        self._flux = scorer.preprocessor(spectra).flux
        axes = scorer.density.axes
        reference = np.ascontiguousarray(scorer.density.latents[:, axes])
        self._points = np.ascontiguousarray(self._vae.encode(self._flux)[:, axes])
        self._k = bundle.manifest.neighbours + 1
        self._tree = KDTree(reference, leafsize=32)
        self._input = [
            array
            for band in spectra.bands.values()
            for array in (band.flux, band.ivar, band.mask)
            if array is not None
        ]

    def networks(self) -> None:
        self._vae.decode(self._vae.encode(self._flux))

    def neighbours(self) -> None:
        self._tree.query(self._points, k=self._k)

    def read(self) -> None:
        for array in self._input:
            array.max()
