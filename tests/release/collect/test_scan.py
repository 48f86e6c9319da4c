"""Tables that cannot be in one catalogue are refused, and named."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError, ModelIdentity
from outcrop.plan import Plan, PlannedPetal
from release.collect.scan import scan
from tests.outcrop_sdk.sample import some_model
from tests.release.collect.made_tables import HEALPIX, write_release, write_table

BRIGHT = f"{HEALPIX}/outliers-main-bright-10000.fits"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write_release(tmp_path / "scores")


def plan_of(folder: Path, *more: str) -> Plan:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.fits"))
    coadds = [name.replace("outliers", "coadd") for name in found] + list(more)
    petals = tuple(
        PlannedPetal(name, name.replace("coadd", "redrock"), "special", "backup") for name in coadds
    )
    return Plan("/somewhere", petals)


def test_all_tables_are_indexed(tables: Path) -> None:
    index = scan(tables).index
    assert sorted(index.targetid.tolist()) == [1, 2, 3, 3, 5, 6, 7, 12, 1000, 1001]
    # Of rows that are not eligible the p-value does not count.
    assert np.isnan(index.p_value[index.targetid == 12]).all()
    np.testing.assert_allclose(index.p_value[index.targetid == 7], 1 / 8)
    for number, table in enumerate(index.tables):
        assert len(index.targetid[index.rows_of(number)]) == table.rows


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no outliers"):
        scan(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        scan(tmp_path / "nowhere")


def test_tables_of_another_model_are_refused_with_their_names(tables: Path) -> None:
    other = ModelIdentity("outcrop", "20270101", "cd" * 32)
    write_table(tables / "outliers-odd.fits", [77], model=other)
    with pytest.raises(InputError) as caught:
        scan(tables)
    message = str(caught.value)
    assert "2 models" in message
    assert f"{some_model().identity} in 4" in message
    assert f"{other} in 1, as {tables}/outliers-odd.fits" in message


@pytest.mark.parametrize(
    ("cards", "what"),
    [({"SPECPROD": "fuji"}, "2 spectroscopic productions: iron in 4, .*fuji in 1")],
)
def test_tables_of_another_production_are_refused(
    tables: Path, cards: dict[str, str], what: str
) -> None:
    write_table(tables / "outliers-odd.fits", [77], cards=cards)
    with pytest.raises(InputError, match=what):
        scan(tables)


def test_a_coadd_that_was_scored_twice_is_refused(tables: Path) -> None:
    write_table(tables / "copy" / Path(BRIGHT).name, [1, 2, 3, 12], healpix=10000)
    with pytest.raises(InputError, match=r"are both of coadd-main-bright-10000\.fits; remove one"):
        scan(tables)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_table_is_named_and_refused_unless_allowed(tables: Path, share: float) -> None:
    path = tables / BRIGHT
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError) as caught:
        scan(tables)
    assert "of 4 tables 1 cannot be read" in str(caught.value)
    assert f"  {path}" in str(caught.value)
    assert "--allow-missing" in str(caught.value)

    scanned = scan(tables, allow_missing=True)
    assert len(scanned.index.tables) == 3
    assert str(path) in scanned.damaged[0]


def test_a_release_without_one_good_table_is_refused_always(tmp_path: Path) -> None:
    (tmp_path / "outliers-1.fits").write_bytes(b"SIMPLE")
    with pytest.raises(InputError, match="none of the 1 tables"):
        scan(tmp_path, allow_missing=True)


def test_a_planned_coadd_without_table_is_named_and_refused_unless_allowed(tables: Path) -> None:
    plan = plan_of(tables, "healpix/main/dark/1/102/coadd-main-dark-102.fits")
    with pytest.raises(InputError) as caught:
        scan(tables, plan)
    assert "1 planned coadds have no table" in str(caught.value)
    assert "healpix/main/dark/1/102/coadd-main-dark-102.fits" in str(caught.value)
    assert scan(tables, plan, allow_missing=True).missing == [
        "healpix/main/dark/1/102/coadd-main-dark-102.fits"
    ]


def test_a_table_that_is_not_planned_is_refused(tables: Path) -> None:
    plan = plan_of(tables)
    assert len(scan(tables, plan).index.tables) == 4
    write_table(tables / "outliers-odd.fits", [77])
    with pytest.raises(InputError, match=r"outliers-odd\.fits is not planned"):
        scan(tables, plan)


def test_survey_and_program_come_from_the_plan_where_the_coadd_has_none(tmp_path: Path) -> None:
    write_table(tmp_path / "outliers-1.fits", [1], survey="", program="")
    write_table(tmp_path / "outliers-2.fits", [2])
    found = [table.partition for table in scan(tmp_path).index.tables]
    assert found == [("unknown", "unknown"), ("main", "bright")]
    found = [table.partition for table in scan(tmp_path, plan_of(tmp_path)).index.tables]
    assert found == [("special", "backup"), ("main", "bright")]


def test_the_program_of_a_tile_may_be_in_faprgrm(tmp_path: Path) -> None:
    write_table(tmp_path / "outliers-1.fits", [1], program="", tileid=1, cards={"FAPRGRM": "DARK"})
    assert scan(tmp_path).index.tables[0].partition == ("main", "dark")


@pytest.mark.parametrize("survey", ["../../x", "a b", "x" + "/" * 3])
def test_a_name_never_leads_out_of_the_catalogue(tmp_path: Path, survey: str) -> None:
    write_table(tmp_path / "outliers-1.fits", [1], survey=survey)
    with pytest.raises(InputError, match=r"SURVEY is .*expected letters"):
        scan(tmp_path)


def test_other_tables_are_no_score_tables(tables: Path) -> None:
    content = (tables / BRIGHT).read_bytes()
    (tables / BRIGHT).write_bytes(content.replace(b"MODELSHA", b"MODELSHX"))
    with pytest.raises(InputError, match="has no MODELSHA in the header of OUTLIERS"):
        scan(tables)


def test_coadds_that_the_last_run_has_not_scored_are_refused(tables: Path) -> None:
    plan = plan_of(tables, "healpix/main/dark/1/102/coadd-main-dark-102.fits")
    # An earlier run into the folder had another plan.
    later = Plan(plan.root, plan.petals[1:])
    (tables / "run").mkdir()
    later.write(tables / "run/plan.ecsv")
    with pytest.raises(InputError, match="1 planned coadds have no table"):
        scan(tables)
    found = scan(tables, allow_missing=True)
    assert found.missing == ["healpix/main/dark/1/102/coadd-main-dark-102.fits"]
    assert len(found.index.tables) == 4
