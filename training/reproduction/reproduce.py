"""Reproduce: fit the paper's recipe and ours to the paper's selection, and compare.

Whatever exists from an earlier run is used again: bundles, score tables, pictures. A fit that was
stopped goes on from its last epoch.
"""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from model_store.bundle import Bundle
from outcrop.plan import Plan

from .. import TrainingError
from ..model.cache import cache_root
from ..model.config import Config, load_config
from ..model.dataset import RestSample, read_samples
from ..model.pipeline import fingerprint, fit_sample
from .agreement import Agreement, Found
from .pictures import draw
from .published import published
from .recipe_scores import RecipeScores
from .report import write_report
from .top import write_top

_log = logging.getLogger(__name__)

RECIPES = ("paper", "default")
_ALL = 1_000_000_000
TOP, FIGURES = "top", "figures"


def reproduce(plan: Path, output: Path, recipes: Sequence[str] = RECIPES) -> Path:
    """Fit recipes to a plan and compare them with the paper; return reproduction.md.

    Parameters
    ----------
    plan : Path
        Of DESI's Early Data Release, or whatever is to be compared with it.
    output : Path
        Folder of the results; made if missing.
    recipes : sequence of str
        The paper's recipe, whose numbers are compared, and the one that makes the list of the most
        anomalous spectra: names or paths, as of `load_config`.

    Raises
    ------
    TrainingError, BundleError, outcrop.errors.OutcropError
        For errors that the user can correct.
    """
    configs = _configs(recipes)
    planned = Plan.read(plan)
    samples = read_samples([plan], list(configs.values()), cache_root())

    output.mkdir(parents=True, exist_ok=True)
    fitted: dict[str, RecipeScores] = {}
    for (name, config), sample in zip(configs.items(), samples, strict=True):
        bundle = _fitted(output / name, sample, config)
        _log.info("%s: score the %d spectra of its sample", name, len(sample.index))
        fitted[name] = RecipeScores.of(bundle, sample, config)

    (paper, *_), last = fitted, list(fitted)[-1]
    draw(fitted[paper], output / FIGURES)
    summary = write_top(planned, fitted[last], output / TOP)

    agreement = Agreement.of(published(), list(fitted.values()))
    numbers = json.dumps(_json(agreement, list(fitted)), indent=1, allow_nan=False)
    (output / "reproduction.json").write_text(numbers + "\n", encoding="utf-8")
    return write_report(output, fitted, agreement, summary, planned.root)


def _configs(recipes: Sequence[str]) -> dict[str, Config]:
    """Return the recipes by name, with all spectra, and the noise as the paper has it."""
    configs: dict[str, Config] = {}
    for number, recipe in enumerate(recipes):
        name = Path(recipe).stem
        if name in configs or name in (TOP, FIGURES):
            raise TrainingError(f"recipe {recipe!r}: the name {name} is taken; rename the file")
        config = load_config(recipe)
        # The number of spectra is a result of the paper's, and the whole plan is scored anyway.
        changes: dict[str, object] = {"spectra": _ALL}
        if number == 0:
            changes["noise_correction"] = False
        limits = config.sample.model_copy(update=changes)
        configs[name] = config.model_copy(update={"sample": limits})
    return configs


def _fitted(path: Path, sample: RestSample, config: Config) -> Bundle:
    """Return the bundle of a fit, which is made unless it exists.

    Raises
    ------
    TrainingError
        If it exists, and is of another sample or recipe.
    """
    if path.exists():
        bundle = Bundle.open(path)
        if not bundle.manifest.version.endswith(f"-{fingerprint(config, sample)[:8]}"):
            raise TrainingError(
                f"{path} is of another plan or recipe, or of other code; choose another --output, "
                "or remove it"
            )
        _log.info("%s is there already", path)
        return bundle
    return Bundle.open(fit_sample(sample, path, config))


def _json(agreement: Agreement, recipes: Sequence[str]) -> dict[str, object]:
    """Return the comparison for programs; unknown numbers are null."""
    return {
        "recipes": list(recipes),
        "numbers": [
            {
                "name": one.paper.name,
                "paper": one.paper.value,
                "tolerance": one.paper.tolerance,
                "found": [_known(value) for value in one.found],
                "agrees": one.agrees,
            }
            for one in agreement.numbers
        ],
        "spectra": [
            {
                "targetid": str(one.paper.targetid),
                "paper_rank": one.paper.rank,
                "found": [None if found is None else _fields(found) for found in one.found],
                "agrees": one.agrees,
            }
            for one in (*agreement.outliers, *agreement.inliers)
        ],
    }


def _fields(found: Found) -> dict[str, object]:
    return {name: _known(value) for name, value in asdict(found).items()}


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
