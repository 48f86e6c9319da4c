"""Top: the score tables of a whole plan, and the list of its most anomalous spectra.

They are what `outcrop night` writes: a table for each petal, with an explanation of what is
flagged, the summary's files, and in them the list for people to look at.
"""

import logging
from pathlib import Path
from typing import Final

from astropy.io import fits
from tqdm import tqdm

from explanation.explainer import Explainer
from outcrop import InputError, Petal
from outcrop.flagged import explain_flagged
from outcrop.night.selection import Selection
from outcrop.night.summary import Summary
from outcrop.plan import Plan
from outcrop.remote import fetch_petal, is_remote
from outcrop.table import write_scores

from ..model.cuts import read_corrected
from .recipe_scores import RecipeScores

_log = logging.getLogger(__name__)

LISTED: Final = 200
"""Spectra in the list."""


def write_top(plan: Plan, recipe: RecipeScores, output: Path) -> str:
    """Score the petals of a plan into a folder; return the summary's text.

    A petal whose table is there is not scored again. One that cannot be read is named in the
    summary.

    Parameters
    ----------
    plan : Plan
    recipe : RecipeScores
        The model that scores, petals with their noise corrected if those of its sample were.
    output : Path
        Made if missing. Tables are in the same subfolders as the coadds below the plan's root.
    """
    output.mkdir(exist_ok=True)
    explainer = Explainer(recipe.bundle, recipe.scorer)
    root, now = Path(plan.root), 0
    tables: dict[Path, Path | str] = {}

    for planned in tqdm(plan.petals, desc="score", unit="petal"):
        path = Path(planned.coadd)
        name = path.name.removeprefix("coadd").removesuffix(".gz")
        table = output / path.parent / f"outliers{name}"
        tables[root / path] = table
        if _is_of(table, recipe.scorer.model.sha256):
            continue
        try:
            with fetch_petal(plan, planned) as petal:
                _score(petal, table, explainer)
            now += 1
        except InputError as error:
            _log.warning("petal left out: %s", error)
            tables[root / path] = str(error)

    selection = Selection(max_p=1.0, number=LISTED)
    summary = Summary(root, recipe.scorer.model, now, selection)
    if is_remote(plan.root):
        summary.address = plan.root
    for coadd, table in tables.items():
        if isinstance(table, str):
            summary.failed(coadd, table)
        else:
            summary.scored(coadd, table)
    return summary.write(output)


def _score(petal: Petal, table: Path, explainer: Explainer) -> None:
    """Write the score table of a petal, complete or not at all."""
    spectra = read_corrected(petal, explainer.scorer.model.noise_correction)
    scores = explainer.scorer.score(spectra)
    explanations = explain_flagged(explainer.explain, spectra, scores)
    table.parent.mkdir(parents=True, exist_ok=True)
    write_scores(table, spectra, scores, explainer.scorer.model, True, explanations)


def _is_of(table: Path, sha256: str) -> bool:
    """Return whether there is a score table of a model."""
    return table.exists() and fits.getheader(table, "OUTLIERS").get("MODELSHA") == sha256
