"""Benchmark: the whole evaluation on several pairs of simulated skies.

For each seed, with a real night's nuisances and without, a training sky and a test sky with
injected anomalies are made. The default recipe is fitted to the training sky as it is and with part
of it replaced by anomalies, the paper's recipe to the clean one; each fit is evaluated beside all
baselines. A step whose result exists is skipped, so the command continues where it was stopped.
Skies and caches, several gigabytes each, are removed once they are evaluated; models, numbers and
tables stay.

The numbers may also be those of `python -m training evaluate BUNDLE SKY --json FILE`: a file
`seed-71/nuisances-1/model-0.01.json` is that of the pair with the training seed 71, nuisances of
strength 1 and 1 % of anomalies in the training sky.

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
from statistics import fmean
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from model_store.bundle import BundleError
from outcrop import OutcropError

from .. import TrainingError
from ..model.card import BENCHMARK
from ..model.config import load_config
from ..sky.petals import simulate
from ..truth import FILE as TRUTH
from .evaluate import evaluate
from .results import LabelledEvaluation
from .summary import Setting, markdown, rows

CONTAMINATION = (0.0, 0.01, 0.02)
"""Shares of the training sky's targets in which something is injected."""
NUISANCES = (1.0, 0.0)
"""Strengths of the nuisances, of both skies."""
INJECTED = 0.08
"""Share of the test sky's targets in which something is injected."""
SEEDS = (71, 73, 75)
"""Of the training skies. The test sky of a pair has the next one; no choice was made on them."""

ON_CARDS = ("p_value", "wmse_calibrated", "nof_calibrated", "pca10_calibrated")
"""Scores whose recall model cards show."""


@dataclass(frozen=True)
class SkyPetals:
    """Numbers of petals of a training and of a test sky."""

    train: int = 60
    test: int = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, required=True)
    parser.add_argument("--seeds", metavar="S", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--config", metavar="NAME_OR_TOML", default="default")
    parser.add_argument("--train-petals", metavar="N", type=int, default=SkyPetals.train)
    parser.add_argument("--test-petals", metavar="N", type=int, default=SkyPetals.test)
    parser.add_argument(
        "--tables", action="store_true", help="fit nothing; write the tables of what is done"
    )
    options = parser.parse_args(arguments)
    seeds: list[int] = options.seeds
    if shared := sorted({seed + 1 for seed in seeds} & set(seeds)):
        parser.error(f"seed {shared[0]} is also that of a test sky; give every other number")

    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    # For this process and the fits it starts.
    os.environ["OUTCROP_CACHE"] = str(folder / "cache")
    petals = SkyPetals(options.train_petals, options.test_petals)

    try:
        if not options.tables:
            for seed in seeds:
                for strength in NUISANCES:
                    run_pair(_pair(folder, seed, strength), seed, strength, options.config, petals)
        text = write_tables(folder, seeds, options.config, petals)
    except (TrainingError, BundleError, OutcropError, OSError) as error:
        tqdm.write(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        tqdm.write("outcrop: stopped; the same command continues", file=sys.stderr)
        return 130

    tqdm.write(text)
    return 0


def run_pair(folder: Path, seed: int, nuisances: float, config: str, petals: SkyPetals) -> None:
    """Make, fit and evaluate what one pair of skies still lacks.

    Parameters
    ----------
    folder : Path
        Gets a model `model-SHARE` and its numbers, `model-SHARE.json`, for each share of anomalies
        in the training sample, and the model `paper`.
    """
    if all(_numbers(folder, share).exists() for share in CONTAMINATION):
        return

    test = folder / "test"
    _sky(test, petals.test, seed + 1, INJECTED, nuisances)
    for share in CONTAMINATION:
        numbers = _numbers(folder, share)
        if numbers.exists():
            continue

        train = folder / f"train-{share:g}"
        _sky(train, petals.train, seed, share, nuisances)
        bundle, paper = folder / f"model-{share:g}", folder / "paper"
        _fit(train, bundle, config)
        if share == 0:
            _fit(train, paper, "paper")
        evaluate(bundle, test, numbers, train=[train], paper=paper if share == 0 else None)

        shutil.rmtree(train)
        shutil.rmtree(os.environ["OUTCROP_CACHE"], ignore_errors=True)
    shutil.rmtree(test)


def write_tables(folder: Path, seeds: Sequence[int], config: str, petals: SkyPetals) -> str:
    """Write summary.md, summary.json and benchmark.json of what is done; return the first.

    Raises
    ------
    TrainingError
        If nothing is done, or numbers are those of another version.
    """
    results = {
        Setting(strength, share): _results(folder, seeds, strength, share)
        for strength in NUISANCES
        for share in CONTAMINATION
    }
    if not any(results.values()):
        raise TrainingError(
            f"no numbers of seeds {', '.join(map(str, seeds))} in {folder}; leave out --tables, or "
            f"write some to {_numbers(_pair(folder, seeds[0], NUISANCES[0]), CONTAMINATION[0])}"
        )

    text = markdown(results, seeds) + "\n"
    (folder / "summary.md").write_text(text, encoding="utf-8")
    table = json.dumps(rows(results), indent=1, ensure_ascii=False)
    (folder / "summary.json").write_text(table + "\n", encoding="utf-8")

    if clean := results[Setting(NUISANCES[0], 0.0)]:
        content = json.dumps({config: card_entry(clean, config, petals)}, indent=1)
        (folder / BENCHMARK.name).write_text(content + "\n", encoding="utf-8")
    return text


def card_entry(
    results: Sequence[LabelledEvaluation], config: str, petals: SkyPetals
) -> dict[str, Any]:
    """Return the entry of model cards for a recipe: recall on clean samples, mean over the seeds.

    Published by copying the file that `write_tables` writes over `training.model.card.BENCHMARK`.
    """
    scores = [score for score in ON_CARDS if score in results[0].recall_at_1pct]
    return {
        "configuration": load_config(config).model_dump(mode="json"),
        "skies": len(results),
        "train_petals": petals.train,
        "recall_at_1pct": {
            score: {
                kind: round(fmean(values), 3)
                for kind in results[0].recall_at_1pct[score]
                if (values := _known(results, score, kind))
            }
            for score in scores
        },
    }


def _results(
    folder: Path, seeds: Sequence[int], strength: float, share: float
) -> list[LabelledEvaluation]:
    """Return the evaluations of the seeds that are done."""
    paths = [_numbers(_pair(folder, seed, strength), share) for seed in seeds]
    found: list[LabelledEvaluation] = []
    for path in paths:
        if path.exists():
            try:
                found.append(LabelledEvaluation.model_validate_json(path.read_bytes()))
            except ValidationError as error:
                where = ".".join(map(str, error.errors()[0]["loc"]))
                raise TrainingError(
                    f"{path}: {where} is missing or not as expected; it is of another version of "
                    "Outcrop, or of a sky without truth.csv: remove it, and run the benchmark again"
                ) from error
    return found


def _pair(folder: Path, seed: int, strength: float) -> Path:
    return folder / f"seed-{seed}" / f"nuisances-{strength:g}"


def _numbers(folder: Path, share: float) -> Path:
    return folder / f"model-{share:g}.json"


def _sky(folder: Path, petals: int, seed: int, anomalies: float, nuisances: float) -> None:
    # The truth is written last.
    if not (folder / TRUTH).exists():
        simulate(folder, petals, seed, anomalies, nuisances)


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


def _known(results: Sequence[LabelledEvaluation], score: str, kind: str) -> list[float]:
    values = [result.recall_at_1pct.get(score, {}).get(kind) for result in results]
    return [value for value in values if value is not None]


if __name__ == "__main__":
    sys.exit(main())
