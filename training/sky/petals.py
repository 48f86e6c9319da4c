"""Petals of a simulated sky in DESI's files, for the demo, tests and benchmarks without DESI data.

A petal has 500 fibers: galaxies, quasars and stars in the proportions of the paper's sample, sky
fibers and dead ones, with noise, masks, the nuisances of a real night and, optionally, injected
anomalies. The other modules of
``training.sky`` make the parts; this one assembles them. Numbers from this sky are not DESI
performance, and every file is marked as simulated.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from outcrop import find_petals, is_simulated
from training import TrainingError
from training.sky.anomalies import STRENGTHS, inject, inject_pixel_faults
from training.sky.exposures import split
from training.sky.files import BGS_ANY, SimulatedPetal, magnitudes, structured, write_petal
from training.sky.frame import OBSERVED
from training.sky.grid import Array
from training.sky.healpix import in_pixel, number_of
from training.sky.noise import NO_DATA, observe, scaled_to
from training.sky.nuisances import (
    RepeatedTargets,
    add_other_surveys,
    dim,
    draw_systematics,
    is_repeated,
)
from training.sky.targets import Targets, draw_targets
from training.sky.zcatalog import CATALOGUES, catalogue_rows, write_catalogue
from training.truth import FILE as TRUTH
from training.truth import write_truth

FIBERS: Final = 500
PETALS_PER_TILE: Final = 10
SKY_SHARE: Final = 0.05
SKY_SHARE_OF_NIGHT: Final = 0.08
DEAD_SHARE: Final = 0.006

DESI_TARGET: Final = {"BGS": BGS_ANY, "MWS": 1 << 61, "DARK": 1 << 0, "SKY": 1 << 32}
"""Bits of DESI_TARGET: BGS_ANY, MWS_ANY, LRG and SKY."""
MWS_BROAD: Final = 1 << 0
BGS_FAINT: Final = 1 << 0
BGS_BRIGHT: Final = 1 << 1
ZWARN_SMALL_DELTA_CHI2: Final = 1 << 2
ZWARN_NODATA: Final = 1 << 9
REDSHIFTS: Final = np.dtype(
    [
        ("TARGETID", "i8"), ("Z", "f8"), ("ZERR", "f8"), ("ZWARN", "i8"), ("CHI2", "f8"),
        ("COEFF", "f8", (10,)), ("NPIXELS", "i8"), ("SPECTYPE", "U6"), ("SUBTYPE", "U20"),
        ("NCOEFF", "i8"), ("DELTACHI2", "f8"),
    ]
)  # fmt: skip
"""Columns of redrock's REDSHIFTS."""


def simulate(
    folder: Path,
    petals: int,
    seed: int,
    anomalies: float = 0.0,
    nuisances: float = 1.0,
    exposures: int = 0,
    layouts: Sequence[str] = ("tiles",),
    fibers: int = FIBERS,
    zcatalog: bool = False,
) -> None:
    """Write petals of a simulated sky and a table of the truth.

    A petal depends on the seed and its own number only, so a larger sky begins with the same
    petals as a smaller one. ``truth.csv`` lists every target (OBJTYPE TGT) with TARGETID, KIND
    (empty for an inlier), TRUE_Z and STRENGTH (empty for an inlier; its unit by kind is given at
    `training.sky.anomalies.STRENGTHS`).

    Parameters
    ----------
    folder : Path
        Where the files and ``truth.csv`` go; made if missing.
    petals : int
        Number of petals, ten to a tile, or of healpix files.
    seed : int
        Not negative. Other seeds give other TARGETIDs and TILEIDs.
    anomalies : float
        Share of the targets in which an anomaly is injected, every kind equally often.
    nuisances : float
        Strength of the nuisances of a real night; 0 is a clean sky (`training.sky.nuisances`).
    exposures : int
        Number of exposures of each petal, in a ``spectra-*.fits`` beside its coadd; with 0 there
        is none. The spectra are the same in any case.
    layouts : sequence of str
        ``tiles``: ``tiles/cumulative/TILEID/NIGHT/``; ``healpix``:
        ``healpix/SURVEY/PROGRAM/PIXEL//100/PIXEL/``. Each has `petals` files, of two programmes.
    fibers : int
        How many of the 500 fibers of each petal are written, those of repeated targets first.
    zcatalog : bool
        Whether the redshift catalogue of each layout is written, in ``zcatalog/v1``.

    Raises
    ------
    ValueError
        If petals is not positive, seed is negative, anomalies or nuisances is not between 0
        and 1, fibers not between 1 and 500, or there is another layout.
    """
    if petals < 1:
        raise ValueError(f"petals is {petals}; expected 1 or more")
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more")
    if not 0 <= anomalies <= 1:
        raise ValueError(f"anomalies is {anomalies}; expected a share between 0 and 1")
    if not 0 <= nuisances <= 1:
        raise ValueError(f"nuisances is {nuisances}; expected a strength between 0 and 1")
    if not 1 <= fibers <= FIBERS:
        raise ValueError(f"fibers is {fibers}; expected 1 to {FIBERS}")
    for layout in layouts:
        if layout not in CATALOGUES:
            raise ValueError(f"layout is {layout!r}; expected {' or '.join(CATALOGUES)}")

    folder.mkdir(parents=True, exist_ok=True)
    truth: dict[int, tuple[str, float, float]] = {}
    written: set[int] = set()
    catalogue: dict[str, list[NDArray[np.void]]] = {layout: [] for layout in layouts}
    files = [(layout, file) for layout in catalogue for file in range(petals)]
    with tqdm(files, desc="simulate", unit="petal") as bar:
        for layout, file in bar:
            number = number_of(file) if layout == "healpix" else file
            petal, targets = make_petal(seed, number, anomalies, nuisances, exposures)
            if layout == "healpix":
                petal = in_pixel(petal, seed, file)
            known = zip(targets.kind, targets.true_z, targets.strength, strict=True)
            ids = petal.fibermap["TARGETID"]
            truth |= zip(ids[petal.fibermap["OBJTYPE"] == "TGT"].tolist(), known, strict=True)

            # Repeated targets first: few fibers have some, too.
            rows = np.argsort(~is_repeated(ids), kind="stable")[:fibers]
            petal = petal.rows(np.sort(rows))
            write_petal(folder, petal)
            catalogue[layout].append(catalogue_rows(petal))
            written.update(petal.fibermap["TARGETID"].tolist())
    for layout, rows in catalogue.items() if zcatalog else ():
        write_catalogue(folder / CATALOGUES[layout], rows)
    write_truth(folder, ((one, *known) for one, known in truth.items() if one in written))


def remove_sky(folder: Path) -> None:
    """Remove the petals and the truth of an earlier sky from a folder, if there is one.

    Raises
    ------
    TrainingError
        If there is a petal that is not simulated. Nothing is removed then.
    InputError
        If a petal cannot be read. Nothing is removed then.
    """
    petals = find_petals(folder) if folder.exists() else []
    for petal in petals:
        if not is_simulated(petal.coadd):
            raise TrainingError(
                f"{petal.coadd} is not of a simulated sky, so {folder} is not overwritten; "
                "choose another folder"
            )

    (folder / TRUTH).unlink(missing_ok=True)
    for catalogue in CATALOGUES.values():
        (folder / catalogue).unlink(missing_ok=True)
    for petal in petals:
        petal.coadd.unlink()
        petal.redrock.unlink()
        spectra = petal.coadd.name.replace("coadd", "spectra", 1)
        petal.coadd.with_name(spectra).unlink(missing_ok=True)


def make_petal(
    seed: int, number: int, anomalies: float = 0.0, nuisances: float = 1.0, exposures: int = 0
) -> tuple[SimulatedPetal, Targets]:
    """Make one petal, and the truth about its targets in the order of its TGT rows."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
    # Nuisances have their own numbers, so that they do not change the rest.
    own = np.random.default_rng(np.random.SeedSequence([seed, number, 1 << 42]))
    sky_share = SKY_SHARE + nuisances * (SKY_SHARE_OF_NIGHT - SKY_SHARE)
    target = rng.random(FIBERS) >= sky_share
    dead = target & (rng.random(FIBERS) < DEAD_SHARE)
    fiber = np.flatnonzero(target)
    targets = draw_targets(rng, len(fiber))

    # Other surveys, faint targets, and those that lie on several tiles
    petal = number % PETALS_PER_TILE
    objects = np.full(FIBERS, -1, np.int64)
    if nuisances:
        dim(own, targets, nuisances)
        add_other_surveys(own, targets, number, nuisances)
        repeats = RepeatedTargets.of(seed, petal)
        rows = repeats.place(own, targets, nuisances)
        objects[fiber[rows[rows >= 0]]] = repeats.objects[rows >= 0]

    # Injected anomalies, on fibers that work: every kind in turn, from a random first one
    share = anomalies * len(fiber)
    live = rng.permutation(np.flatnonzero(~dead[fiber] & (objects[fiber] < 0)))
    rows = live[: int(share) + int(rng.random() < share % 1)]
    kinds = np.roll(list(STRENGTHS), rng.integers(len(STRENGTHS)))
    inject(rng, targets, rows, np.resize(kinds, len(rows)))

    # The exposure's depth, and the fibers' own throughputs
    level = 10 ** (rng.normal(0, 0.05) + rng.normal(0, 0.03, FIBERS))
    targets.flux = scaled_to(targets.flux, targets.z, targets.snr, level[fiber])

    # Observed pixels
    flux = np.zeros((FIBERS, len(OBSERVED)))
    flux[fiber] = targets.flux
    frames = observe(rng, flux, level, draw_systematics(own, nuisances) if nuisances else None)
    spikes = inject_pixel_faults(rng, targets, fiber, frames)
    for frame in frames.values():
        frame.flux[dead], frame.ivar[dead], frame.mask[dead] = 0, 0, NO_DATA

    survey = np.full(FIBERS, "SKY", "<U4")
    survey[fiber] = targets.survey
    tile, night = _tile(seed, number)
    fibermap = _fibermap(rng, seed, number, survey, dead, flux)
    repeated = _in_brick(seed, petal, objects[objects >= 0])
    fibermap["TARGETID"][objects >= 0] = repeated
    redshifts = _redshifts(rng, fibermap["TARGETID"], target, dead, targets)
    made = SimulatedPetal(tile, night, petal, frames, fibermap, redshifts)
    if exposures:
        # Numbers of their own, so that they do not change the rest.
        own = np.random.default_rng(np.random.SeedSequence([seed, number, 1 << 43]))
        made.fibermap["COADD_NUMEXP"] = exposures
        made.fibermap["COADD_NUMNIGHT"] = min(exposures, 2)
        made = replace(made, exposures=split(own, frames, spikes, exposures, tile, night))
    return made, targets


def _tile(seed: int, number: int) -> tuple[int, int]:
    """Return TILEID and NIGHT of a petal; the TILEIDs are above those of DESI's surveys."""
    pointing = number // PETALS_PER_TILE
    tile = 1_000_000 + seed % 20_000 * 100 + pointing
    night = date(2021, 5, 14) + timedelta(days=seed % 1000 + pointing)
    return tile, int(night.strftime("%Y%m%d"))


def _brick(seed: int, number: int) -> int:
    return (seed * 1000 + number) % 662_174


def _in_brick(seed: int, number: int, objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the TARGETIDs of objects in a brick."""
    return (9010 << 42) + (_brick(seed, number) << 22) + objects


def _targetids(
    rng: np.random.Generator, seed: int, number: int, target: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return TARGETIDs in DESI's coding: release, brick, object; bit 59 or a sign for the sky."""
    objects = rng.choice(4_000_000, len(target), replace=False) + 1
    ids = _in_brick(seed, number, objects.astype(np.int64))
    brick = _brick(seed, number)
    stuck = ~target & (rng.random(len(target)) < 0.2)
    return np.where(
        target, ids, np.where(stuck, -(brick * 1000 + np.arange(len(target)) + 1), ids + (1 << 59))
    )


def _fibermap(
    rng: np.random.Generator,
    seed: int,
    number: int,
    survey: NDArray[np.str_],
    dead: NDArray[np.bool_],
    flux: Array,
) -> NDArray[np.void]:
    """Return those columns of a coadd's FIBERMAP that a simulated object has values for."""
    tile, _ = _tile(seed, number)
    petal = number % PETALS_PER_TILE
    device = np.arange(FIBERS) + 10

    # Positions: all petals of a tile share its centre; each is a tenth of a disc of 1.6 degrees
    of_tile = np.random.SeedSequence([seed, 1 << 40, number // PETALS_PER_TILE])
    centre = np.random.default_rng(of_tile)
    ra, dec = centre.uniform(120, 260), centre.uniform(0, 60)
    angle = np.deg2rad(36 * (petal + rng.random(FIBERS)))
    radius = 1.6 * np.sqrt(rng.random(FIBERS))

    status = np.where(rng.random(FIBERS) < 0.08, 1 << 3, 0)  # RESTRICTED, harmless
    status = np.where(dead, rng.choice([1 << 1, 1 << 9, 1 << 16], FIBERS), status)
    photometry = magnitudes(flux)
    faint = photometry[:, 1] < 15.8  # r = 19.5

    columns: dict[str, tuple[str, ArrayLike]] = {
        "TARGETID": ("i8", _targetids(rng, seed, number, survey != "SKY")),
        "PETAL_LOC": ("i2", petal),
        "DEVICE_LOC": ("i4", device),
        "LOCATION": ("i8", petal * 1000 + device),
        "FIBER": ("i4", petal * FIBERS + np.arange(FIBERS)),
        "COADD_FIBERSTATUS": ("i4", status),
        "TARGET_RA": ("f8", ra + radius * np.cos(angle) / np.cos(np.deg2rad(dec))),
        "TARGET_DEC": ("f8", dec + radius * np.sin(angle)),
        "OBJTYPE": ("U3", np.where(survey == "SKY", "SKY", "TGT")),
        "EBV": ("f4", rng.gamma(2.0, 0.015, FIBERS)),
        "FLUX_G": ("f4", photometry[:, 0]),
        "FLUX_R": ("f4", photometry[:, 1]),
        "FLUX_Z": ("f4", photometry[:, 2]),
        "DESI_TARGET": ("i8", [DESI_TARGET[name] for name in survey]),
        "BGS_TARGET": ("i8", np.where(survey == "BGS", np.where(faint, BGS_FAINT, BGS_BRIGHT), 0)),
        "MWS_TARGET": ("i8", np.where(survey == "MWS", MWS_BROAD, 0)),
        "TILEID": ("i4", tile),
        "COADD_NUMEXP": ("i2", 1),
        "COADD_EXPTIME": ("f4", 300.0),
        "COADD_NUMNIGHT": ("i2", 1),
        "COADD_NUMTILE": ("i2", 1),
    }
    return structured(columns)


def _redshifts(
    rng: np.random.Generator,
    targetid: NDArray[np.int64],
    target: NDArray[np.bool_],
    dead: NDArray[np.bool_],
    targets: Targets,
) -> NDArray[np.void]:
    """Return redrock's table: random redshifts for sky fibers, zeros for dead ones."""
    z, snr = rng.uniform(0, 1.6, FIBERS), np.zeros(FIBERS)
    spectype = rng.choice(["GALAXY", "QSO"], FIBERS, p=[0.9, 0.1]).astype("<U6")
    z[target], snr[target], spectype[target] = targets.z, targets.snr, targets.spectype
    z[dead], spectype[dead] = 0.0, "GALAXY"

    # How much better redrock's best fit is than the next one, and its other columns
    gain = 30 * snr**2 * np.exp(rng.normal(0, 0.5, FIBERS)) + rng.exponential(4, FIBERS)
    zwarn = np.where(gain < 9, ZWARN_SMALL_DELTA_CHI2, 0)
    subtype = np.where(spectype == "STAR", rng.choice(["G", "K", "M"], FIBERS), "")
    terms = np.select([spectype == "GALAXY", spectype == "QSO"], [10, 4], 5)
    coefficients = rng.normal(0, 30, (FIBERS, 10)) * (np.arange(10) < terms[:, None])

    rows = np.zeros(FIBERS, REDSHIFTS)
    rows["TARGETID"], rows["Z"], rows["SPECTYPE"], rows["SUBTYPE"] = targetid, z, spectype, subtype
    rows["ZERR"] = 3e-5 * np.clip(12 / np.maximum(snr, 1), 0.2, 5)
    rows["ZWARN"] = np.where(dead, ZWARN_NODATA, zwarn)
    rows["CHI2"] = np.where(dead, 0, 7850 + 0.02 * gain + rng.normal(0, 120, FIBERS))
    rows["COEFF"] = np.where(dead[:, None], 0, coefficients)
    rows["NPIXELS"], rows["NCOEFF"] = np.where(dead, 0, 7900), terms
    rows["DELTACHI2"] = np.where(dead, 0, gain)
    return rows
