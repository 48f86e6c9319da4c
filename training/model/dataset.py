"""Dataset: the training, validation and calibration spectra of folders and plans.

Petals are read one at a time, in a random order, until there are as many spectra as the
configuration asks for. Those that pass the cuts are stored as arrays in the cache and memory-mapped
from there, so that a sample may be larger than memory and a second fit does not read the petals
again.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import model_store.grid
import model_store.population
import outcrop.camera_offsets
import outcrop.noise
import scoring.coadd
import scoring.infill
import scoring.preprocess
import scoring.resample
from outcrop import Petal
from scoring.calibration import LEAST
from scoring.infill import Eigenspectra
from scoring.preprocess import Preprocessor, RestFrame

from .. import TrainingError
from ..damaged import DamagedPetal, check_damaged, reading
from . import cuts
from .cache import cache_root, cached, key_of
from .config import Config
from .cuts import read_petal, tile_of
from .sources import PetalSource, drawn, find_sources

__all__ = [
    "RestSample",
    "Split",
    "cache_root",
    "opened",
    "prepare",
    "read_sample",
    "read_samples",
    "split",
]

_log = logging.getLogger(__name__)

LEAST_CALIBRATION = LEAST
"""Fewer spectra do not determine what `scoring.calibration` fits."""

# The cached arrays depend on this code besides the configuration.
_CODE = (
    cuts,
    model_store.grid,
    model_store.population,
    outcrop.camera_offsets,
    outcrop.noise,
    scoring.coadd,
    scoring.resample,
    scoring.preprocess,
    scoring.infill,
)


@dataclass(frozen=True, eq=False)
class RestSample:
    """The spectra of all petals that passed the cuts, in the rest frame.

    Attributes
    ----------
    rows : (N,) `training.model.cuts.ROW`
        In the order of the petals.
    index : (n,) int64
        The rows used, ascending: of each TARGETID the one with the highest S/N.
    petals : tuple of PetalSource
    folders : tuple of Path
        Folder of each petal in the cache, with its flux and ivar.
    tiles : tuple of str
        Tile or healpixel of each petal.
    counts : dict
        Rows left after each cut.
    simulated : bool
        Whether any of the petals belongs to a simulated sky.
    release : str or None
        DESI's public releases, or the productions of the pipeline.
    key : str
        Hash of files, cuts, grid and code.
    damaged : tuple of str
        For each petal that was left out, what is wrong with it.
    """

    rows: NDArray[np.void]
    index: NDArray[np.intp]
    petals: tuple[PetalSource, ...]
    folders: tuple[Path, ...]
    tiles: tuple[str, ...]
    counts: dict[str, int]
    simulated: bool
    release: str | None
    key: str
    damaged: tuple[str, ...]

    def petal(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return flux and ivar (n, M) of a petal, 1e-17 erg / (s cm2 Å), bad bins ivar = 0."""
        folder = self.folders[number]
        return np.load(folder / "flux.npy"), np.load(folder / "ivar.npy")

    def take(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return flux and ivar (n, M) of rows (n,), which must be ascending."""
        numbers = self.rows["petal"]
        flux, ivar = [], []
        for number in np.unique(numbers[rows]):
            chosen = rows[numbers[rows] == number] - np.searchsorted(numbers, number)
            for part, values in zip(self.petal(number), (flux, ivar), strict=True):
                values.append(part[chosen])
        return np.concatenate(flux), np.concatenate(ivar)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a sample by their use; ascending, (n,) int64 each.

    Spectra too faint to train or validate on are rare. All of them take part in the calibration of
    the p-values, because none of them is trained on.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    calibration: NDArray[np.intp]
    faint: NDArray[np.intp]


def read_sample(paths: Sequence[str | Path], config: Config, cache: Path) -> RestSample:
    """Read a sample from the petals of folders and plans; those read before come from the cache.

    Damaged petals are left out, each with a warning in the log.

    Raises
    ------
    TrainingError
        If there is no petal, too many are damaged, or no spectrum passes the cuts.
    InputError
        If a plan or a folder cannot be read.
    """
    return read_samples(paths, [config], cache)[0]


def read_samples(
    paths: Sequence[str | Path], configs: Sequence[Config], cache: Path
) -> list[RestSample]:
    """Read a sample for each configuration, as `read_sample`.

    A petal is read for one after the other, while its copy is still in the cache of remote files.
    Petals are drawn by the seed of the first configuration.
    """
    sources = find_sources(paths)
    draws = [_Draw(config) for config in configs]
    with tqdm(drawn(sources, configs[0].split.seed), desc="read petals", unit="petal") as bar:
        for source in bar:
            incomplete = [draw for draw in draws if not draw.complete]
            if not incomplete:
                break
            for draw in incomplete:
                draw.read(source, cache)
            bar.set_postfix_str(f"{len(draws[0].targets)} spectra")

    return [draw.sample(len(sources)) for draw in draws]


@dataclass(eq=False)
class _Draw:
    """Petals that are being read for a configuration.

    Attributes
    ----------
    config : Config
    kept : dict of Path by PetalSource
        Folder in the cache of each petal.
    damaged : list of str
        What is wrong with each of those that were left out.
    targets : set of int
        TARGETIDs of the spectra whose number the configuration limits.
    """

    config: Config
    kept: dict[PetalSource, Path] = field(default_factory=dict[PetalSource, Path])
    damaged: list[str] = field(default_factory=list[str])
    targets: set[int] = field(default_factory=set[int])

    @property
    def complete(self) -> bool:
        """Whether there are as many spectra as the configuration asks for."""
        return len(self.targets) >= self.config.sample.spectra

    def read(self, source: PetalSource, cache: Path) -> None:
        """Add a petal."""
        try:
            folder = _read_cached(source, self.config, cache)
        except DamagedPetal as error:
            _log.warning("petal left out: %s", error)
            self.damaged.append(str(error))
            return

        self.kept[source] = folder
        rows = np.load(folder / "rows.npy")
        self.targets.update(rows["targetid"][rows["snr"] > self.config.sample.min_snr].tolist())

    def sample(self, petals: int) -> RestSample:
        """Return the sample, drawn from a number of petals.

        Raises
        ------
        TrainingError
            If too many petals are damaged, or no spectrum passes the cuts.
        """
        tried = len(self.kept) + len(self.damaged)
        check_damaged(self.damaged, tried)
        if self.damaged:
            _log.warning("%d of %d petals are damaged and left out", len(self.damaged), tried)
        if tried < petals:
            _log.info(
                "%d of %d petals are drawn: %d spectra with S/N above %g",
                *(tried, petals, len(self.targets), self.config.sample.min_snr),
            )

        in_order = sorted(self.kept, key=lambda source: source.coadd)
        return _sample(in_order, [self.kept[one] for one in in_order], sorted(self.damaged))


def _sample(
    petals: Sequence[PetalSource], folders: Sequence[Path], damaged: Sequence[str]
) -> RestSample:
    """Return the sample of petals whose folders in the cache are given."""
    tables = [np.load(folder / "rows.npy") for folder in folders]
    for number, table in enumerate(tables):
        table["petal"] = number
    rows = np.concatenate(tables)
    index = _best_per_target(rows)

    notes = [json.loads((folder / "about.json").read_text()) for folder in folders]
    counts = {name: sum(note["counts"][name] for note in notes) for name in notes[0]["counts"]}
    if len(index) == 0:
        left = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise TrainingError(
            f"none of the spectra passes the cuts (rows left: {left}); "
            "see [sample] in training/model/config.py"
        )

    return RestSample(
        rows=rows,
        index=index,
        petals=tuple(petals),
        folders=tuple(folders),
        tiles=tuple(tile_of(Path(petal.coadd)) for petal in petals),
        counts=counts | {"unique": len(index)},
        # One simulated petal is enough: its numbers must not be mistaken for DESI's.
        simulated=any(note["simulated"] for note in notes),
        release="+".join(sorted({note["release"] for note in notes} - {None})) or None,
        key=key_of(*(folder.name for folder in folders)),
        damaged=tuple(damaged),
    )


def prepare(
    sample: RestSample, config: Config, eigenspectra: Eigenspectra, cache: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Infill and normalise the sample; return flux and ivar (N, M), memory-mapped."""
    preprocessor = Preprocessor(config.grid, config.sample.redshift_range, eigenspectra)
    names = ("flux.npy", "ivar.npy")

    def write(folder: Path) -> None:
        shape = (len(sample.rows), config.grid.bins)
        arrays = [
            np.lib.format.open_memmap(folder / name, "w+", np.float32, shape) for name in names
        ]

        start = 0
        for number in tqdm(range(len(sample.folders)), desc="infill, normalise", unit="petal"):
            flux, ivar = sample.petal(number)
            block = slice(start, start + len(flux))
            start = block.stop

            rows = sample.rows[block]
            status = np.zeros(len(rows), np.int32)
            rest = RestFrame(flux, ivar, rows["snr"], rows["coverage"], status)
            prepared = preprocessor.prepare(rest)
            arrays[0][block], arrays[1][block] = prepared.flux, prepared.ivar
        for array in arrays:
            array.flush()

    key = key_of(sample.key, eigenspectra.mean.tobytes(), eigenspectra.components.tobytes())
    folder = cached(cache / key, write)
    flux, ivar = (np.load(folder / name, mmap_mode="r") for name in names)
    return flux, ivar


def split(sample: RestSample, config: Config) -> Split:
    """Divide the sample by TARGETID; calibration spectra are whole tiles where possible.

    Raises
    ------
    TrainingError
        If nothing would be left to train or validate on, or too little to calibrate on.
    """
    rng = np.random.default_rng(config.split.seed)
    index = sample.index
    bright = sample.rows["snr"][index] > config.sample.min_snr

    held_out = _held_out(sample, config.split.calibration, rng)
    fit_share = config.split.validation / (1 - config.split.calibration)
    validating = ~held_out & (rng.random(len(index)) < fit_share)
    calibrating = held_out if config.split.calibration > 0 else validating

    parts = Split(
        training=index[bright & ~held_out & ~validating],
        validation=index[bright & validating],
        calibration=index[calibrating],
        faint=index[~bright & ~calibrating],
    )

    for name, least in (("training", 1), ("validation", 1), ("calibration", LEAST_CALIBRATION)):
        number = len(getattr(parts, name))
        if number < least:
            raise TrainingError(
                f"{number} of the {len(index)} spectra that pass the cuts are left for {name}, "
                f"at least {least} needed; give more petals or change [split] of the configuration"
            )

    return parts


def _held_out(sample: RestSample, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of the rows used (n,) are held out for calibration.

    Spectra of one tile or petal share sky and calibration errors, so the largest units are held
    out of which there are enough: tiles or healpixels, petals, or single spectra.
    """
    index = sample.index
    petal = sample.rows["petal"][index]
    tile_names, tile_of_petal = np.unique(sample.tiles, return_inverse=True)

    for units, count, least in (
        (tile_of_petal[petal], len(tile_names), 4),
        (petal, len(sample.tiles), 2),
        (np.arange(len(index)), len(index), 1),
    ):
        wanted = round(share * count)
        # Few tiles do not show how tiles differ.
        if wanted >= least:
            return np.isin(units, rng.permutation(count)[:wanted])

    return np.zeros(len(index), np.bool_)


@contextmanager
def opened(source: PetalSource) -> Iterator[Petal]:
    """Yield the files of a petal; `DamagedPetal` for any error of fetching or reading them."""
    with reading(Petal(Path(source.coadd), Path(source.redrock))), source.opened() as petal:
        yield petal


def _read_cached(source: PetalSource, config: Config, cache: Path) -> Path:
    """Return the folder of a petal in the cache; read the petal if it is not there."""
    # How many spectra are wanted does not change those of a petal.
    limits = config.sample.model_dump(exclude={"spectra"})
    with reading(Petal(Path(source.coadd), Path(source.redrock))):
        key = key_of(*_CODE, config.grid, limits, source.identity())
        folder = cache / key
        if folder.is_dir() and source.changed_since(folder.stat().st_mtime_ns):
            shutil.rmtree(folder)
    return cached(folder, lambda folder: _write_petal(folder, source, config))


def _write_petal(folder: Path, source: PetalSource, config: Config) -> None:
    with opened(source) as petal:
        sample = read_petal(petal, config)
    np.save(folder / "flux.npy", sample.flux)
    np.save(folder / "ivar.npy", sample.ivar)
    np.save(folder / "rows.npy", sample.rows)
    about = {
        "counts": sample.counts,
        "simulated": sample.simulated,
        "release": sample.release,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1))


def _best_per_target(rows: NDArray[np.void]) -> NDArray[np.intp]:
    """Return, ascending, the row with the highest S/N of each TARGETID."""
    order = np.lexsort((-rows["snr"], rows["targetid"]))
    _, first = np.unique(rows["targetid"][order], return_index=True)
    return np.sort(order[first])
