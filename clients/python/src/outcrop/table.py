"""The score table: what Outcrop writes beside redrock's, row-matched to it.

One binary table, EXTNAME ``OUTLIERS``, whose header names the model; where scores hold
reconstructions, also the images WAVELENGTH, FLUX, MODEL and IVAR. The file is written completely
or not at all.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ._files import check_output, write_atomically
from .errors import InputError
from .fingerprint import FileFingerprint, header_cards
from .model import Model
from .scores import Scores, Status
from .spectra import Spectra

if TYPE_CHECKING:
    from astropy.io import fits

# Spelt as in DESI's own files.
FLUX_UNIT: Final = "10**-17 erg/(s cm2 Angstrom)"
IVAR_UNIT: Final = "10**+34 (s2 cm4 Angstrom2) / erg2"

_LONGEST_COMMENTED: Final = 30
"""Longer strings get no comment: astropy would truncate it, with a warning."""


def write_scores(
    path: str | os.PathLike[str],
    spectra: Spectra,
    scores: Scores,
    model: Model,
    overwrite: bool = False,
    inputs: Sequence[FileFingerprint] = (),
) -> None:
    """Write the score table.

    The file is written to a temporary name in the same folder and renamed when it is complete;
    on failure nothing is left behind.

    Parameters
    ----------
    path : path
        ``.fits``, or ``.fits.gz`` to have it compressed.
    spectra : Spectra
        The spectra that were scored; Z, ZWARN and SPECTYPE come from them. Without a redrock file
        the last two are 0 and empty.
    scores : Scores
        Of these spectra, row by row. With `reconstruction`, the images are written too.
    model : Model
        The model of these scores; described in the header.
    overwrite : bool
        Replace an existing file.
    inputs : sequence of FileFingerprint
        Those of the files that were read; kept in the header.

    Raises
    ------
    InputError
        Where the scores are not of these spectra, the file exists and may not be overwritten, or
        it cannot be written.
    ModelChanged
        Where the scores are of another model.
    """
    # astropy takes half a second to import, so it is imported only where files are written.
    from astropy.io import fits

    target = Path(path)
    check_output(target, overwrite)
    model.identity.check_same(scores.model)
    if not np.array_equal(spectra.targetid, scores.targetid):
        raise InputError(
            f"scores of {len(scores)} rows do not belong to these {len(spectra)} spectra: "
            "their TARGETIDs differ; score the spectra that are written"
        )

    try:
        hdus = fits.HDUList(
            [
                fits.PrimaryHDU(),
                _outliers(spectra, scores, model, inputs),
                *_images(scores, model),
            ]
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"model {model.name!r} or an input cannot be named in a FITS header: {error}"
        ) from error

    content = io.BytesIO()
    hdus.writeto(content, checksum=True)
    write_atomically(target, content.getbuffer(), overwrite)


def _outliers(
    spectra: Spectra, scores: Scores, model: Model, inputs: Sequence[FileFingerprint]
) -> "fits.BinTableHDU":
    from astropy.io import fits

    columns = _columns(spectra, scores)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(name=name, format=form, array=array, unit=unit)
            for name, form, array, unit, _ in columns
        ],
        name="OUTLIERS",
    )

    header = cast(Any, table.header)
    for number, column in enumerate(columns, start=1):
        header.comments[f"TTYPE{number}"] = column[4]
    for keyword, value, comment in (*_provenance(model), *header_cards(inputs)):
        long = isinstance(value, str) and len(value) > _LONGEST_COMMENTED
        header.append((keyword, value, "" if long else comment), end=True)
    for status in Status:
        header.add_comment(f"STATUS bit {status.value.bit_length() - 1}: {status.name}")
    return table


def _columns(
    spectra: Spectra, scores: Scores
) -> list[tuple[str, str, NDArray[Any], str | None, str]]:
    """Return name, format, values, unit and comment of each column."""
    rows = len(spectra)
    zwarn = np.zeros(rows, np.int64) if spectra.zwarn is None else spectra.zwarn
    spectype = np.zeros(rows, "S6") if spectra.spectype is None else spectra.spectype.astype("S")
    return [
        ("TARGETID", "K", scores.targetid, None, "DESI target"),
        ("Z", "D", spectra.z, None, "redshift as given"),
        ("ZWARN", "K", zwarn, None, "redrock's warning bits"),
        ("SPECTYPE", f"{max(6, spectype.itemsize)}A", spectype, None, "redrock's class"),
        ("STATUS", "J", scores.status, None, "bits, see comments below"),
        ("SNR", "E", scores.snr, None, "median of flux sqrt(ivar), rest-frame bins"),
        ("COVERAGE", "E", scores.coverage, None, "share of good bins"),
        ("NORM", "E", scores.norm, FLUX_UNIT, "norm of the flux before normalisation"),
        ("LATENT", f"{scores.latent.shape[1]}E", scores.latent, None, "posterior mean"),
        ("WMSE", "E", scores.wmse, None, "weighted MSE; larger is more anomalous"),
        ("NOF", "E", scores.nof, None, "outlier factor; smaller is more anomalous"),
        ("WMSE_ANOMALY", "L", scores.wmse_anomaly, None, "WMSE above WMSETHR"),
        ("NOF_ANOMALY", "L", scores.nof_anomaly, None, "NOF below NOFTHR"),
        ("P_VALUE", "D", scores.p_value, None, "smaller is more anomalous; rank by it"),
        ("ANOMALY", "L", scores.anomaly, None, "P_VALUE below PLEVEL"),
    ]


def _provenance(model: Model) -> Iterator[tuple[str, Any, str]]:
    yield "MODEL", model.name, "model of the scores"
    yield "MODELVER", model.version, "its version"
    yield "MODELSHA", model.sha256, "sha256 of its manifest"
    yield "SAMPLE", model.sample, "its training sample"
    yield "WMSETHR", model.thresholds["wmse"], "WMSE_ANOMALY above"
    yield "NOFTHR", model.thresholds["nof"], "NOF_ANOMALY below"
    yield "PLEVEL", model.p_level, "ANOMALY where P_VALUE is below"
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
