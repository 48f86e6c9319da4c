"""Pairs of coadd and redrock files are found in every layout."""

import logging
from pathlib import Path

import pytest

from outcrop import InputError, Petal, find_petals, require_petals
from outcrop.petals import find_coadds_without_redrock, pair_files


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_nested_and_flat_folders_are_searched_and_sorted(tmp_path: Path) -> None:
    tile = "tiles/cumulative/80613/20210324"
    pixel = "healpix/sv3/dark/272/27247"
    touch(
        tmp_path,
        f"{tile}/redrock-4-80613-thru20210324.fits",
        f"{tile}/coadd-4-80613-thru20210324.fits",
        f"{pixel}/coadd-sv3-dark-27247.fits",
        f"{pixel}/redrock-sv3-dark-27247.fits",
        "coadd-flat.fits",
        "redrock-flat.fits",
        "notes.txt",
    )
    found = [petal.redrock.relative_to(tmp_path).as_posix() for petal in find_petals(tmp_path)]
    assert found == [
        f"{pixel}/redrock-sv3-dark-27247.fits",
        "redrock-flat.fits",
        f"{tile}/redrock-4-80613-thru20210324.fits",
    ]


@pytest.mark.parametrize("coadd", ["coadd-1.fits", "coadd-1.fits.gz"])
@pytest.mark.parametrize(
    "redrock", ["redrock-1.fits", "redrock-1.fits.gz", "zbest-1.fits", "zbest-1.fits.gz"]
)
def test_old_names_and_gzipped_files_pair_up(tmp_path: Path, coadd: str, redrock: str) -> None:
    touch(tmp_path, coadd, redrock)
    assert find_petals(tmp_path) == [Petal(tmp_path / coadd, tmp_path / redrock)]


def test_a_petal_is_found_once_however_many_files_describe_it(tmp_path: Path) -> None:
    touch(tmp_path, "coadd-1.fits", "coadd-1.fits.gz", "zbest-1.fits")
    touch(tmp_path, "redrock-1.fits.gz", "redrock-1.fits")
    assert find_petals(tmp_path) == [Petal(tmp_path / "coadd-1.fits", tmp_path / "redrock-1.fits")]


def test_a_redrock_file_alone_is_left_out_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "redrock-1.fits", "coadd-2.fits")
    with caplog.at_level(logging.WARNING):
        assert find_petals(tmp_path) == []
    assert str(tmp_path / "redrock-1.fits") in caplog.text


@pytest.mark.parametrize("name", ["absent", "coadd-1.fits"])
def test_a_path_that_is_not_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "coadd-1.fits")
    with pytest.raises(InputError, match=f"{name} is not a folder"):
        find_petals(tmp_path / name)


def test_a_pair_below_two_folders_is_listed_once(tmp_path: Path) -> None:
    touch(tmp_path, "coadd-1.fits", "redrock-1.fits", "below/coadd-2.fits", "below/redrock-2.fits")
    found = require_petals(tmp_path / "below", tmp_path)
    assert [petal.coadd.name for petal in found] == ["coadd-2.fits", "coadd-1.fits"]


def test_folders_without_a_pair_are_refused_where_one_is_required(tmp_path: Path) -> None:
    touch(tmp_path, "a/redrock-1.fits", "b/coadd-1.fits")
    with pytest.raises(InputError, match=r"no pair of coadd-\*\.fits and .* below .*/a, .*/b; "):
        require_petals(tmp_path / "a", tmp_path / "b")


def test_coadds_without_redrock_file_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "a/coadd-1.fits", "a/coadd-1.fits.gz", "a/coadd-2.fits", "a/redrock-2.fits.gz")
    touch(tmp_path, "b/coadd-2.fits", "b/coadd-3.fits.gz", "b/zbest-3.fits", "b/coadd-4.txt")
    found = find_coadds_without_redrock(tmp_path)
    assert found == [tmp_path / "a/coadd-1.fits", tmp_path / "b/coadd-2.fits"]


def test_files_are_paired_by_their_names() -> None:
    coadds = ["x/coadd-2-1-thru3.fits.gz", "x/coadd-1-1-thru3.fits"]
    pairs = pair_files(coadds, ["y/zbest-1-1-thru3.fits", "y/redrock-2-1-thru3.fits"])
    assert pairs == [
        Petal(Path(coadds[0]), Path("y/redrock-2-1-thru3.fits")),
        Petal(Path(coadds[1]), Path("y/zbest-1-1-thru3.fits")),
    ]
    assert pair_files(["a.fits"], ["b.fits"]) == [Petal(Path("a.fits"), Path("b.fits"))]


@pytest.mark.parametrize(
    "redrocks",
    [
        ["redrock-1.fits"],
        ["redrock-1.fits", "redrock-3.fits"],
        ["redrock-1.fits", "zbest-1.fits", "redrock-2.fits"],
    ],
)
def test_files_without_a_partner_are_refused(redrocks: list[str]) -> None:
    with pytest.raises(InputError, match="redrock files are not pairs of the same names"):
        pair_files(["coadd-1.fits", "coadd-2.fits"], redrocks)
