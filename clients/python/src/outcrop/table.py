"""The score table: what Outcrop writes beside redrock's, row-matched to it.

One binary table, EXTNAME ``OUTLIERS``, whose header names the model; where scores hold
reconstructions, also the images WAVELENGTH, FLUX, MODEL and IVAR. The primary header says what was
observed, names the input files and the version of Outcrop. The file is written completely or not
at all.

Where spectra are explained, OUTLIERS has the columns of the explanation too, and two more tables
follow: EXPLANATIONS, a row for each cause that competes for a spectrum, and SEGMENTS.

The headers of the tables are the same for all petals scored by one model, so that astropy's
``vstack`` joins them without a conflict. For that reason they have no CHECKSUM; the other HDUs have
one. Strings are ASCII, as FITS requires: Hα is Halpha.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import functools
import io
import math
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ._files import check_output, write_atomically
from ._fits_columns import read_columns, row_type
from ._fits_layout import BLOCK, read_cards
from ._version import __version__
from .columns import (
    COLUMNS,
    EVIDENCE_COLUMNS,
    EXPLANATION_COLUMNS,
    FLUX_UNIT,
    IVAR_UNIT,
    SEGMENT_COLUMNS,
    Column,
)
from .errors import InputError
from .explanations import Explanations
from .fingerprint import header_cards
from .inputs import Inputs
from .model import Model
from .noise import warn_of_other_noise
from .scores import Scores, Status
from .spectra import Spectra

if TYPE_CHECKING:
    pass

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
EXPLAINED: Final = "EXPLAIND"
"""Card of the primary header, present where spectra were explained: the rows with a CAUSE."""
_SPELT: Final = {
    **{"Å": "Angstrom", "λ": "lambda", "−": "-", "–": "-", "—": "-", "×": "x", "√": "sqrt"},
    **{"≤": "<=", "≥": ">=", "±": "+-", "→": "->"},
}
_Card: TypeAlias = tuple[str, Any, str]
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
    explanations: Explanations | None = None,
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
    explanations : Explanations, optional
        Of these spectra, row by row; those that were not explained have none but their TARGETID,
        as `explain_flagged` returns them.

    Raises
    ------
    InputError
        Where the scores or the explanations are not of these spectra, the name is not that of a
        FITS file, the file exists and may not be overwritten, or it cannot be written.
    ModelChanged
        Where the scores or the explanations are of another model.
    """
    target = Path(path)
    check_score_table(target, overwrite)
    model.identity.check_same(scores.model)
    if not np.array_equal(spectra.targetid, scores.targetid):
        raise InputError(
            f"scores of {len(scores)} rows do not belong to these {len(spectra)} spectra: "
            "their TARGETIDs differ; score the spectra that are written"
        )
    if explanations is not None:
        model.identity.check_same(explanations.model)
        if spectra.targetid.tolist() != [one.targetid for one in explanations]:
            raise InputError(
                f"explanations of {len(explanations)} rows do not belong to these {len(spectra)} "
                "spectra: their TARGETIDs differ; explain the spectra that are written"
            )

    warn_of_other_noise(model.identity, model.noise_correction, bool(spectra.inputs.noise))
    try:
        parts = [_primary(spectra.inputs, explanations)]
        parts.append(_outliers(spectra, scores, model, explanations))
        if explanations is not None:
            parts += [
                _table_of_rows("EXPLANATIONS", EVIDENCE_COLUMNS, _evidence(explanations)),
                _table_of_rows("SEGMENTS", SEGMENT_COLUMNS, _segments(explanations)),
            ]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"model {model.name!r} or an input cannot be named in a FITS header: {error}"
        ) from error

    parts.append(_images(scores, model))
    write_atomically(target, b"".join(parts), overwrite)


def _primary(inputs: Inputs, explanations: Explanations | None) -> bytes:
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    explained: list[_Card] = []
    if explanations is not None:
        number = sum(bool(one.cause) for one in explanations)
        explained = [(EXPLAINED, number, "rows with a CAUSE")]

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    _add_cards(
        primary,
        ("DATE", now, "UTC when it was written"),
        *((keyword, value, "of the coadd") for keyword, value in inputs.cards.items()),
        *((keyword, value, NOISE[keyword]) for keyword, value in inputs.noise.items()),
        *explained,
        *header_cards(inputs.files),
        ("DEPNAM00", "outcrop", ""),
        ("DEPVER00", __version__, ""),
    )
    primary.add_checksum()
    return cast(Any, primary.header).tostring().encode("ascii")


def _written(hdus: list[Any]) -> bytes:
    """Return HDUs, of which the first is primary, as they are in a file, with their checksums."""
    from astropy.io import fits

    for hdu in hdus:
        hdu.add_checksum()
    content = io.BytesIO()
    fits.HDUList(hdus).writeto(content)
    return content.getvalue()


def _outliers(
    spectra: Spectra, scores: Scores, model: Model, explanations: Explanations | None
) -> bytes:
    columns, values = COLUMNS, [_values(column, spectra, scores) for column in COLUMNS]
    if explanations is not None:
        columns += EXPLANATION_COLUMNS
        values += [
            np.array([getattr(one, column.field) for one in explanations])
            for column in EXPLANATION_COLUMNS
        ]
    bits = (f"STATUS bit {status.value.bit_length() - 1}: {status.name}" for status in Status)
    comments = (("COMMENT", bit, "") for bit in bits)
    return _table("OUTLIERS", columns, values, (*_provenance(model), *comments))


def _evidence(explanations: Explanations) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of EXPLANATIONS."""
    for row, explanation in enumerate(explanations):
        for one in explanation.evidence:
            ends = [end for span in one.wavelengths for end in span] or [math.nan]
            yield (
                *(explanation.targetid, row, one.cause, one.delta_chi2, one.parameters),
                *(one.probability, one.p_value, one.z, min(ends), max(ends), one.sentence),
            )


def _segments(explanations: Explanations) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of SEGMENTS."""
    for row, explanation in enumerate(explanations):
        for one in explanation.segments:
            # The tag that says most comes first.
            tags = sorted(one.tags, key=lambda tag: tag.chance)
            named = "; ".join(f"{tag.name} ({tag.chance:.2g})" for tag in tags)
            yield (
                *(explanation.targetid, row, *one.rest, *one.observed, one.significance),
                *(one.sign, one.continuum_share, named, tags[0].chance if tags else math.nan),
                *((one.repeats.verdict, one.repeats.expid) if one.repeats else ("", -1)),
            )


def _table(
    name: str,
    columns: Sequence[Column],
    values: Sequence[NDArray[Any]],
    cards: tuple[_Card, ...] = (),
) -> bytes:
    """Return a binary table as it is in a file."""
    made = [_stored(*each) for each in zip(columns, values, strict=True)]
    header = _header(name, tuple(columns), tuple(form for form, _ in made), cards)
    stored = read_columns(read_cards(header))
    rows = np.empty(len(values[0]), row_type(stored))
    for column, (_, each) in zip(stored, made, strict=True):
        rows[column.name] = np.where(each, b"T", b"F") if column.logical else each

    content = header.replace(_rows_card(0), _rows_card(len(rows)), 1) + rows.tobytes()
    return content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")


@functools.lru_cache(maxsize=64)
def _header(
    name: str, columns: tuple[Column, ...], forms: tuple[str, ...], cards: tuple[_Card, ...]
) -> bytes:
    """Return the header of a table without rows.

    astropy takes longer to make it than a petal's rows are written, and those of a model's tables
    are the same.
    """
    # It takes half a second to import, so it is imported only where files are written.
    from astropy.io import fits

    made = [
        fits.Column(name=column.name, format=form, unit=column.unit)
        for column, form in zip(columns, forms, strict=True)
    ]
    table = fits.BinTableHDU.from_columns(made, nrows=0, name=name)
    for number, column in enumerate(columns, start=1):
        cast(Any, table.header).comments[f"TTYPE{number}"] = column.description
    _add_cards(table, *cards)
    return cast(Any, table.header).tostring().encode("ascii")


def _rows_card(rows: int) -> bytes:
    return f"NAXIS2  = {rows:>20}".encode()


def _table_of_rows(name: str, columns: Sequence[Column], rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Return a table of rows that have the values of the columns in their order."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return _table(name, columns, [np.array(each) for each in values])


def _add_cards(hdu: Any, *cards: _Card) -> None:
    """Append cards of keyword, value and comment to the header of an HDU."""
    for keyword, value, comment in cards:
        long = isinstance(value, str) and len(value) > _LONGEST_COMMENTED
        hdu.header.append((keyword, value, "" if long else comment), end=True)


def _values(column: Column, spectra: Spectra, scores: Scores) -> NDArray[Any]:
    """Return a column of COLUMNS."""
    if column.unknown is None:
        return getattr(scores, column.field)
    known = getattr(spectra, column.field)
    return np.full(len(spectra), column.unknown) if known is None else known


def _stored(column: Column, values: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return the FITS format of a column, and its values, of which strings are in ASCII."""
    form = column.format
    if form.endswith("A"):
        values = np.array([_spelt(text) for text in values.tolist()], "S")
        form = f"{max(int(form[:-1]), values.itemsize)}A"
    elif values.ndim == 2:
        form = f"{values.shape[1]}{form}"
    return form, values


def _spelt(text: str) -> str:
    """Return a text in ASCII: Greek letters by their names, what has no equal as ``?``."""
    if text.isascii():
        return text
    return "".join(map(_spelt_letter, unicodedata.normalize("NFC", text)))


def _spelt_letter(letter: str) -> str:
    if letter.isascii() or letter in _SPELT:
        return _SPELT.get(letter, letter)
    words = unicodedata.name(letter, "?").lower().split()
    if words[0] == "greek":
        return words[-1].capitalize() if letter.isupper() else words[-1]
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _provenance(model: Model) -> Iterator[_Card]:
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


def _images(scores: Scores, model: Model) -> bytes:
    """Return the image HDUs as they are in a file; nothing where there are none."""
    from astropy.io import fits

    if scores.reconstruction is None or scores.rest_flux is None or scores.rest_ivar is None:
        return b""
    if scores.reconstruction.shape[1] != len(model.wave):
        raise InputError(
            f"reconstructions have {scores.reconstruction.shape[1]} bins, model {model.name} "
            f"{model.version} has {len(model.wave)}; give the model of these scores"
        )
    images: list[Any] = []
    for name, data, unit in (
        ("WAVELENGTH", model.wave, "Angstrom"),
        ("FLUX", scores.rest_flux, FLUX_UNIT),
        ("MODEL", scores.reconstruction, FLUX_UNIT),
        ("IVAR", scores.rest_ivar, IVAR_UNIT),
    ):
        image: Any = fits.ImageHDU(data, name=name)
        image.header["BUNIT"] = unit
        images.append(image)

    # astropy writes images behind a primary HDU only.
    primary = fits.PrimaryHDU()
    return _written([primary, *images])[len(_written([primary])) :]
