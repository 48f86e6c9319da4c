"""The command release plan: what it prints, writes and refuses."""

from pathlib import Path

import numpy as np
import pytest

from outcrop.plan import Plan
from release.__main__ import main
from release.plan.files import find_files
from release.plan.layouts import of_pixel, of_tile
from tests.release.plan.helpers import row, touch, write_catalogue

PETALS = [of_pixel("healpix", "main", program, 27247, 2) for program in ("bright", "dark")]


@pytest.fixture
def zcatalog(tmp_path: Path) -> Path:
    rows = [row(1), row(2, Z=0.2), row(1, PROGRAM="dark"), row(3, PROGRAM="dark", SPECTYPE="QSO")]
    return write_catalogue(tmp_path / "zall-pix-test.fits", rows)


def test_a_plan_of_a_catalogue_for_a_server(
    zcatalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "plan.ecsv"
    arguments = ["plan", "--zcatalog", str(zcatalog), "--output", str(output)]
    arguments += ["--root", "https://example.org/iron"]
    assert main([*arguments, "--rate", "1000", "--bandwidth", "50"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{zcatalog}: 4 spectra selected, in 2 coadds",
        f"{output}: 2 coadds, 4 spectra, of unknown size",
        "  healpix main/bright: 1 coadds, 2 spectra, of unknown size",
        "  healpix main/dark: 1 coadds, 2 spectra, of unknown size",
        "score: 4 spectra / 1,000 spectra/s a core = 0.004 s of one core (1.11e-06 core-hours)",
        "  1 node of 128 cores: 3.1e-05 s",
        "  10 nodes of 128 cores: 3.1e-06 s",
        "fetch: 4 spectra x 95,496 B = 0.000382 GB / 50 MB/s = 0.0076 s",
    ]

    plan = Plan.read(output)
    assert plan.root == "https://example.org/iron"
    assert plan.petals == tuple(PETALS)
    assert plan.meta == {
        "source": "zall-pix-test.fits",
        "selection": {},
        "selected": 4,
        "missing": 0,
        "counts": {
            "healpix main/bright": {"coadds": 1, "spectra": 2},
            "healpix main/dark": {"coadds": 1, "spectra": 2},
        },
    }


def test_selections_are_kept_in_the_plan(zcatalog: Path, tmp_path: Path) -> None:
    touch(tmp_path, PETALS)
    (tmp_path / "ids").write_text("TARGETID\n1\n3\n")
    output = tmp_path / "plan.ecsv"
    arguments = ["plan", "--zcatalog", str(zcatalog), "--output", str(output)]
    arguments += ["--root", str(tmp_path), "--survey", "main", "sv3", "--z-range", "0", "0.3"]
    arguments += ["--spectype", "QSO", "--targetids", str(tmp_path / "ids")]
    assert main(arguments) == 0
    plan = Plan.read(output)
    assert [one.coadd for one in plan.petals] == [PETALS[1].coadd]
    assert plan.root == str(tmp_path)
    assert plan.meta["selection"] == {
        "survey": ["main", "sv3"],
        "z_range": [0.0, 0.3],
        "spectype": ["QSO"],
        "targetids": str(tmp_path / "ids"),
    }


def test_what_is_missing_is_said_and_listed(
    zcatalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, PETALS)
    (tmp_path / PETALS[0].coadd).unlink()
    (tmp_path / "ids").write_text("1\n99\n")
    output, listed = tmp_path / "plan.ecsv", tmp_path / "plan.missing.txt"
    arguments = ["plan", "--zcatalog", str(zcatalog), "--output", str(output)]
    arguments += ["--root", str(tmp_path)]
    assert main([*arguments, "--targetids", str(tmp_path / "ids")]) == 0
    assert capsys.readouterr().out.splitlines()[1:4] == [
        f"missing, so not planned: 2; all are in {listed}:",
        "  99: no such TARGETID",
        f"  {PETALS[0].coadd}: it does not exist",
    ]
    assert listed.read_text() == f"99\tno such TARGETID\n{PETALS[0].coadd}\tit does not exist\n"
    assert Plan.read(output).meta["missing"] == 2

    # A later plan without any does not keep the list.
    touch(tmp_path, PETALS)
    assert main([*arguments, "--overwrite"]) == 0
    assert not listed.exists()
    assert len(Plan.read(output).petals) == 2


def test_where_nothing_is_there_no_plan_is_made(
    zcatalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "plan.ecsv"
    arguments = ["plan", "--zcatalog", str(zcatalog), "--output", str(output)]
    assert main([*arguments, "--root", str(tmp_path)]) == 1
    assert f"error: no plan is made of {zcatalog}: no coadd is" in capsys.readouterr().err
    assert (tmp_path / "plan.missing.txt").read_text().count("\n") == 2
    assert main([*arguments, "--root", "s3://desidata/dr1", "--survey", "sv1"]) == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--zcatalog needs --root: the folder or address of the release"),
        (["--root", "ftp://x/y"], "root of the plan is 'ftp://x/y'; expected a folder, or an"),
        (["--root", "none"], "none is not a folder; name the one that holds healpix or tiles"),
        (["--root", ".", "--ask-server"], "--ask-server needs --zcatalog and a --root that is an"),
        (["--root", ".", "--rate", "0"], "--rate is 0.0; expected a number above 0"),
        (["--root", ".", "--rate", "nan"], "--rate is nan; expected a number above 0"),
        (["--root", ".", "--rate", "1", "--rate-of", "."], "both --rate and --rate-of are given"),
        (["--root", ".", "--rate-of", "."], "no journal of scored spectra; name the --output of a"),
        (["--root", ".", "--bandwidth", "3"], "--bandwidth needs --rate or --rate-of"),
        (["--root", ".", "--z-range", "1", "0"], "--z-range is [1.0, 0.0]; expected the smaller"),
        (["--root", ".", "--targetids", "none"], "none cannot be read: "),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    zcatalog: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    output = tmp_path / "plan.ecsv"
    assert main(["plan", "--zcatalog", str(zcatalog), "-o", str(output), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("root", "name", "message"),
    [("http://a.b/c", "plan.ecsv", "root of the plan is"), (".", "plan.fits", "end it with .ecsv")],
)
def test_a_plan_that_cannot_be_is_refused_before_the_catalogue_is_read(
    zcatalog: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    root: str,
    name: str,
    message: str,
) -> None:
    arguments = ["plan", "--zcatalog", str(zcatalog), "-o", str(tmp_path / name), "--root", root]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


def test_an_earlier_plan_is_kept(
    zcatalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "plan.ecsv"
    output.write_text("earlier")
    arguments = ["plan", "--zcatalog", str(zcatalog), "-o", str(output), "--root", "s3://a-b/c"]
    assert main(arguments) == 1
    assert "plan.ecsv exists; choose another name or overwrite it" in capsys.readouterr().err
    assert output.read_text() == "earlier"
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.long
def test_catalogue_and_tree_of_a_simulated_release_agree(
    simulated_release: Path, tmp_path: Path
) -> None:
    root = str(simulated_release)
    folder = simulated_release / "zcatalog" / "v1"
    planned: list[Plan] = []
    for name in ("pix", "tilecumulative"):
        output = tmp_path / f"{name}.ecsv"
        catalogue = str(folder / f"zall-{name}-simulated.fits")
        assert main(["plan", "--zcatalog", catalogue, "--root", root, "-o", str(output)]) == 0
        planned.append(Plan.read(output))
    assert main(["plan", "--tree", root, "-o", str(tmp_path / "tree.ecsv")]) == 0
    tree = Plan.read(tmp_path / "tree.ecsv")

    def values(plan: Plan) -> list[tuple[object, ...]]:
        # The names of a tile's files do not tell its survey and program.
        return [
            (one.coadd, one.redrock, one.healpix, one.tileid, one.petal, one.spectra, one.size)
            for one in plan.petals
        ]

    assert values(tree) == values(planned[0]) + values(planned[1])
    assert len(tree.petals) == 4
    assert {one.program for one in planned[0].petals} == {"bright", "dark"}
    assert find_files(simulated_release, tree.petals).petals == list(tree.petals)
    assert np.sum([one.spectra for one in tree.petals]) == 4 * 30


def test_a_plan_of_both_layouts_is_warned_of(
    zcatalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each spectrum would be scored twice, by different noise."""
    both = [of_pixel("healpix", "main", "bright", 27247, 1), of_tile("", "", 80613, 4, 20210324, 1)]
    touch(tmp_path, both)
    for petal in both:
        write_catalogue(tmp_path / petal.redrock, [row(1)], name="REDSHIFTS")
    arguments = ["plan", "-o", str(tmp_path / "plan.ecsv"), "--overwrite", "--tree"]
    assert main([*arguments, str(tmp_path)]) == 0
    assert "warning: the plan mixes coadds of healpix and tiles" in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "tiles")]) == 0
    assert "warning" not in capsys.readouterr().out
