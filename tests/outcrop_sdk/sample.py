"""Small DESI files, spectra, scores and a model, all recognisable by their values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike

from outcrop import (
    WAVE,
    Band,
    Evidence,
    Explanation,
    Explanations,
    Model,
    ModelIdentity,
    Neighbour,
    Petal,
    Scores,
    Segment,
    Spectra,
    Tag,
)

LATENTS = 3
BINS = 7


def pixels(band: str, targetid: ArrayLike) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Flux whose values identify the target and the band."""
    row = np.array(targetid, np.float64)[:, None] % 1000
    return (row + np.linspace(0, 0.5, len(WAVE[band]))).astype(np.float32)


def image(data: ArrayLike, name: str) -> fits.ImageHDU:
    return fits.ImageHDU(np.asarray(data), name=name)


def table(name: str, **columns: tuple[str, ArrayLike]) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(
        [
            fits.Column(name=column, format=form, array=np.asarray(values))
            for column, (form, values) in columns.items()
        ],
        name=name,
    )


def band_hdus(
    band: str, targetid: Sequence[int], mask: type[np.integer[Any]] | None = np.int32
) -> list[fits.ImageHDU]:
    flux = pixels(band, targetid)
    hdus = [
        image(WAVE[band] + 5e-10, f"{band}_WAVELENGTH"),
        image(flux, f"{band}_FLUX"),
        image(np.full_like(flux, 4.0), f"{band}_IVAR"),
    ]
    if mask is not None:
        values = np.zeros(flux.shape, mask)
        values[:, 5] = 4
        hdus.append(image(values, f"{band}_MASK"))
    hdus.append(image(np.zeros((len(targetid), 2, 3), np.float32), f"{band}_RESOLUTION"))
    return hdus


def fibermap(
    targetid: Sequence[int], without: Sequence[str] = (), **changed: tuple[str, ArrayLike]
) -> fits.BinTableHDU:
    n = len(targetid)
    columns: dict[str, tuple[str, ArrayLike]] = {
        "TARGETID": ("K", np.array(targetid, np.int64)),
        "OBJTYPE": ("3A", np.full(n, "TGT", "S3")),
        "COADD_FIBERSTATUS": ("J", np.zeros(n, np.int32)),
        "TARGET_RA": ("D", np.arange(n) + 150.0),
        "TARGET_DEC": ("D", np.arange(n) + 2.0),
        "FIBER": ("J", np.arange(n) + 1000),
        "PETAL_LOC": ("I", np.full(n, 2)),
        "TILEID": ("J", np.full(n, 80613)),
    }
    columns |= changed
    return table("FIBERMAP", **{name: columns[name] for name in columns if name not in without})


def write(path: Path, hdus: Sequence[Any], **header: Any) -> Path:
    primary = fits.PrimaryHDU()
    primary.header.update(header)
    fits.HDUList([primary, *hdus]).writeto(path)
    return path


def write_coadd(
    path: Path, targetid: Sequence[int], bands: Sequence[str] = ("b", "r", "z"), **header: Any
) -> Path:
    hdus = [hdu for band in bands for hdu in band_hdus(band, targetid)]
    return write(path, [fibermap(targetid), *hdus], **header)


def write_petal(folder: Path, sky: int = 12, targets: int = 3) -> Petal:
    """A petal with sky fibers, whose noise has 1.44 times the reported variance, and targets."""
    ids = list(range(1, sky + targets + 1))
    hdus: list[Any] = []
    rng = np.random.default_rng(3)
    for band in ("b", "r", "z"):
        own: list[Any] = band_hdus(band, ids)
        flux = own[1].data
        flux[:sky] = 0.6 * rng.standard_normal(flux[:sky].shape)  # ivar is 4
        hdus += own

    objtype = ("3A", np.array(["SKY"] * sky + ["TGT"] * targets, "S3"))
    return Petal(
        write(folder / "coadd-1.fits", [fibermap(ids, OBJTYPE=objtype), *hdus]),
        write_redrock(folder / "redrock-1.fits", ids[::-1]),
    )


def write_redrock(
    path: Path,
    targetid: Sequence[int],
    z: Sequence[float] | None = None,
    zwarn: Sequence[int] | None = None,
    name: str = "REDSHIFTS",
    without: str = "",
) -> Path:
    n = len(targetid)
    columns: dict[str, tuple[str, ArrayLike]] = {
        "TARGETID": ("K", np.array(targetid, np.int64)),
        "Z": ("D", np.arange(n) * 0.01 + 0.1 if z is None else np.array(z)),
        "ZWARN": ("K", np.zeros(n, np.int64) if zwarn is None else np.array(zwarn)),
        "SPECTYPE": ("6A", np.full(n, "GALAXY", "S6")),
        "ZERR": ("D", (np.arange(n) + 1) * 1e-5),
        "DELTACHI2": ("D", np.arange(n) + 10.0),
        "SUBTYPE": ("20A", np.full(n, "LOZ", "S20")),
    }
    return write(path, [table(name, **{c: columns[c] for c in columns if c != without})])


def read_table(path: Path, name: str = "OUTLIERS") -> Any:
    """The rows of a binary table."""
    return fits.getdata(path, name)


def read_header(path: Path, name: str = "OUTLIERS") -> Any:
    """The header of an HDU."""
    return fits.getheader(path, name)


def open_fits(path: Path, **options: Any) -> Any:
    """The HDUs of a file; astropy has no types for them."""
    return fits.open(path, **options)


def some_spectra(n: int, first: int = 1, bands: Sequence[str] = ("r",)) -> Spectra:
    ids = np.arange(first, first + n)
    return Spectra(
        {
            band: Band(pixels(band, ids), np.ones((n, len(WAVE[band])), np.float32))
            for band in bands
        },
        z=np.linspace(0.01, 0.29, n),
        targetid=ids,
        status=np.arange(n, dtype=np.int32) % 8,
    )


def some_scores(
    spectra: Spectra, reconstruction: bool = False, model: ModelIdentity | None = None
) -> Scores:
    """Scores whose values identify the target and its redshift; of `some_model` by default."""
    n = len(spectra)
    floats = spectra.targetid.astype(np.float32)
    spectrum = np.outer(floats, np.ones(BINS)).astype(np.float32)

    return Scores(
        model=some_model().identity if model is None else model,
        targetid=spectra.targetid,
        status=spectra.status,
        snr=np.full(n, 9, np.float32),
        coverage=np.ones(n, np.float32),
        norm=floats,
        latent=np.outer(floats, np.arange(LATENTS)).astype(np.float32),
        wmse=spectra.z.astype(np.float32),
        nof=np.full(n, -1, np.float32),
        wmse_anomaly=np.zeros(n, np.bool_),
        nof_anomaly=spectra.targetid % 2 == 0,
        p_value=np.where(spectra.targetid % 5 == 0, np.nan, 1 / (1.0 + spectra.targetid)),
        p_value_pooled=np.where(spectra.targetid % 5 == 0, np.nan, 1 / (2.0 + spectra.targetid)),
        anomaly=spectra.targetid % 3 == 0,
        **(dict.fromkeys(("reconstruction", "rest_flux", "rest_ivar"), spectrum))
        if reconstruction
        else {},
    )


def some_explanation(targetid: int, cause: str = "sky_residual") -> Explanation:
    """An explanation whose values identify the target, with two evidences and two segments."""
    spans = ((5570.0, 5580.5), (6295.0, 6305.0))
    likely = Evidence(cause, 90.5, 2, 0.75, 0.25, np.nan, spans, f"{cause} at 5577 Å: Δχ² 90")
    other = Evidence("unexplained", 0.0, 0, 0.25, np.nan, np.nan, (), "")
    tags = (Tag("sky line", 0.57), Tag("Hα", 0.0125))
    return Explanation(
        targetid,
        status=0,
        p_value=1 / (1.0 + targetid),
        cause=cause,
        cause_probability=0.75,
        p_explained=0.25,
        z_best=targetid / 1000,
        p_best=0.125,
        sentence=f"{targetid}: {cause} at Hα, 5577 Å",
        evidence=(likely, other),
        segments=(
            Segment(spans[0], (6961.0, 6975.5), 12.5, 1, 0.5, tags),
            Segment(spans[1], (7868.0, 7881.0), 6.5, -1, np.nan),
        ),
    )


def explained_flags(
    scores: Scores, cause: str = "sky_residual", model: ModelIdentity | None = None
) -> Explanations:
    """Explanations of the flagged rows, as `explain_flagged` returns them."""
    each = zip(scores.targetid, scores.status, scores.p_value, scores.anomaly, strict=True)
    return Explanations(
        scores.model if model is None else model,
        tuple(
            some_explanation(int(one), cause)
            if flagged
            else Explanation(int(one), int(bits), float(p))
            for one, bits, p, flagged in each
        ),
    )


def some_explanations(spectra: Spectra, model: ModelIdentity | None = None) -> Explanations:
    """Explanations whose values identify the target and its redshift; every fifth has no cause."""
    rows = map(_explanation, spectra.targetid.tolist(), spectra.z.tolist())
    return Explanations(some_model().identity if model is None else model, tuple(rows))


def _explanation(targetid: int, z: float) -> Explanation:
    if targetid % 5 == 0:
        return Explanation(targetid, 1, float("nan"))
    span = (6500.0, 6600.0)
    evidence = Evidence("emission_line", 90.0, 2, 0.75, 0.25, z, (span,), "Hα stands out")
    segment = Segment((5900.0, 6000.0), span, 9.5, 1, float("nan"), (Tag("Hα", 0.01),))

    return Explanation(
        targetid,
        status=32,
        p_value=0.001,
        cause="emission_line",
        cause_probability=0.75,
        p_explained=0.25,
        z_best=z,
        p_best=0.001,
        sentence=f"Hα stands out in {targetid}",
        place=(z, float("nan")),
        evidence=(evidence,),
        segments=(segment,),
        neighbours=(Neighbour(2**62 + targetid, z, "GALAXY", "", 1.5, 0.25),),
    )


def some_model(sample: str = "desi edr") -> Model:
    return Model(
        name="outcrop",
        version="20260101",
        sha256="ab" * 32,
        sample=sample,
        wave=np.linspace(3600.0, 7556.0, BINS),
        latents=LATENTS,
        redshift_range=(-0.002, 0.3),
        thresholds={"wmse": 2.55, "nof": -1.44},
        p_level=0.01,
        finest_p=1e-4,
        packages={"numpy": "2.4.6", "onnxruntime": "1.31.0"},
        bundle_packages={"onnxruntime": "1.30.0", "tensorflow": "2.21.0"},
        population="BGS",
    )
