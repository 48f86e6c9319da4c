"""Dataset: from folders of petals to the spectra that train, validate and calibrate.

Petals are read one at a time, brought to the rest frame and cut to the sample; what remains is
kept as memory-mapped arrays below the cache, so that neither a sample larger than memory nor a
second fit needs the raw files again. A cache folder is named after everything its content
depends on, and appears only when it is complete.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from tqdm import tqdm

import scoring.coadd
import scoring.infill
import scoring.preprocess
import scoring.resample
from outcrop import Petal, Spectra, Status, find_petals, is_simulated, read_spectra
from scoring.infill import Eigenspectra
from scoring.preprocess import Preprocessor, RestFrame, to_rest_frame

from . import TrainingError
from .config import Config, Sample

BGS_ANY = 1 << 60
"""Bit of DESI_TARGET and of its survey-validation forms."""
RELEASES = {"fuji": "edr", "iron": "dr1", "guadalupe": "dr1", "loa": "dr2"}
"""Public release of each production of the pipeline."""

_TARGETING = ("DESI_TARGET", "SV1_DESI_TARGET", "SV2_DESI_TARGET", "SV3_DESI_TARGET")
_BLOCK = 2048
_ROW = np.dtype(
    [
        ("targetid", "<i8"),
        ("z", "<f8"),
        ("spectype", "<U6"),
        ("snr", "<f4"),
        ("coverage", "<f4"),
        ("petal", "<i4"),
    ]
)
# What the cached arrays depend on besides the configuration.
_CODE = (scoring.coadd, scoring.resample, scoring.preprocess, scoring.infill)


@dataclass(frozen=True, eq=False)
class RestSample:
    """Rest-frame spectra that passed the cuts, one per TARGETID.

    Attributes
    ----------
    flux, ivar : (N, M) float32
        Memory-mapped, 1e-17 erg / (s cm2 Å); ivar = 0 marks bad bins. Rows that `index` leaves
        out are other spectra of the same targets.
    index : (n,) int64
        The rows that count.
    rows : (N,) structured
        targetid, z, spectype, snr, coverage and petal, the number of the file.
    tiles : tuple of str
        Tile or healpixel of each file.
    counts : dict
        Rows left after each cut.
    simulated : bool
        Whether any of the petals is of a made-up sky.
    release : str or None
        DESI's public release, or the production of the pipeline.
    key : str
        Names the sample: files, cuts, grid and code.
    """

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    index: NDArray[np.intp]
    rows: NDArray[np.void]
    tiles: tuple[str, ...]
    counts: dict[str, int]
    simulated: bool
    release: str | None
    key: str


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a sample by what they are used for; ascending, (n,) int64 each."""

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    calibration: NDArray[np.intp]


def cache_root() -> Path:
    """Return the folder of the caches: OUTCROP_CACHE, or .cache/training in the repository."""
    default = Path(__file__).parents[1] / ".cache" / "training"
    return Path(os.environ.get("OUTCROP_CACHE", default))


def read_sample(folders: Sequence[str | Path], config: Config, cache: Path) -> RestSample:
    """Read all petals below the folders, or the cache of an earlier reading.

    Raises
    ------
    TrainingError
        If there is no petal, or no spectrum passes the cuts.
    """
    petals = sorted(
        {petal for folder in folders for petal in find_petals(folder)}, key=lambda p: p.coadd
    )
    if not petals:
        raise TrainingError(
            f"no pair of coadd-*.fits and redrock-*.fits below {', '.join(map(str, folders))}; "
            "give folders of DESI petals, or make some with `python -m training simulate`"
        )
    key = _key(config.grid, config.sample, *(_identity(petal) for petal in petals))
    folder = _cached(cache / key, lambda path: _read_petals(path, petals, config))
    rows = np.load(folder / "rows.npy")
    about = json.loads((folder / "about.json").read_text())
    index = _best_per_target(rows)
    if len(index) == 0:
        left = ", ".join(f"{name} {count}" for name, count in about["counts"].items())
        raise TrainingError(
            f"none of the spectra passes the cuts (rows left: {left}); "
            "see [sample] in training/config.py"
        )
    return RestSample(
        flux=np.load(folder / "flux.npy", mmap_mode="r"),
        ivar=np.load(folder / "ivar.npy", mmap_mode="r"),
        index=index,
        rows=rows,
        tiles=tuple(about["tiles"]),
        counts=about["counts"] | {"unique": len(index)},
        simulated=about["simulated"],
        release=about["release"],
        key=key,
    )


def prepare(
    sample: RestSample, config: Config, eigenspectra: Eigenspectra, cache: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Infill and normalise the sample; return flux and ivar (N, M), memory-mapped."""
    preprocessor = Preprocessor(config.grid.rest_grid(), config.sample.redshift_range, eigenspectra)

    def write(folder: Path) -> None:
        bins = sample.flux.shape[1]
        with _Rows(folder / "flux.npy", bins) as flux, _Rows(folder / "ivar.npy", bins) as ivar:
            starts = range(0, len(sample.rows), _BLOCK)
            for start in tqdm(starts, desc="infill and normalise", unit="block"):
                block = slice(start, start + _BLOCK)
                rest = RestFrame(
                    np.asarray(sample.flux[block]),
                    np.asarray(sample.ivar[block]),
                    sample.rows["snr"][block],
                    sample.rows["coverage"][block],
                    np.zeros(len(sample.rows["snr"][block]), np.int32),
                )
                prepared = preprocessor.prepare(rest)
                flux.append(prepared.flux)
                ivar.append(prepared.ivar)

    key = _key(sample.key, eigenspectra.mean.tobytes(), eigenspectra.components.tobytes())
    folder = _cached(cache / key, write)
    return np.load(folder / "flux.npy", mmap_mode="r"), np.load(folder / "ivar.npy", mmap_mode="r")


def split(sample: RestSample, config: Config) -> Split:
    """Divide the sample by TARGETID, the calibration part in whole tiles where it can be.

    Raises
    ------
    TrainingError
        If a part would be empty.
    """
    rng = np.random.default_rng(config.split.seed)
    index = sample.index
    petal = sample.rows["petal"][index]
    tile_names, tile_of_petal = np.unique(sample.tiles, return_inverse=True)
    held_out = np.zeros(len(index), np.bool_)
    if config.split.calibration > 0:
        for groups, number, least in (
            (tile_of_petal[petal], len(tile_names), 4),
            (petal, len(sample.tiles), 2),
            (np.arange(len(index)), len(index), 1),
        ):
            wanted = round(config.split.calibration * number)
            # A single tile says nothing of how tiles differ.
            if wanted >= least:
                held_out = np.isin(groups, rng.permutation(number)[:wanted])
                break
    bright = sample.rows["snr"][index] > config.sample.min_snr
    fit_share = config.split.validation / (1 - config.split.calibration)
    validating = ~held_out & (rng.random(len(index)) < fit_share)
    calibrating = held_out if config.split.calibration > 0 else validating
    parts = Split(
        training=index[bright & ~held_out & ~validating],
        validation=index[bright & validating],
        calibration=index[calibrating],
    )
    for name in ("training", "validation", "calibration"):
        if len(getattr(parts, name)) == 0:
            raise TrainingError(
                f"no spectrum left for {name} out of {len(index)} that pass the cuts; "
                "give more petals or change [split] of the configuration"
            )
    return parts


def _read_petals(folder: Path, petals: Sequence[Petal], config: Config) -> None:
    grid = config.grid.rest_grid()
    counts: dict[str, int] = {}
    tables: list[NDArray[np.void]] = []
    releases: set[str | None] = set()
    simulated = False
    with (
        _Rows(folder / "flux.npy", grid.bins) as flux,
        _Rows(folder / "ivar.npy", grid.bins) as ivar,
    ):
        for number, petal in enumerate(tqdm(petals, desc="read petals", unit="petal")):
            spectra = read_spectra(petal.coadd, petal.redrock)
            rest = to_rest_frame(spectra, grid, config.sample.redshift_range)
            # One made-up petal is enough: such numbers must not pass for DESI's.
            simulated |= is_simulated(petal.coadd)
            releases.add(_release(petal.coadd))
            kept = np.ones(len(spectra), np.bool_)
            for name, passed in _cuts(petal, spectra, rest, config.sample):
                kept &= passed
                counts[name] = counts.get(name, 0) + int(kept.sum())
            flux.append(rest.flux[kept])
            ivar.append(rest.ivar[kept])
            table = np.zeros(int(kept.sum()), _ROW)
            table["targetid"] = spectra.targetid[kept]
            table["z"] = spectra.z[kept]
            table["spectype"] = "" if spectra.spectype is None else spectra.spectype[kept]
            table["snr"] = rest.snr[kept]
            table["coverage"] = rest.coverage[kept]
            table["petal"] = number
            tables.append(table)
    np.save(folder / "rows.npy", np.concatenate(tables))
    about = {
        "tiles": [tile_of(petal.coadd) for petal in petals],
        "counts": counts,
        "simulated": simulated,
        "release": "+".join(sorted(filter(None, releases))) or None,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1))


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
    >>> from training.dataset import tile_of
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


def _best_per_target(rows: NDArray[np.void]) -> NDArray[np.intp]:
    """Return, ascending, the row of the best S/N of each TARGETID."""
    order = np.lexsort((-rows["snr"], rows["targetid"]))
    _, first = np.unique(rows["targetid"][order], return_index=True)
    return np.sort(order[first])


def _identity(petal: Petal) -> str:
    stats = [(path.resolve(), path.stat()) for path in (petal.coadd, petal.redrock)]
    return ";".join(f"{path}:{stat.st_size}:{stat.st_mtime_ns}" for path, stat in stats)


def _key(*parts: object) -> str:
    digest = hashlib.sha256()
    for module in _CODE:
        digest.update(Path(str(module.__file__)).read_bytes())
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def _cached(folder: Path, write: Callable[[Path], None]) -> Path:
    """Return the folder, filled by `write` unless it is there already."""
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        write(temporary)
        temporary.rename(folder)
    except OSError:
        # Another process may have been faster with the very same content.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


class _Rows:
    """A .npy file of float32 rows that grows; complete when closed."""

    def __init__(self, path: Path, bins: int) -> None:
        self._file = path.open("wb")
        self._bins = bins
        self._count = 0
        self._write_header()

    def _write_header(self) -> None:
        # numpy leaves room for the first axis to grow, so the header keeps its length.
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "<f4", "fortran_order": False, "shape": (self._count, self._bins)},
        )

    def append(self, rows: NDArray[np.float32]) -> None:
        self._file.write(np.ascontiguousarray(rows, "<f4").data)
        self._count += len(rows)

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()
