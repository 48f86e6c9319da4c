"""Petals: complete, reproducible, each target in the truth."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from outcrop.petals import find_petals
from tests.training.sky.helpers import SEED, table
from training.sky.anomalies import STRENGTHS
from training.sky.files import SimulatedPetal
from training.sky.petals import make_petal, simulate
from training.sky.targets import Targets


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.fits"))
    }


def test_targetids_are_desis_and_unique(truth: dict[int, dict[str, str]], injected: Path) -> None:
    ids = [table(petal.coadd, "FIBERMAP")["TARGETID"] for petal in find_petals(injected)]
    assert len(np.unique(ids)) == np.size(ids) == 1000
    assert all(targetid > 2**53 for targetid in truth)


def test_dead_fibers_have_no_data_and_a_status(made: tuple[SimulatedPetal, Targets]) -> None:
    petal, _ = made
    dead = petal.redshifts["ZWARN"] & (1 << 9) != 0
    assert dead.any()
    for frame in petal.frames.values():
        assert (frame.ivar[dead] == 0).all()
        assert (frame.ivar[~dead] > 0).any(axis=1).all()
    assert (petal.redshifts["Z"][dead] == 0).all()
    assert (petal.redshifts["SPECTYPE"][dead] == "GALAXY").all()
    assert (petal.fibermap["COADD_FIBERSTATUS"][dead] & ~(1 << 3) != 0).all()
    assert (petal.fibermap["COADD_FIBERSTATUS"][~dead] & ~(1 << 3) == 0).all()


@pytest.mark.long
def test_a_larger_sky_begins_with_the_petals_of_a_smaller_one(
    injected: Path, tmp_path: Path
) -> None:
    simulate(tmp_path, petals=1, seed=SEED, anomalies=0.5)
    before, after = _digests(injected), _digests(tmp_path)
    assert len(after) == 2
    assert after.items() <= before.items()


@pytest.mark.long
def test_another_seed_is_another_sky(made: tuple[SimulatedPetal, Targets]) -> None:
    first, _ = made
    second, _ = make_petal(SEED + 1, 0)
    assert first.tile != second.tile
    assert not set(first.fibermap["TARGETID"]) & set(second.fibermap["TARGETID"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"petals": 0, "seed": 1}, "petals is 0"),
        ({"petals": 1, "seed": -1}, "seed is -1"),
        ({"petals": 1, "seed": 1, "anomalies": 1.5}, "anomalies is 1.5"),
        ({"petals": 1, "seed": 1, "nuisances": -0.1}, "nuisances is -0.1"),
    ],
)
def test_impossible_arguments_are_rejected(
    tmp_path: Path, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "none", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_truth_lists_every_target_once(truth: dict[int, dict[str, str]], injected: Path) -> None:
    fibermap = np.concatenate([table(petal.coadd, "FIBERMAP") for petal in find_petals(injected)])
    assert set(truth) == set(fibermap["TARGETID"][fibermap["OBJTYPE"] == b"TGT"].tolist())
    assert list(next(iter(truth.values()))) == ["TARGETID", "KIND", "TRUE_Z", "STRENGTH"]


def test_the_wanted_share_is_injected_in_equal_parts(truth: dict[int, dict[str, str]]) -> None:
    kinds = Counter(row["KIND"] for row in truth.values())
    inlier = kinds.pop("")
    assert abs((len(truth) - inlier) / len(truth) - 0.5) < 0.005
    assert set(kinds) == set(STRENGTHS)
    assert max(kinds.values()) - min(kinds.values()) <= 2
