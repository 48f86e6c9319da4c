"""Plans are read as they were written, and nothing else is taken for one."""

import os
import resource
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from outcrop import InputError
from outcrop.plan import LARGEST_PLAN, Plan, PlannedPetal

ROOT = "https://data.desi.lbl.gov/public/dr1/spectro/redux/iron"
TILE = PlannedPetal(
    "tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits",
    "tiles/cumulative/80613/20210324/redrock-4-80613-thru20210324.fits",
    tileid=80613,
    petal=4,
    size=213_000_000,
)
PIXEL = PlannedPetal(
    "healpix/main/bright/272/27247/coadd-main-bright-27247.fits",
    "healpix/main/bright/272/27247/redrock-main-bright-27247.fits",
    survey="main",
    program="bright",
    healpix=27247,
    spectra=1204,
)
ADAPTIVE = PlannedPetal(
    "spectra/special/dark/6996/699669/coadd-special-dark-699669.fits",
    "spectra/special/dark/6996/699669/redrock-special-dark-699669.fits",
    survey="special",
    program="dark",
    uniqpix=699669,
)
META: dict[str, Any] = {
    "source": "zall-pix-iron.fits",
    "survey": ["main", "special"],
    "z_range": [0.0, 0.3],
    "counts": {"main/bright": 1204},
    "made": "2026-11-26T19:00:00",
    "no": "no",
    "resolved": True,
}


def written(folder: Path, *petals: PlannedPetal, root: str = ROOT, **meta: Any) -> Path:
    path = folder / "plan.ecsv"
    Plan(root, petals or (TILE, PIXEL), meta).write(path, overwrite=True)
    return path


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan.read(written(tmp_path, TILE, PIXEL, ADAPTIVE, **META))
    assert plan.root == ROOT
    assert plan.petals == (PIXEL, ADAPTIVE, TILE)
    assert plan.meta == META


def test_a_plan_is_a_table_that_astropy_reads(tmp_path: Path) -> None:
    table = Table.read(written(tmp_path, TILE, PIXEL))
    assert list(table["coadd"]) == [PIXEL.coadd, TILE.coadd]
    assert table["healpix"].dtype == np.int64
    assert table.meta["root"] == ROOT


def test_a_plan_that_a_user_made_with_astropy_is_read(tmp_path: Path) -> None:
    table = Table({"coadd": [TILE.coadd], "redrock": [TILE.redrock], "petal": [4]})
    table.meta = {"outcrop": "plan", "root": "/data"}
    for delimiter in (" ", ","):
        table.write(tmp_path / "own.ecsv", delimiter=delimiter, overwrite=True)
        assert Plan.read(tmp_path / "own.ecsv").petals == (
            PlannedPetal(TILE.coadd, TILE.redrock, petal=4),
        )


def test_another_root_serves_the_same_plan(tmp_path: Path) -> None:
    plan = Plan.read(written(tmp_path, PIXEL), root="/global/iron/")
    assert plan.address(plan.petals[0].coadd) == f"/global/iron/{PIXEL.coadd}"
    assert Plan("/", ()).address("coadd-1.fits") == "/coadd-1.fits"


@pytest.mark.parametrize(
    "root", ["data", "/data/DESI A & B", "s3://desidata/dr1", "https://data.gov:80/x", "~/é *"]
)
def test_folders_and_addresses_are_roots(tmp_path: Path, root: str) -> None:
    assert Plan.read(written(tmp_path, PIXEL, root=root)).root == root


@pytest.mark.parametrize(
    "root",
    [
        "",
        "ftp://x/y",
        # Whoever made a plan chooses the root: no server of this machine or of the inner network.
        "http://127.0.0.1:80/x",
        "http://data.gov/x",
        "file:///etc",
        "s3://",
        "https:///x",
        "a\nb",
        "x\x00",
        "memory://",
        "https:/x",
    ],
)
def test_other_roots_are_refused(tmp_path: Path, root: str) -> None:
    with pytest.raises(InputError, match=r"root of the plan is .*expected a folder, or an address"):
        Plan(root, (PIXEL,))
    path = written(tmp_path, PIXEL)
    with pytest.raises(InputError, match=r"plan\.ecsv: root of the plan"):
        Plan.read(path, root=root)


def test_a_plan_of_no_petals_is_a_plan(tmp_path: Path) -> None:
    Plan(ROOT, ()).write(tmp_path / "plan.ecsv")
    assert Plan.read(tmp_path / "plan.ecsv").petals == ()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/coadd-1.fits",
        "../coadd-1.fits",
        "healpix/../../coadd-1.fits",
        "healpix//coadd-1.fits",
        "./coadd-1.fits",
        "healpix/%2e%2e/coadd-1.fits",
        "c:/coadd-1.fits",
        "https://elsewhere/coadd-1.fits",
        "a\\..\\coadd-1.fits",
        "coadd-1.fits?x=.fits",
        "#coadd-1.fits",
        "coadd\n1.fits",
        "coadd\x00.fits",
        "coadd\u2028.fits",
        "coadd\udc80.fits",
        "coadd-1.fits/",
        "coadd-1.txt",
        f"{'a' * 1000}.fits",
        f"{'a' * 196}.fits",
        f"{'é' * 101}/coadd-1.fits",
    ],
)
@pytest.mark.parametrize("name", ["coadd", "redrock"])
def test_paths_stay_below_the_root(name: str, path: str) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; expected a "):
        replace(TILE, **{name: path})


def test_the_message_of_a_path_is_exact() -> None:
    with pytest.raises(InputError) as caught:
        replace(TILE, coadd="../coadd-1.fits")
    assert str(caught.value) == (
        "coadd is '../coadd-1.fits'; expected a path below the root, without .. and with single "
        "slashes"
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("survey", "main/..", "up to 20 letters and digits"),
        ("survey", "x" * 21, "up to 20 letters and digits"),
        ("program", "bright dark", "up to 20 letters and digits"),
        ("program", 3, "up to 20 letters and digits"),
        ("healpix", -2, "a whole number, 0 or more, or -1 where there is none"),
        ("tileid", 1.0, "a whole number, 0 or more, or -1 where there is none"),
        ("petal", True, "a whole number, 0 or more, or -1 where there is none"),
        ("spectra", "500", "a whole number, 0 or more, or -1 where there is none"),
        ("size", 1 << 53, "a whole number, 0 or more, or -1 where there is none"),
        ("size", np.int64(3), "a whole number, 0 or more, or -1 where there is none"),
    ],
)
def test_other_values_are_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(TILE, **{name: value})
    assert str(caught.value) == f"{name} of {TILE.coadd} is {value!a}; expected {expected}"


@pytest.mark.parametrize("second", [TILE, replace(TILE, coadd=f"{TILE.coadd}.gz")])
def test_a_coadd_is_planned_once(second: PlannedPetal) -> None:
    with pytest.raises(InputError, match=r"is in the plan twice; keep one of its rows"):
        Plan(ROOT, (TILE, PIXEL, second))


@pytest.mark.parametrize(
    "value",
    [None, object(), 1 << 63, float("nan"), float("inf"), {1: "x"}, [[[[["deep"]]]]], b"bytes"],
)
def test_meta_of_other_kinds_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"meta 'x'.* of the plan is .*expected texts, numbers"):
        Plan(ROOT, (TILE,), {"x": value})


def test_an_earlier_plan_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, TILE)
    with pytest.raises(InputError, match=r"plan\.ecsv exists; choose another name or overwrite it"):
        Plan(ROOT, (PIXEL,)).write(path)
    assert Plan.read(path).petals == (TILE,)

    Plan(ROOT, (PIXEL,)).write(path, overwrite=True)
    assert Plan.read(path).petals == (PIXEL,)
    assert list(tmp_path.iterdir()) == [path]


def test_where_no_plan_can_be_written_nothing_is(tmp_path: Path) -> None:
    plan = Plan(ROOT, (PIXEL,))
    with pytest.raises(InputError, match=r"plan\.fits is no name of a plan; end it with \.ecsv"):
        plan.write(tmp_path / "plan.fits")
    with pytest.raises(InputError, match=r"its folder .* does not exist"):
        plan.write(tmp_path / "no" / "plan.ecsv")

    # What could not be read again is not written.
    with pytest.raises(InputError, match="its header has more than 64 kB"):
        Plan(ROOT, (PIXEL,), {"targets": list(range(20_000))}).write(tmp_path / "plan.ecsv")
    with pytest.raises(InputError, match="its header has anchors or tags"):
        Plan(ROOT, (PIXEL,), {"note": "a !tag"}).write(tmp_path / "plan.ecsv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# %ECSV 1.0", "coadd redrock", r"is no plan: its first line is not # %ECSV 1\.0; make"),
        ("# - {outcrop: plan}", "# - {outcrop: map}", "is no plan: its meta has no outcrop: plan"),
        ("# meta: !!omap", "# meta: [", "is no plan: its header is not YAML"),
        ("# - {outcrop: plan}", "# - &a {outcrop: plan}", "its header has anchors or tags"),
        ("# - {outcrop: plan}", "# - !x {outcrop: plan}", "its header has anchors or tags"),
        ("# schema: astropy-2.0", "# delimiter: ';'", "its delimiter is ';'; expected a space"),
        (" program healpix", " program helpix", "the row of names: its columns are .*helpix"),
        ("\ncoadd redrock ", "\ncoadd coadd ", "the row of names: its columns are"),
        ("\ncoadd redrock ", "\n\ncoadd redrock ", "the row of names: its columns are"),
        (" 27247 ", " 27247.0 ", "row 1: healpix is '27247.0'; expected a whole number"),
        (" 27247 ", " 2_7 ", "row 1: healpix is '2_7'; expected a whole number"),
        (" 27247 ", " ٣ ", "row 1: healpix is .*; expected a whole number"),
        (" 27247 ", ' "" ', "row 1: healpix is ''; expected a whole number"),
        (" 80613 ", " ", "row 2: 9 values; expected 10"),
        (" 80613 ", ' "80613 ', "row 2: unexpected end of data"),
        (" bright ", " bri\rght ", "row 1: "),
        ("tiles/cumulative", "../cumulative", r"row 2: coadd is '\.\./cumulative"),
        ("tiles/cumulative", "/cumulative", "row 2: coadd is '/cumulative"),
        (f"root: '{ROOT}'", "root: 'file:///etc'", "root of the plan is 'file:///etc'"),
        (f"# - {{root: '{ROOT}'}}\n", "", "root of the plan is ''; expected a folder"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = changed(written(tmp_path), old, new)
    with pytest.raises(InputError, match=message) as caught:
        Plan.read(path)
    assert str(caught.value).startswith(str(path))


def test_the_message_of_a_row_is_exact(tmp_path: Path) -> None:
    path = changed(written(tmp_path), " 213000000", " much")
    with pytest.raises(InputError) as caught:
        Plan.read(path)
    assert str(caught.value) == (
        f"{path}, row 2: size is 'much'; expected a whole number, or -1 where unknown"
    )


def test_files_that_are_not_text_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        Plan.read(tmp_path / "none.ecsv")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Plan.read(tmp_path)
    for content in (
        b"",
        b"\x00" * 100,
        b"# %ECSV 1.0\n\xff",
        b"SIMPLE  =",
        "# %ECSV".encode("utf-16"),
    ):
        (tmp_path / "x.ecsv").write_bytes(content)
        with pytest.raises(InputError, match=r"x\.ecsv is no plan: "):
            Plan.read(tmp_path / "x.ecsv")


@pytest.mark.parametrize("path", ["huge", "/dev/zero"])
def test_huge_files_are_not_read(tmp_path: Path, path: str) -> None:
    huge = tmp_path / path
    if path == "huge":
        huge.touch()
        os.truncate(huge, 1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="more than 64 MB, which no plan has; make several plans"):
        Plan.read(huge)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 3 * LARGEST_PLAN


BOMBS = {
    "aliases": ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)],
    "merges": ["a0: &a0 {x: y}"]
    + [f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)],
    "nested": ["a: " + "[" * 30_000],
    "python": ["a: !!python/object/apply:os.system ['true']"],
    "array": ["a: !numpy.ndarray {buffer: !!binary AA==, dtype: float64, order: C, shape: [9]}"],
    "mixin": ["__serialized_columns__: {coadd: {__class__: os.system}}"],
    "number": ["a: 1" + ":59" * 20_000],
}


@pytest.mark.parametrize("kind", BOMBS)
def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path, kind: str) -> None:
    lines = "\n".join(f"#   {line}" for line in ["outcrop: plan", f"root: {ROOT}", *BOMBS[kind]])
    path = written(tmp_path)
    text = path.read_text()
    start, end = text.index("# meta:"), text.index("# schema")
    path.write_text(f"{text[:start]}# meta:\n{lines}\n{text[end:]}")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), hard))
    try:
        if kind == "mixin":
            # Read as any other text: no column is made of it.
            assert len(Plan.read(path).petals) == 2
        else:
            with pytest.raises(InputError, match=r"plan\.ecsv"):
                Plan.read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_damaged_plans_are_plans_or_refused(tmp_path: Path) -> None:
    content = written(tmp_path, TILE, PIXEL, ADAPTIVE, **META).read_bytes()
    rng = np.random.default_rng(14)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(len(damaged)))
            damaged[at] = int(rng.choice(list(b" \n\r\t\"'#&*!{}[]:,/.-019a\x00\x80\xff")))
        (tmp_path / "damaged.ecsv").write_bytes(bytes(damaged))
        try:
            plan = Plan.read(tmp_path / "damaged.ecsv")
        except InputError:
            refused += 1
            continue
        for petal in plan.petals:
            assert not Path(petal.coadd).is_absolute()
            assert ".." not in Path(petal.coadd).parts
    assert 100 < refused < 400


def test_a_fifo_is_read_to_its_end(tmp_path: Path) -> None:
    content = written(tmp_path).read_bytes()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    assert len(Plan.read(fifo).petals) == 2
    writer.join()
