"""Petal table: the score table of one petal of a night, and whether it is current.

A table is current if its header names the present files and the served model, its noise was
corrected and its flagged spectra explained as it is to be now, and it is not older than the files.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._fits import FitsFile
from ..desi import read_spectra
from ..errors import InputError
from ..explanations import Explanations
from ..fingerprint import FileFingerprint, has_fingerprints
from ..flagged import explain_flagged
from ..inputs import NoiseCards
from ..model import Model
from ..noise import correct_noise
from ..petals import Petal
from ..repeats import with_repeats
from ..scores import Scores
from ..spectra import Spectra
from ..table import EXPLAINED, NOISE, write_scores

logger = logging.getLogger(__name__)


class PetalScorer(Protocol):
    """What scores and explains the spectra of a petal: a client, or a model in this process."""

    def score(self, spectra: Spectra, /) -> Scores:
        """Score spectra; one row for each, in order."""
        ...

    def explain(self, spectra: Spectra, /) -> Explanations:
        """Explain spectra; one explanation for each, in order."""
        ...


def is_current(
    table: Path, petal: Petal, model: Model, noise_correction: bool = True, explained: bool = True
) -> bool:
    """Return whether a table is complete, of these files and this model, and made as asked."""
    try:
        return is_table_of(table, petal.fingerprints(), model, noise_correction, explained)
    except InputError:
        return False


def is_table_of(
    table: Path,
    fingerprints: Sequence[FileFingerprint],
    model: Model,
    noise_correction: bool = True,
    explained: bool = True,
) -> bool:
    """Return the same of files that need not be here."""
    try:
        with FitsFile(table) as file:
            sha256 = file.header("OUTLIERS").get("MODELSHA")
            primary = file.header("PRIMARY")
        return (
            sha256 == model.sha256
            # Also there where the correction found nothing to do.
            and ("SKYCORR" in primary) == noise_correction
            and (EXPLAINED in primary) == explained
            and has_fingerprints(primary, fingerprints)
            and table.stat().st_mtime_ns >= max(each.mtime for each in fingerprints)
        )
    except (OSError, InputError):
        return False


def make_table(
    table: Path,
    petal: Petal,
    model: Model,
    scorer: PetalScorer,
    allow_mismatch: bool = False,
    noise_correction: bool = True,
    explained: bool = True,
) -> Scores:
    """Score a petal, explain what is flagged, and write its table, in place of an older one.

    Parameters
    ----------
    table : Path
        Its folder is made if missing.
    petal : Petal
    model : Model
        Expected to score, and described in the table.
    scorer : PetalScorer
    allow_mismatch : bool
        As in `read_spectra`.
    noise_correction : bool
        Whether to apply `correct_noise`.
    explained : bool
        Whether to apply `explain_flagged`, and `with_repeats` where there are exposures.

    Raises
    ------
    InputError
        Where a file cannot be read, changes meanwhile, or the table cannot be written.
    ModelChanged
        Where another model scored or explained.
    OutcropError
        Where the scorer does not score or explain.
    """
    spectra = read_spectra(petal.coadd, petal.redrock, allow_mismatch=allow_mismatch)
    fingerprints = spectra.inputs.files
    if petal.fingerprints() != fingerprints:
        raise InputError(f"{petal.coadd} or {petal.redrock} changed while it was read; run again")

    if noise_correction:
        spectra = correct_noise(spectra, copy=False)
    scores = scorer.score(spectra)
    explanations = None
    if explained:
        found = explain_flagged(scorer.explain, spectra, scores)
        explanations = _with_repeats(found, spectra, petal.coadd)

    table.parent.mkdir(parents=True, exist_ok=True)
    write_scores(table, spectra, scores, model, True, explanations)
    # The clock of the input files may be ahead of that of the table.
    newest = max(table.stat().st_mtime_ns, *(each.mtime for each in fingerprints))
    os.utime(table, ns=(newest, newest))
    return scores


def _with_repeats(explanations: Explanations, spectra: Spectra, coadd: Path) -> Explanations:
    """Return the explanations with repeats; without, and a warning, where exposures are damaged."""
    try:
        return with_repeats(explanations, spectra, coadd)
    except InputError as error:
        logger.warning("%s; its segments are not looked for in single exposures", error)
        return explanations


def read_table(table: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of a score table that a summary uses, by name.

    Where spectra were not explained, those of explanations are empty or NaN.

    Raises
    ------
    InputError
        Where the file cannot be read or lacks a column.
    """
    with FitsFile(table) as file:
        rows = file.table("OUTLIERS")
        empty, unknown = np.full(len(rows), ""), np.full(len(rows), np.nan)

        return {
            "TARGETID": rows.integers("TARGETID"),
            "Z": rows.floats("Z"),
            "ZWARN": rows.integers("ZWARN"),
            "SPECTYPE": rows.strings("SPECTYPE"),
            "STATUS": rows.integers("STATUS").astype(np.int32),
            "SNR": rows.floats("SNR"),
            "WMSE": rows.floats("WMSE"),
            "NOF": rows.floats("NOF"),
            "P_VALUE": rows.floats("P_VALUE"),
            "ANOMALY": rows.booleans("ANOMALY"),
            "FIBER": rows.integers("FIBER"),
            "DESI_TARGET": rows.integers("DESI_TARGET"),
            **{
                name: rows.strings(name) if name in rows else empty
                for name in ("CAUSE", "SENTENCE")
            },
            **{
                name: rows.floats(name) if name in rows else unknown
                for name in ("CAUSE_PROB", "P_EXPLAINED", "Z_BEST")
            },
        }


def read_noise(table: Path) -> NoiseCards:
    """Return what a score table says of the petal's noise; empty where it was not measured.

    Raises
    ------
    InputError
        Where the file cannot be read.
    """
    with FitsFile(table) as file:
        header = file.header("PRIMARY")
    found = {name: header[name] for name in NOISE if name in header}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}
