"""Petals come from folders and plans, in an order that a seed gives."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from model_store.bundle import Bundle
from outcrop import InputError, find_petals
from outcrop.plan import Plan
from tests.outcrop_sdk.file_server import FileServer
from training import TrainingError
from training.__main__ import main
from training.damaged import DamagedPetal
from training.evaluation.scale import write_plan
from training.model.cache import cache_root
from training.model.config import Config, Cuts, load_config
from training.model.dataset import opened, read_sample, read_samples
from training.model.observed import are_kept, read_observed
from training.model.sources import PetalSource, drawn, find_sources

Command = Callable[..., CompletedProcess[str]]


def plan_of(sky: Path, path: Path) -> Path:
    """Write a plan of all petals of a simulated sky."""
    write_plan(sky, path)
    return path


@pytest.fixture
def copy(sky: Path, tmp_path: Path) -> Path:
    """The sky's petals in a folder that a test may remove."""
    shutil.copytree(sky, tmp_path / "sky")
    return tmp_path / "sky"


@pytest.fixture
def plan(copy: Path, tmp_path: Path) -> Path:
    return plan_of(copy, tmp_path / "plan.ecsv")


def with_spectra(config: Config, number: int) -> Config:
    """Return a configuration that asks for a number of spectra."""
    limits = config.sample.model_copy(update={"spectra": number})
    return config.model_copy(update={"sample": limits})


def test_a_plan_gives_the_sample_that_its_folder_gives(plan: Path, sky: Path, tiny: Path) -> None:
    config = load_config(tiny)
    planned, found = (read_sample([path], config, cache_root()) for path in (plan, sky))
    np.testing.assert_array_equal(planned.rows, found.rows)
    assert (planned.tiles, planned.counts) == (found.tiles, found.counts)
    every = np.arange(len(found.rows))
    np.testing.assert_array_equal(planned.take(every), found.take(every))


def test_a_second_reading_of_a_plan_needs_no_file(plan: Path, copy: Path, tiny: Path) -> None:
    config = load_config(tiny)
    first = read_sample([plan], config, cache_root())
    shutil.rmtree(copy)
    again = read_sample([plan], config, cache_root())
    assert (again.key, again.counts, again.damaged) == (first.key, first.counts, ())

    # What was not read before is missed.
    other = config.model_copy(update={"sample": Cuts(redshift_range=(0.1, 0.2))})
    with pytest.raises(TrainingError, match=r"4 of 4 petals are damaged.*does not exist"):
        read_sample([plan], other, cache_root())


def test_a_local_coadd_that_is_reduced_again_is_read_again(
    plan: Path, copy: Path, tiny: Path
) -> None:
    config = load_config(tiny)
    first = read_sample([plan], config, cache_root())
    rows = np.arange(len(first.rows))
    before, _ = first.take(rows)

    coadd = find_petals(copy)[0].coadd
    size = coadd.stat().st_size
    with fits.open(coadd, mode="update") as hdus:
        flux: Any = hdus["R_FLUX"]
        flux.data *= 2
    assert coadd.stat().st_size == size
    again = read_sample([plan], config, cache_root())
    assert not np.array_equal(again.take(rows)[0], before)


def test_a_plan_that_states_another_size_is_another_sample(
    plan: Path, copy: Path, tiny: Path, tmp_path: Path
) -> None:
    config = load_config(tiny)
    before = read_sample([plan], config, cache_root())
    for petal in find_petals(copy):
        fits.append(petal.coadd, np.zeros(1))
    after = read_sample([plan_of(copy, tmp_path / "new.ecsv")], config, cache_root())
    assert after.key != before.key
    np.testing.assert_array_equal(after.rows, before.rows)


def test_a_coadd_of_another_size_than_planned_is_damaged(plan: Path, copy: Path) -> None:
    coadd = find_petals(copy)[0].coadd
    size = coadd.stat().st_size
    coadd.write_bytes(coadd.read_bytes()[:-2880])
    source = next(one for one in find_sources([plan]) if one.coadd == str(coadd))
    told = rf"{coadd.name} has {size - 2880} bytes, its plan says {size}: .*make the plan anew"
    with pytest.raises(DamagedPetal, match=told), opened(source):
        pass


def test_petals_are_drawn_until_there_are_as_many_spectra_as_asked_for(
    plan: Path, copy: Path, tiny: Path
) -> None:
    config = load_config(tiny)
    every = read_sample([plan], config, cache_root())
    bright = [
        set(rows["targetid"][rows["snr"] > 5])
        for rows in (every.rows[every.rows["petal"] == number] for number in range(4))
    ]

    order = [find_sources([plan]).index(one) for one in drawn(find_sources([plan]), 0)]
    two = sum(len(bright[number]) for number in order[:2])
    for wanted, petals in ((1, 1), (two, 2), (two + 1, 3)):
        some = read_sample([plan], with_spectra(config, wanted), cache_root())
        numbers = sorted(order[:petals])
        assert some.petals == tuple(find_sources([plan])[number] for number in numbers)
        assert some.counts["rows"] == 500 * petals

    # Of the cache, whatever their number.
    shutil.rmtree(copy)
    assert len(read_sample([plan], with_spectra(config, two), cache_root()).petals) == 2


def test_other_seeds_draw_other_petals_and_a_longer_plan_keeps_the_order() -> None:
    sources = [PetalSource(f"coadd-{n}.fits", f"redrock-{n}.fits", planned=True) for n in range(40)]
    first, second = drawn(sources, 0), drawn(sources, 1)
    assert first != second
    assert set(first) == set(second) == set(sources)
    assert [one for one in first if one in sources[:20]] == drawn(sources[:20], 0)
    # Another copy of the release, in other folders.
    copy = [replace(one, coadd=f"https://host/{one.coadd}") for one in sources]
    assert [copy.index(one) for one in drawn(copy, 0)] == [sources.index(one) for one in first]
    # A draw is spread over the release.
    assert 4 < sum(sources.index(one) < 20 for one in first[:20]) < 16


def test_samples_of_two_configurations_are_those_of_each(plan: Path, tiny: Path) -> None:
    config = load_config(tiny)
    narrow = config.model_copy(update={"sample": Cuts(redshift_range=(0.1, 0.2), spectra=1)})
    pair = read_samples([plan], [config, narrow], cache_root())
    for one, limits in zip(pair, (config, narrow), strict=True):
        alone = read_sample([plan], limits, cache_root())
        assert (one.key, one.petals) == (alone.key, alone.petals)
    assert [len(one.petals) for one in pair] == [4, 1]


def test_a_plan_without_petals_and_one_that_is_none_are_named(tmp_path: Path) -> None:
    Plan(str(tmp_path), ()).write(tmp_path / "empty.ecsv")
    with pytest.raises(TrainingError, match=r"no pair of coadd.* below .*empty\.ecsv"):
        find_sources([tmp_path / "empty.ecsv"])
    (tmp_path / "not.ecsv").write_text("hello\n")
    with pytest.raises(InputError, match=r"not\.ecsv is no plan"):
        find_sources([tmp_path / "not.ecsv"])


def test_observed_spectra_are_kept_once_read(plan: Path, copy: Path, tiny: Path) -> None:
    config = load_config(tiny)
    sample = read_sample([plan], config, cache_root())
    rows = sample.rows[sample.index][[0, 5, -1]]
    assert not are_kept(sample, rows).any()
    first = read_observed(sample, rows, config)

    shutil.rmtree(copy)
    again = read_observed(sample, rows[::-1], config)
    assert (
        again.targetid.tolist() == first.targetid[::-1].tolist() == rows["targetid"][::-1].tolist()
    )
    for name in "brz":
        np.testing.assert_array_equal(again.bands[name].flux[::-1], first.bands[name].flux)
        np.testing.assert_array_equal(again.bands[name].ivar[::-1], first.bands[name].ivar)

    assert are_kept(sample, sample.rows[sample.index]).sum() == 3
    with pytest.raises(DamagedPetal, match="does not exist"):
        read_observed(sample, sample.rows[sample.index][:2], config)


def test_a_sample_is_calibrated_and_fitted_to_after_its_files_are_gone(
    plan: Path, copy: Path, bundle: Path, tiny: Path, tmp_path: Path, command: Command
) -> None:
    for name in ("first", "second"):
        assert main(["calibrate", str(bundle), str(plan), "--output", str(tmp_path / name)]) == 0
        shutil.rmtree(copy, ignore_errors=True)
    first, second = (Bundle.open(tmp_path / name) for name in ("first", "second"))
    for name in ("calibration.npz", "canary.npz", "drift.npz"):
        assert first.manifest.files[name] == second.manifest.files[name], name

    # Another choice of canary spectra, from those that are kept.
    output = tmp_path / "third"
    done = command("-m", "training", "fit", plan, "--output", output, "--config", tiny)
    assert done.returncode == 0, done.stderr
    assert "the canary is chosen among spectra that an earlier fit kept" in done.stderr
    kept, chosen = (
        set(one.arrays("canary.npz")["targetid"].tolist()) for one in (first, Bundle.open(output))
    )
    assert chosen
    assert chosen <= kept


def test_a_plan_with_an_address_is_read_from_there_once(
    sky: Path,
    tiny: Path,
    secure: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTCROP_REMOTE_CACHE", str(tmp_path / "remote"))
    config = load_config(tiny)
    write_plan(sky, tmp_path / "here.ecsv")
    for petal in find_petals(sky):
        for file in (petal.coadd, petal.redrock):
            secure.add(f"/sky/{file.relative_to(sky)}", file.read_bytes())
    plan = Plan.read(tmp_path / "here.ecsv", root=f"{secure.url}/sky")
    plan.write(tmp_path / "afar.ecsv")

    first = read_sample([tmp_path / "afar.ecsv"], config, tmp_path / "cache")
    requests = len(secure.ranges)
    again = read_sample([tmp_path / "afar.ecsv"], config, tmp_path / "cache")
    assert requests > 0
    assert len(secure.ranges) == requests

    here = read_sample([sky], config, cache_root())
    assert (first.key, first.counts, first.tiles) == (again.key, here.counts, here.tiles)
    every = np.arange(len(here.rows))
    np.testing.assert_array_equal(first.take(every), here.take(every))
    assert first.simulated


def test_petals_that_a_folder_and_its_plan_name_count_once(
    sky: Path, plan: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = len(find_petals(sky))
    assert len(find_sources([plan, copy])) == number
    assert len(find_sources([copy, plan])) == number
    monkeypatch.chdir(copy.parent)
    assert len(find_sources([copy, copy.name])) == number
