"""Flagged: the spectra of a petal that are explained, those with the flag ANOMALY."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._constants import EXPLAINED
from .explanations import Explanation, Explanations
from .scores import Scores
from .spectra import Spectra

logger = logging.getLogger(__name__)


def rows_to_explain(scores: Scores) -> NDArray[np.intp]:
    """Return the flagged rows, in order; of more than `EXPLAINED` those with the smallest p_value.

    Returns
    -------
    (n,) int
    """
    rows = np.flatnonzero(scores.anomaly)
    smallest = np.argsort(scores.p_value[rows], kind="stable")[:EXPLAINED]
    return np.sort(rows[smallest])


def explain_flagged(
    explain: Callable[[Spectra], Explanations], spectra: Spectra, scores: Scores
) -> Explanations:
    """Explain the flagged spectra of a petal.

    Parameters
    ----------
    explain : callable
        `Client.explain`, or another function of spectra.
    spectra : Spectra
    scores : Scores
        Of these spectra, row by row.

    Returns
    -------
    Explanations
        One for each spectrum. One that is not explained has its targetid, status and p_value only.
        Of more than `EXPLAINED` flagged spectra those with the smallest p_value are explained,
        with a warning in the log.

    Raises
    ------
    ModelChanged
        Where the explanations are of another model than the scores.
    """
    rows = rows_to_explain(scores)
    flagged = np.count_nonzero(scores.anomaly)
    if len(rows) < flagged:
        files = spectra.inputs.files
        logger.warning(
            "%s: %d spectra are flagged; the %d with the smallest p_value are explained",
            files[0].name if files else "a petal",
            flagged,
            len(rows),
        )

    given = zip(scores.targetid, scores.status, scores.p_value, strict=True)
    every = [Explanation(int(one), int(bits), float(p)) for one, bits, p in given]
    if len(rows):
        found = explain(spectra[rows])
        scores.model.check_same(found.model)
        for row, explanation in zip(rows.tolist(), found, strict=True):
            every[row] = explanation
    return Explanations(scores.model, tuple(every))
