"""Benchmark: the whole evaluation on several simulated skies, training samples clean or not.

For each seed a training sky and a test sky with injected anomalies are made. The default recipe is
fitted to the training sky as it is and with part of it replaced by anomalies, the paper's recipe
to the clean one; each fit is evaluated beside all baselines. A step whose result exists is
skipped, so the command continues where it was stopped. Training skies and caches, several
gigabytes each, are removed once they are evaluated; models, numbers and tables stay.

Numbers from simulated skies are not DESI performance.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from model_store.bundle import BundleError
from outcrop import OutcropError

from .. import TrainingError
from ..model.card import BENCHMARK
from ..model.config import load_config
from ..sky.petals import simulate
from ..truth import FILE as TRUTH
from .comparison import MACRO
from .evaluate import evaluate
from .results import Recall
from .tables import aligned, name_of, ordered

CONTAMINATION = (0.0, 0.005, 0.01, 0.02)
"""Shares of the training sky's targets in which something is injected."""
INJECTED = 0.08
"""The same share of the test sky."""

ON_CARDS = ("p_value", "wmse_calibrated", "nof_calibrated", "pca10_calibrated")
"""Scores whose recall model cards show."""

# Test skies must not share a seed with any training sky.
_TEST_SEED = 1_000_000


@dataclass(frozen=True)
class SkyPetals:
    """Numbers of petals of a training and of a test sky."""

    train: int = 60
    test: int = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.benchmark", description=__doc__
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, required=True)
    parser.add_argument("--seeds", metavar="S", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--config", metavar="NAME_OR_TOML", default="default")
    parser.add_argument("--train-petals", metavar="N", type=int, default=SkyPetals.train)
    parser.add_argument("--test-petals", metavar="N", type=int, default=SkyPetals.test)
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    # For this process and the fits it starts.
    os.environ["OUTCROP_CACHE"] = str(folder / "cache")
    petals = SkyPetals(options.train_petals, options.test_petals)

    try:
        for seed in options.seeds:
            run_seed(folder / f"seed-{seed}", seed, options.config, petals)
        text = summary(folder, options.seeds)
    except (TrainingError, BundleError, OutcropError, OSError) as error:
        tqdm.write(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        tqdm.write("outcrop: stopped; the same command continues", file=sys.stderr)
        return 130

    (folder / "summary.txt").write_text(text, encoding="utf-8")
    entry = card_entry(folder, options.seeds, options.config, petals)
    content = json.dumps({options.config: entry}, indent=1)
    (folder / BENCHMARK.name).write_text(content + "\n", encoding="utf-8")
    tqdm.write(text)
    return 0


def run_seed(folder: Path, seed: int, config: str, petals: SkyPetals) -> None:
    """Make, fit and evaluate what one seed still lacks.

    Parameters
    ----------
    folder : Path
        Gets a model `CONFIG-SHARE` and its numbers, `CONFIG-SHARE.json`, for each share of
        anomalies in the training sample, and the model `paper`.
    """
    if all(_numbers(folder, share).exists() for share in CONTAMINATION):
        return

    test = folder / "test"
    _sky(test, petals.test, _TEST_SEED + seed, INJECTED)
    for share in CONTAMINATION:
        numbers = _numbers(folder, share)
        if numbers.exists():
            continue

        train = folder / f"train-{share:g}"
        _sky(train, petals.train, seed, share)
        bundle, paper = folder / f"model-{share:g}", folder / "paper"
        _fit(train, bundle, config)
        if share == 0:
            _fit(train, paper, "paper")
        evaluate(bundle, test, numbers, train=[train], paper=paper if share == 0 else None)

        shutil.rmtree(train)
        shutil.rmtree(os.environ["OUTCROP_CACHE"], ignore_errors=True)
    shutil.rmtree(test)


def summary(folder: Path, seeds: Sequence[int]) -> str:
    """Return the tables over all seeds: macro recall by contamination, recall by kind."""
    results = {share: _results(folder, seeds, share) for share in CONTAMINATION}
    clean = results[0.0]
    scores = ordered(list(clean[0].recall_at_1pct))
    contaminated = [
        [name_of(score)] + [_mean(results[share], score, MACRO) for share in CONTAMINATION]
        for score in scores
    ]
    kinds = list(clean[0].n_injected)
    by_kind = [[name_of(score)] + [_mean(clean, score, kind) for kind in kinds] for score in scores]

    shares = [f"{100 * share:g} %" for share in CONTAMINATION]
    return "\n\n".join(
        [
            f"{len(seeds)} simulated skies, seeds {', '.join(map(str, seeds))}; mean, and half the "
            "range between seeds. These numbers are not DESI performance.",
            "Macro recall at 1 % false positives, by share of anomalies in the training sample.\n\n"
            + aligned(["score", *shares], contaminated),
            "Recall at 1 % false positives by injected kind, clean training sample.\n\n"
            + aligned(["score", *kinds], by_kind),
        ]
    )


def card_entry(
    folder: Path, seeds: Sequence[int], config: str, petals: SkyPetals
) -> dict[str, Any]:
    """Return the entry of model cards for a recipe: recall on clean samples, mean over the seeds.

    Published by copying the file that `main` writes over `training.model.card.BENCHMARK`.
    """
    results = _results(folder, seeds, 0.0)
    scores = [score for score in ON_CARDS if score in results[0].recall_at_1pct]
    return {
        "configuration": load_config(config).model_dump(mode="json"),
        "skies": len(seeds),
        "train_petals": petals.train,
        "recall_at_1pct": {
            score: {
                kind: round(float(np.mean(values)), 3)
                for kind in results[0].recall_at_1pct[score]
                if (values := _known(results, score, kind))
            }
            for score in scores
        },
    }


def _results(folder: Path, seeds: Sequence[int], share: float) -> list[Recall]:
    paths = [_numbers(folder / f"seed-{seed}", share) for seed in seeds]
    return [Recall.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]


def _numbers(folder: Path, share: float) -> Path:
    return folder / f"model-{share:g}.json"


def _sky(folder: Path, petals: int, seed: int, anomalies: float) -> None:
    # The truth is written last.
    if not (folder / TRUTH).exists():
        simulate(folder, petals, seed, anomalies)


def _fit(train: Path, bundle: Path, config: str) -> None:
    """Fit in a process of its own, so that all its memory is freed."""
    if bundle.exists():
        return
    command = ["fit", str(train), "--output", str(bundle), "--config", config]
    done = subprocess.run([sys.executable, "-m", "training", *command], check=False)
    if done.returncode:
        raise TrainingError(
            f"`python -m training {' '.join(command)}` ended with exit status {done.returncode}; "
            "see its message above, then run the benchmark again: it continues from there"
        )


def _known(results: Sequence[Recall], score: str, kind: str) -> list[float]:
    values = [result.recall_at_1pct.get(score, {}).get(kind) for result in results]
    return [value for value in values if value is not None]


def _mean(results: Sequence[Recall], score: str, kind: str) -> str:
    values = _known(results, score, kind)
    if not values:
        return "–"
    half_range = (max(values) - min(values)) / 2
    return f"{np.mean(values):.3f}" + (f" ± {half_range:.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
