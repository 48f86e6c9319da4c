"""Card: the model card, a Markdown page in the bundle for the users of a model.

Sample, recipe and errors are those of the model itself. Recall cannot be measured in a fit, because
its sample has no injected anomalies: the card quotes the recall of the same recipe in the benchmark
on simulated skies (docs/science.md), or says that there is none.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Manifest, SampleEntry
from scoring.calibration import CLASSES, Calibration

from ..templates import render
from .config import Config

CARD = "model_card.md"
PAPER_WMSE = {"GALAXY": 1.09, "STAR": 1.87, "QSO": 2.57, "all": 1.12}
"""Mean wmse on the paper's validation set (Nicolaou et al. 2025, Section 5.1)."""
BENCHMARK = Path(__file__).parent / "data" / "benchmark.json"
"""Results of `python -m training.evaluation.benchmark`, by recipe in `configs/`."""
BLIND = 0.9
"""A kind of anomaly with a recall below this counts as a blind spot."""
TEMPLATE = Path(__file__).with_name("card.md.jinja")

_RECIPE = ("grid", "infill", "network", "fit", "density")
_TILES_SHOWN = 10


def write_card(
    manifest: Manifest,
    calibration: Mapping[str, NDArray[np.generic]],
    classes: Mapping[str, Mapping[str, float]],
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    manifest : Manifest
    calibration : mapping
        The arrays of calibration.npz.
    classes : mapping
        Number, mean and median wmse by redrock class of spectra not trained on, S/N above 5.
    """
    benchmark = _benchmark(manifest)
    recall = {} if benchmark is None else benchmark["recall_at_1pct"]
    by_p_value: dict[str, float] = recall.get("p_value", {})
    sizes = {name: int(calibration.get(f"{name}_size", np.array(0))) for name in CLASSES}

    return render(
        TEMPLATE,
        manifest=manifest,
        simulated="simulated" in (manifest.sample.kind, manifest.calibration.kind),
        training_sample=_sample(manifest.sample),
        calibration_sample=_sample(manifest.calibration),
        calibrated_classes=[(name, size) for name, size in sizes.items() if size],
        pooled_classes=[name for name, size in sizes.items() if not size],
        snr_range=Calibration.from_arrays(calibration).snr_range,
        noise_correction=manifest.configuration["sample"]["noise_correction"],
        recipe=[(name, _choices(manifest.configuration[name])) for name in _RECIPE],
        classes=class_rows(classes),
        benchmark=benchmark,
        recall=[(kind, *(f"{recall[s][kind]:.2f}" for s in recall)) for kind in by_p_value],
        missed={
            kind: f"{share:.0%}"
            for kind, share in by_p_value.items()
            if share < BLIND and kind != "macro"
        },
    )


def class_rows(classes: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """Return the rows of the table of wmse by class: class, n, mean, median, mean in the paper."""
    return [
        (name, f"{row['n']}", f"{row['mean']:.3f}", f"{row['median']:.3f}", f"{PAPER_WMSE[name]}")
        for name, row in classes.items()
    ]


def _sample(sample: SampleEntry) -> str:
    shown = ", ".join(sample.tiles[:_TILES_SHOWN])
    hidden = len(sample.tiles) - _TILES_SHOWN
    more = f", and {hidden} more" if hidden > 0 else ""
    return f"{sample.label}, {len(sample.tiles)} tiles or healpixels ({shown}{more})."


def _choices(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in section.items() if value is not None)


def _benchmark(manifest: Manifest) -> Mapping[str, Any] | None:
    """Return the benchmark's entry for the recipe of the manifest, None if it has none."""
    for entry in json.loads(BENCHMARK.read_text(encoding="utf-8")).values():
        known = Config.model_validate(entry["configuration"]).model_dump(mode="json")
        if all(known[name] == manifest.configuration[name] for name in _RECIPE):
            return entry
    return None
