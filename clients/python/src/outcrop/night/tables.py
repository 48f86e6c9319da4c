"""Petal table: the score table of one petal of a night, and whether it is current.

It is current if it says that it was made from the files that are there now, by the model that is
served now, and is not older than the files.
"""

import os
from pathlib import Path

from .._fits import FitsFile
from .._http.inference import chunks
from ..desi import read_spectra
from ..errors import InputError, OutcropError
from ..fingerprint import stamped
from ..model import Model
from ..petals import Petal
from ..scores import Scores
from ..table import write_scores
from .retries import Patient


class ModelChanged(OutcropError):  # noqa: N818 (named for what happened)
    """The service serves another model than when the night began."""


def is_current(table: Path, petal: Petal, model: Model) -> bool:
    """Return whether a table is whole, and of these files and this model."""
    try:
        stamps = petal.stamps()
        with FitsFile(table) as file:
            header = file.header("OUTLIERS")
        return (
            header.get("MODELSHA") == model.sha256
            and stamped(header, stamps)
            and table.stat().st_mtime_ns >= max(stamp.mtime for stamp in stamps)
        )
    except (OSError, InputError):
        return False


def make_table(table: Path, petal: Petal, model: Model, service: Patient) -> Scores:
    """Score a petal and write its table, in place of an older one.

    Parameters
    ----------
    table : Path
        Its folder is made if missing.
    petal : Petal
    model : Model
        What the service is taken to serve, and the table says.
    service : Patient

    Raises
    ------
    InputError
        Where a file cannot be read, changes meanwhile, or the table cannot be written.
    ModelChanged
        Where the service does not serve that model any more.
    OutcropError
        Where the service does not score.
    """
    stamps = petal.stamps()
    spectra = read_spectra(petal.coadd, petal.redrock)
    if petal.stamps() != stamps:
        raise InputError(f"{petal.coadd} or {petal.redrock} changed while it was read; run again")
    portions = list(chunks(spectra)) or [spectra]
    scores = Scores.concatenate([service.score(portion) for portion in portions])
    now = service.model()
    if now.sha256 != model.sha256:
        raise ModelChanged(
            f"the service changed its model from {model.name} {model.version} to {now.name} "
            f"{now.version} during the night; run again to have all scored by the one"
        )
    table.parent.mkdir(parents=True, exist_ok=True)
    write_scores(table, spectra, scores, model, overwrite=True, inputs=stamps)
    # The clock that stamped the inputs may be ahead of the one that stamps the table.
    newest = max(table.stat().st_mtime_ns, *(stamp.mtime for stamp in stamps))
    os.utime(table, ns=(newest, newest))
    return scores
