"""Card: what a model is, in a page for people, written into its bundle.

The sample, the recipe and the errors are those of the model itself. Recall cannot be told by a
fit, because nobody injected anything in its sample: the card gives that of the same recipe in the
benchmark on simulated skies (docs/science.md), or says that there is none.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_store.bundle import Manifest, SampleEntry

from .config import Config

CARD = "model_card.md"
PAPER_WMSE = {"GALAXY": 1.09, "STAR": 1.87, "QSO": 2.57, "all": 1.12}
"""Mean wmse on the paper's validation set (Nicolaou et al. 2025, Section 5.1)."""
BENCHMARK = Path(__file__).parent / "data" / "benchmark.json"
"""What `python -m training.evaluation.benchmark` found, by recipe in `configs/`."""
BLIND = 0.9
"""A kind of which less than this share is found counts as a blind spot."""

_RECIPE = ("grid", "infill", "network", "fit", "density")


def write_card(manifest: Manifest, classes: Mapping[str, Mapping[str, float]]) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    manifest : Manifest
    classes : mapping
        Number, mean and median wmse by redrock class of spectra not trained on, S/N above 5.
    """
    recipe = {name: manifest.configuration[name] for name in _RECIPE}
    return "\n\n".join(
        [
            f"# Model card: {manifest.name} {manifest.version}",
            "A variational autoencoder of DESI rest-frame spectra with a local outlier factor on "
            "its latents, after Nicolaou et al. 2025, for finding spectra that do not fit. A "
            "small p_value says that few inliers of like S/N score as anomalous; it does "
            "not say why.",
            *_simulated(manifest),
            "## Sample",
            f"Networks, eigenspectra and density: {_sample(manifest.sample)}",
            _counts(manifest.sample),
            f"Thresholds, p-values, drift reference and canary: {_sample(manifest.calibration)}",
            *(
                []
                if manifest.calibrated_from is None
                else [
                    "Calibrated anew on unlabelled spectra; the networks are those of the bundle "
                    f"with sha256 {manifest.calibrated_from}.",
                    _counts(manifest.calibration),
                ]
            ),
            "## Recipe",
            _table(("part", "choices"), [(name, _flat(recipe[name])) for name in _RECIPE]),
            f"Code {manifest.code}; "
            + ", ".join(f"{name} {version}" for name, version in manifest.packages.items())
            + ".",
            "## Weighted MSE of spectra that were not trained on, S/N above 5",
            _table(
                ("class", "n", "mean", "median", "mean in the paper"),
                [
                    (name, f"{row['n']}", f"{row['mean']:.3f}", f"{row['median']:.3f}", paper)
                    for name, row in classes.items()
                    for paper in [f"{PAPER_WMSE[name]}"]
                ],
            ),
            f"Thresholds: wmse above {manifest.thresholds.wmse:.3f}, nof below "
            f"{manifest.thresholds.nof:.3f}; anomaly at p_value below {manifest.p_level:g}.",
            *_benchmark(manifest),
            "## Known blind spots",
            *_blind_spots(manifest),
            "",
        ]
    )


def _simulated(manifest: Manifest) -> list[str]:
    if "simulated" not in (manifest.sample.kind, manifest.calibration.kind):
        return []
    return ["**Made from a simulated sky: its numbers are not DESI performance.**"]


def _sample(sample: SampleEntry) -> str:
    tiles = f"{len(sample.tiles)} tiles or healpixels"
    return f"{sample.label}, {tiles} ({', '.join(sample.tiles[:10])}{_more(sample.tiles)})."


def _more(tiles: tuple[str, ...]) -> str:
    return f", and {len(tiles) - 10} more" if len(tiles) > 10 else ""


def _counts(sample: SampleEntry) -> str:
    return _table(("rows left after", ""), [(n, str(count)) for n, count in sample.counts.items()])


def _flat(section: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in section.items() if value is not None)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _found(manifest: Manifest) -> Mapping[str, Any] | None:
    """Return the benchmark's entry of the manifest's recipe, if it was run."""
    for entry in json.loads(BENCHMARK.read_text(encoding="utf-8")).values():
        known = Config.model_validate(entry["configuration"])
        if all(known.model_dump(mode="json")[n] == manifest.configuration[n] for n in _RECIPE):
            return entry
    return None


def _benchmark(manifest: Manifest) -> list[str]:
    entry = _found(manifest)
    if entry is None:
        return [
            "## Benchmark",
            "This recipe was not part of the published benchmark. "
            "`python -m training evaluate BUNDLE DIR` measures a model on a sky with a truth.csv.",
        ]
    kinds = entry["recall_at_1pct"]["p_value"]
    scores = list(entry["recall_at_1pct"])
    rows = [
        (kind, *(f"{entry['recall_at_1pct'][score][kind]:.2f}" for score in scores))
        for kind in kinds
    ]
    return [
        "## Benchmark",
        f"The same recipe on {entry['skies']} simulated skies of {entry['train_petals']} petals: "
        "share of injected anomalies beyond the 99th percentile of inliers with S/N "
        "above 5. Not this model's own figures, and not DESI performance.",
        _table(("kind", *scores), rows),
    ]


def _blind_spots(manifest: Manifest) -> list[str]:
    low, high = manifest.redshift_range
    spots = [
        f"Redshifts outside {low:g} to {high:g}, S/N below 1 and spectra with less than 0.9 of "
        "the rest-frame bins good get no p_value.",
        "A wrong redshift outside that range is therefore not found, nor is one that maps a "
        "spectrum onto another ordinary one.",
        "What a class of spectra shares is learnt as ordinary once there are enough of it in the "
        "training sample, an instrument's fault as well as a kind of object.",
        "Rare ordinary classes, quasars and cool stars first, are flagged more often than "
        "galaxies.",
        "Oddities narrower than a rest-frame bin, and those at wavelengths outside "
        f"{manifest.grid.first:g} to {manifest.grid.last:g} Å, are not seen.",
    ]
    entry = _found(manifest)
    if entry is not None:
        missed = {
            kind: recall
            for kind, recall in entry["recall_at_1pct"]["p_value"].items()
            if recall < BLIND and kind != "macro"
        }
        spots += [
            f"{kind}: {recall:.0%} found in the benchmark." for kind, recall in missed.items()
        ]
    return ["\n".join(f"- {spot}" for spot in spots)]
