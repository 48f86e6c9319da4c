"""Observed: single spectra of a sample as they were observed, kept in the cache once read.

A sample's cache has the spectra in the rest frame. The few that a bundle's canary needs as clients
send them are read from their petals again, and kept beside the others. A second fit to the same
sample then needs no petal, and neither does one after the files are gone.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from outcrop import Band, Spectra
from outcrop.spectra import WAVE

from ..damaged import DamagedPetal
from .config import Config
from .cuts import read_corrected
from .dataset import RestSample, opened


def read_observed(sample: RestSample, rows: NDArray[np.void], config: Config) -> Spectra:
    """Return spectra as clients send them, without masks, in the bands of the first.

    Parameters
    ----------
    sample : RestSample
    rows : (n,) structured
        Rows of the sample.
    config : Config
        That of the sample.

    Raises
    ------
    DamagedPetal
        If one was not read before, and its petal cannot be read now.
    """
    missing = rows[~are_kept(sample, rows)]
    for number in np.unique(missing["petal"]):
        _keep(sample, missing[missing["petal"] == number], config)

    kept: list[dict[str, NDArray[np.float32]]] = []
    for row in rows:
        with np.load(_path(sample, row), allow_pickle=False) as arrays:
            kept.append(dict(arrays))
    bands = {
        name: Band(
            np.stack([one[f"flux_{name}"] for one in kept]),
            np.stack([one[f"ivar_{name}"] for one in kept]),
        )
        for name in WAVE
        if f"flux_{name}" in kept[0]
    }
    return Spectra(
        bands,
        z=rows["z"],
        targetid=rows["targetid"],
        status=np.concatenate([one["status"] for one in kept]).astype(np.int32),
        spectype=rows["spectype"],
    )


def are_kept(sample: RestSample, rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which rows (n,) of a sample were read before."""
    numbers: list[int] = np.unique(rows["petal"]).tolist()
    there = {path for number in numbers for path in sample.folders[number].iterdir()}
    return np.array([_path(sample, row) in there for row in rows], np.bool_)


def _keep(sample: RestSample, rows: NDArray[np.void], config: Config) -> None:
    """Read spectra of one petal and keep them."""
    source = sample.petals[rows["petal"][0]]
    with opened(source) as petal:
        spectra = read_corrected(petal, config.sample.noise_correction)

    place = {int(target): row for row, target in enumerate(spectra.targetid)}
    for row in rows:
        if int(row["targetid"]) not in place:
            raise DamagedPetal(f"{source.coadd} has no TARGETID {row['targetid']} any more")
        one = spectra[np.array([place[int(row["targetid"])]])]
        arrays: dict[str, NDArray[np.generic]] = {"status": one.status}
        for name, band in one.bands.items():
            folded = band.folded()
            arrays[f"flux_{name}"], arrays[f"ivar_{name}"] = folded.flux[0], folded.ivar[0]

        # Complete, or not there.
        path = _path(sample, row)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)


def _path(sample: RestSample, row: NDArray[np.void]) -> Path:
    return sample.folders[row["petal"]] / f"observed-{row['targetid']}.npz"
