"""Cuts: the spectra of one petal that may be trained on, in the rest frame.

What is cut depends on the spectrum alone; that a target counts once, and who trains, validates
or calibrates, is decided over all petals in `training.model.dataset`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from outcrop import Petal, Spectra, Status, is_simulated, read_spectra
from scoring.preprocess import RestFrame, to_rest_frame

from .config import Config, Sample

BGS_ANY = 1 << 60
"""Bit of DESI_TARGET and of its survey-validation forms."""
RELEASES = {"fuji": "edr", "iron": "dr1", "guadalupe": "dr1", "loa": "dr2"}
"""Public release of each production of the pipeline."""
ROW = np.dtype(
    [
        ("targetid", "<i8"),
        ("z", "<f8"),
        ("spectype", "<U6"),
        ("snr", "<f4"),
        ("coverage", "<f4"),
        ("petal", "<i4"),
    ]
)
"""What is kept of each spectrum besides flux and ivar; petal is the number of the file."""

_TARGETING = ("DESI_TARGET", "SV1_DESI_TARGET", "SV2_DESI_TARGET", "SV3_DESI_TARGET")


@dataclass(frozen=True, eq=False)
class PetalSample:
    """The n spectra of a petal that passed the cuts.

    Attributes
    ----------
    flux, ivar : (n, M) float32
        Rest frame, 1e-17 erg / (s cm2 Å); ivar = 0 marks bad bins.
    rows : (n,) `ROW`
    counts : dict
        Rows left after each cut.
    simulated : bool
        Whether the petal is of a simulated sky.
    release : str or None
        DESI's public release, or else the production of the pipeline, where the file tells.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    rows: NDArray[np.void]
    counts: dict[str, int]
    simulated: bool
    release: str | None


def read_petal(petal: Petal, config: Config) -> PetalSample:
    """Read a petal, bring it to the rest frame and cut it to the sample."""
    spectra = read_spectra(petal.coadd, petal.redrock)
    rest = to_rest_frame(spectra, config.grid, config.sample.redshift_range)
    kept = np.ones(len(spectra), np.bool_)
    counts: dict[str, int] = {}
    for name, passed in _cuts(petal, spectra, rest, config.sample):
        kept &= passed
        counts[name] = int(kept.sum())
    rows = np.zeros(counts["snr"], ROW)
    rows["targetid"] = spectra.targetid[kept]
    rows["z"] = spectra.z[kept]
    rows["spectype"] = "" if spectra.spectype is None else spectra.spectype[kept]
    rows["snr"] = rest.snr[kept]
    rows["coverage"] = rest.coverage[kept]
    return PetalSample(
        rest.flux[kept],
        rest.ivar[kept],
        rows,
        counts,
        is_simulated(petal.coadd),
        _release(petal.coadd),
    )


def _cuts(
    petal: Petal, spectra: Spectra, rest: RestFrame, sample: Sample
) -> Iterable[tuple[str, NDArray[np.bool_]]]:
    """Yield each cut's name and who passes it, in the order in which they are counted."""

    def without(*bits: Status) -> NDArray[np.bool_]:
        return (rest.status & int(sum(bits))) == 0

    yield "rows", np.ones(len(spectra), np.bool_)
    yield "targets", without(Status.NOT_TARGET) & (spectra.targetid > 0)
    yield "with_data", without(Status.NO_DATA, Status.NO_REDSHIFT, Status.NO_SPECTRUM)
    yield "good_fiber", without(Status.BAD_FIBER)
    if sample.bgs_any:
        yield "bgs_any", _is_bgs(petal.coadd, spectra.targetid)
    yield "in_redshift_range", without(Status.Z_OUT_OF_RANGE)
    yield "covered", without(Status.LOW_COVERAGE)
    yield "snr", rest.snr >= min(sample.min_snr, sample.calibration_min_snr)


def _is_bgs(coadd: Path, targetid: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which targets are of the Bright Galaxy Survey; all where the file cannot tell."""
    with fits.open(coadd) as hdus:
        fibermap = hdus["FIBERMAP"].data
        columns = [name for name in _TARGETING if name in fibermap.columns.names]
        if not columns:
            return np.ones(len(targetid), np.bool_)
        selected = np.zeros(len(fibermap), np.bool_)
        for name in columns:
            selected |= (fibermap[name].astype(np.int64) & BGS_ANY) != 0
        return np.isin(targetid, fibermap["TARGETID"][selected].astype(np.int64))


def _release(coadd: Path) -> str | None:
    """Return the public release, or else the production, that a coadd's header names."""
    header = fits.getheader(coadd, 0)
    names = {str(header[k]): str(header[k.replace("NAM", "VER")]) for k in header["DEPNAM*"]}
    production = names.get("SPECPROD", "").strip()
    return RELEASES.get(production, production) or None


def tile_of(coadd: Path) -> str:
    """Return the tile or healpixel that a coadd's name speaks of, or else the name itself.

    Examples
    --------
    >>> from pathlib import Path
    >>> from training.model.dataset import tile_of
    >>> tile_of(Path("coadd-4-80613-thru20210324.fits"))
    'tile 80613'
    >>> tile_of(Path("coadd-sv3-dark-26065.fits.gz"))
    'healpixel sv3-dark-26065'
    """
    if match := re.match(r"coadd-\d-(\d+)-", coadd.name):
        return f"tile {match[1]}"
    if match := re.match(r"coadd-(\w+-\w+-\d+)\.", coadd.name):
        return f"healpixel {match[1]}"
    return coadd.name
