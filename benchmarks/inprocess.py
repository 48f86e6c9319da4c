"""In process: the scorer, compared with the reference implementation and with a lower bound.

The lower bound is the sum of three times, each measured alone on this machine: the networks, the
search for neighbours, and one read of the input from memory.
"""

import numpy as np
from pykdtree.kdtree import KDTree

from model_store.bundle import Bundle
from outcrop import Spectra
from scoring.network import OnnxVAE
from scoring.scorer import Scorer

from .reference import ReferenceScorer
from .results import ResultTable, Target
from .timing import Seconds, median, milliseconds, rate, take_turns
from .workload import Workload


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure a petal in process, with the full reference sample."""
    sizes = workload.sizes
    count = sizes.petal
    bundle = Bundle.open(workload.bundle(sizes.reference_latents))
    spectra = workload.spectra(count)
    scorer = Scorer(bundle)

    bound = _LowerBound(bundle, scorer, spectra)
    taken = take_turns(
        {
            "scorer": lambda: scorer.score(spectra),
            "networks": bound.networks,
            "neighbours": bound.neighbours,
            "read": bound.read,
        },
        2 * sizes.seconds,
    )
    seconds = {name: median(each) for name, each in taken.items()}
    least = seconds["networks"] + seconds["neighbours"] + seconds["read"]

    compared = _compare(ReferenceScorer(bundle), scorer, spectra)
    ratio = median(compared["reference"]) / median(compared["scorer"])

    rows = [
        ("scorer", seconds["scorer"]),
        ("reference implementation", median(compared["reference"])),
        ("lower bound", least),
        ("- networks", seconds["networks"]),
        ("- search for neighbours", seconds["neighbours"]),
        ("- one read of the input", seconds["read"]),
    ]
    return [
        Target("in process, speed relative to the reference", ratio, 75, "times"),
        Target("in process, lower bound / time", 100 * least / seconds["scorer"], 60, "%"),
        ResultTable(
            f"In process: {count} spectra, {sizes.reference_latents} reference latents",
            ("", "ms", "spectra/s"),
            [(name, milliseconds(each), rate(count, each)) for name, each in rows],
            "Reference implementation: SpectRes for each spectrum, then Keras' predict and "
            "scikit-learn's LocalOutlierFactor.score_samples in one batch.",
        ),
    ]


def _compare(reference: ReferenceScorer, scorer: Scorer, spectra: Spectra) -> Seconds:
    # 0 s: the minimum number of rounds already takes half a minute.
    return take_turns(
        {"reference": lambda: reference.score(spectra), "scorer": lambda: scorer.score(spectra)}, 0
    )


class _LowerBound:
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
