"""Cuts: the spectra of one petal that pass the cuts, in the rest frame.

Each cut depends on one spectrum alone. Duplicate targets and the split into training, validation
and calibration are treated over all petals in `training.model.dataset`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from outcrop import Petal, Spectra, Status, correct_noise, is_simulated, read_spectra
from scoring.preprocess import RestFrame, to_rest_frame

from .config import Config, Cuts

RELEASES = {"fuji": "edr", "iron": "dr1", "guadalupe": "dr1", "loa": "dr2"}
"""Public release of each production of the DESI pipeline."""
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
"""Columns kept of each spectrum besides flux and ivar; petal is the index of the file."""


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
        Whether the petal belongs to a simulated sky.
    release : str or None
        DESI's public release, or else the production of the pipeline; None if the file has none.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    rows: NDArray[np.void]
    counts: dict[str, int]
    simulated: bool
    release: str | None


def read_petal(petal: Petal, config: Config) -> PetalSample:
    """Read a petal, resample it to the rest frame and apply the cuts."""
    spectra = read_corrected(petal, config.sample.noise_correction)
    rest = to_rest_frame(spectra, config.grid, config.sample.redshift_range)

    kept = np.ones(len(spectra), np.bool_)
    counts: dict[str, int] = {}
    for name, passed in _cuts(spectra, rest, config.sample):
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


def read_corrected(petal: Petal, noise_correction: bool | None) -> Spectra:
    """Read the spectra of a petal with their noise corrected, or as reported where False.

    `noise_correction` is that of a recipe, or of a model's description: None is of a model too old
    to tell.
    """
    spectra = read_spectra(petal.coadd, petal.redrock)
    return spectra if noise_correction is False else correct_noise(spectra)


def _cuts(
    spectra: Spectra, rest: RestFrame, limits: Cuts
) -> Iterable[tuple[str, NDArray[np.bool_]]]:
    """Yield the name of each cut and which spectra (N,) pass it, in the order of the counts."""

    def without(*bits: Status) -> NDArray[np.bool_]:
        return (rest.status & int(sum(bits))) == 0

    yield "rows", np.ones(len(spectra), np.bool_)
    yield "targets", without(Status.NOT_TARGET) & (spectra.targetid > 0)
    yield "with_data", without(Status.NO_DATA, Status.NO_REDSHIFT, Status.NO_SPECTRUM)
    yield "good_fiber", without(Status.BAD_FIBER)
    if limits.bgs_any and spectra.desi_target is not None:
        yield "bgs_any", limits.population.contains(spectra.desi_target)
    yield "in_redshift_range", without(Status.Z_OUT_OF_RANGE)
    yield "covered", without(Status.LOW_COVERAGE)
    yield "snr", rest.snr >= min(limits.min_snr, limits.calibration_min_snr)


def _release(coadd: Path) -> str | None:
    """Return the public release, or else the production, named in the header of a coadd."""
    header = fits.getheader(coadd, 0)
    names = {
        str(header[k]): str(header.get(k.replace("NAM", "VER"), "")) for k in header["DEPNAM*"]
    }
    production = names.get("SPECPROD", "").strip()
    return RELEASES.get(production, production) or None


def tile_of(coadd: Path) -> str:
    """Return the tile or healpixel in the file name of a coadd, or else the name itself.

    Examples
    --------
    >>> from pathlib import Path
    >>> from training.model.cuts import tile_of
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
