"""The score table: what Outcrop writes beside redrock's, row-matched to it.

One binary table, EXTNAME ``OUTLIERS``, whose header names the model; where scores hold
reconstructions, also the images WAVELENGTH, FLUX, MODEL and IVAR. The primary header says what was
observed, names the input files and the version of Outcrop. The file is written completely or not
at all.

The header of OUTLIERS is the same for all petals scored by one model, so that astropy's ``vstack``
joins their tables without a conflict. For that reason it has no CHECKSUM; the other HDUs have one.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ._files import check_output, write_atomically
from ._version import __version__
from .columns import COLUMNS, FLUX_UNIT, IVAR_UNIT, Column
from .errors import InputError
from .fingerprint import header_cards
from .inputs import Inputs
from .model import Model
from .scores import Scores, Status
from .spectra import Spectra

if TYPE_CHECKING:
    from astropy.io import fits

NOISE: Final = {
    "NOISE_B": "variance of sky fibers / reported, camera b",
    "NOISE_R": "variance of sky fibers / reported, camera r",
    "NOISE_Z": "variance of sky fibers / reported, camera z",
    "OFFSET_B": "relative offset of the flux in b from r",
    "OFFSET_Z": "relative offset of the flux in z from r",
    "NSKY": "sky fibers with data",
    "SKYCORR": "whether flux and ivar were corrected by them",
}
"""Cards of the petal's noise in the primary header, with their comments."""
_ENDINGS: Final = (".fits", ".fits.gz")
_LONGEST_COMMENTED: Final = 30
"""Longer strings get no comment: astropy would truncate it, with a warning."""


def check_score_table(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Check that a score table can be written there, before any work is done for it.

    Raises
    ------
    InputError
        Where the name does not end in ``.fits`` or ``.fits.gz``, the file exists and may not be
        overwritten, or its folder does not exist.
    """
    if not str(path).lower().endswith(_ENDINGS):
        raise InputError(
            f"{path} does not end in .fits or .fits.gz; a score table is a FITS file, which "
            "astropy.table.Table.read converts"
        )
    check_output(path, overwrite)


def write_scores(
    path: str | os.PathLike[str],
    spectra: Spectra,
    scores: Scores,
    model: Model,
    overwrite: bool = False,
) -> None:
    """Write the score table.

    The file is written to a temporary name in the same folder and renamed when it is complete;
    on failure nothing is left behind.

    Parameters
    ----------
    path : path
        ``.fits``, or ``.fits.gz`` to have it compressed.
    spectra : Spectra
        The spectra that were scored; redshifts, positions, fibers and the header's description of
        the input come from them. What they do not have is NaN, −1, 0 in ZWARN, or an empty string.
    scores : Scores
        Of these spectra, row by row. With `reconstruction`, the images are written too.
    model : Model
        The model of these scores; described in the header.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        Where the scores are not of these spectra, the name is not that of a FITS file, the file
        exists and may not be overwritten, or it cannot be written.
    ModelChanged
        Where the scores are of another model.
    """
    # astropy takes half a second to import, so it is imported only where files are written.
    from astropy.io import fits

    target = Path(path)
    check_score_table(target, overwrite)
    model.identity.check_same(scores.model)
    if not np.array_equal(spectra.targetid, scores.targetid):
        raise InputError(
            f"scores of {len(scores)} rows do not belong to these {len(spectra)} spectra: "
            "their TARGETIDs differ; score the spectra that are written"
        )

    try:
        primary, images = _primary(spectra.inputs), list(_images(scores, model))
        table = _outliers(spectra, scores, model)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"model {model.name!r} or an input cannot be named in a FITS header: {error}"
        ) from error

    for hdu in (primary, *images):
        hdu.add_checksum()
    content = io.BytesIO()
    fits.HDUList([primary, table, *images]).writeto(content)
    write_atomically(target, content.getbuffer(), overwrite)


def _primary(inputs: Inputs) -> "fits.PrimaryHDU":
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    _add_cards(
        primary,
        ("DATE", now, "UTC when it was written"),
        *((keyword, value, "of the coadd") for keyword, value in inputs.cards.items()),
        *((keyword, value, NOISE[keyword]) for keyword, value in inputs.noise.items()),
        *header_cards(inputs.files),
        ("DEPNAM00", "outcrop", ""),
        ("DEPVER00", __version__, ""),
    )
    return primary


def _outliers(spectra: Spectra, scores: Scores, model: Model) -> "fits.BinTableHDU":
    from astropy.io import fits

    columns = [_fits_column(column, spectra, scores) for column in COLUMNS]
    table = fits.BinTableHDU.from_columns(columns, name="OUTLIERS")

    header = cast(Any, table.header)
    for number, column in enumerate(COLUMNS, start=1):
        header.comments[f"TTYPE{number}"] = column.description
    _add_cards(table, *_provenance(model))
    for status in Status:
        header.add_comment(f"STATUS bit {status.value.bit_length() - 1}: {status.name}")
    return table


def _add_cards(hdu: Any, *cards: tuple[str, Any, str]) -> None:
    """Append cards of keyword, value and comment to the header of an HDU."""
    for keyword, value, comment in cards:
        long = isinstance(value, str) and len(value) > _LONGEST_COMMENTED
        hdu.header.append((keyword, value, "" if long else comment), end=True)


def _fits_column(column: Column, spectra: Spectra, scores: Scores) -> "fits.Column":
    from astropy.io import fits

    if column.unknown is None:
        values: NDArray[Any] = getattr(scores, column.field)
    else:
        known = getattr(spectra, column.field)
        values = np.full(len(spectra), column.unknown) if known is None else known

    form = column.format
    if form.endswith("A"):
        values = values.astype("S")
        form = f"{max(int(form[:-1]), values.itemsize)}A"
    elif values.ndim == 2:
        form = f"{values.shape[1]}{form}"
    return fits.Column(name=column.name, format=form, array=values, unit=column.unit)


def _provenance(model: Model) -> Iterator[tuple[str, Any, str]]:
    yield "MODEL", model.name, "model of the scores"
    yield "MODELVER", model.version, "its version"
    yield "MODELSHA", model.sha256, "sha256 of its manifest"
    yield "SAMPLE", model.sample, "its training sample"
    yield "POPULATN", model.population, "targets it is fitted on"
    yield "WMSETHR", model.thresholds["wmse"], "WMSE_ANOMALY above"
    yield "NOFTHR", model.thresholds["nof"], "NOF_ANOMALY below"
    yield "PLEVEL", model.p_level, "ANOMALY where P_VALUE is below"
    if model.finest_p is not None:
        yield "PFINEST", model.finest_p, "P_VALUE is extrapolated below"
    yield "ZMIN", model.redshift_range[0], "redshift range of the model"
    yield "ZMAX", model.redshift_range[1], "redshift range of the model"
    # desiutil.depend's convention.
    for number, (package, version) in enumerate(sorted(model.packages.items())):
        yield f"DEPNAM{number:02d}", package, ""
        yield f"DEPVER{number:02d}", version, ""


def _images(scores: Scores, model: Model) -> Iterator["fits.ImageHDU"]:
    from astropy.io import fits

    if scores.reconstruction is None or scores.rest_flux is None or scores.rest_ivar is None:
        return
    if scores.reconstruction.shape[1] != len(model.wave):
        raise InputError(
            f"reconstructions have {scores.reconstruction.shape[1]} bins, model {model.name} "
            f"{model.version} has {len(model.wave)}; give the model of these scores"
        )
    for name, data, unit in (
        ("WAVELENGTH", model.wave, "Angstrom"),
        ("FLUX", scores.rest_flux, FLUX_UNIT),
        ("MODEL", scores.reconstruction, FLUX_UNIT),
        ("IVAR", scores.rest_ivar, IVAR_UNIT),
    ):
        image = fits.ImageHDU(data, name=name)
        cast(Any, image.header)["BUNIT"] = unit
        yield image
