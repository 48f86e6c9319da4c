"""What is selected of a catalogue."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError
from outcrop.plan import PlannedPetal
from release.plan.selection import PlanSelection, read_targetids

IDS = np.array([39627745978059235, 5, -3, 2305843009213693951], np.int64)
Z = np.array([0.0, 0.1, 0.3, 0.2])
ZWARN = np.array([0, 4, 0, 1 << 9])
SPECTYPE = np.array([b"GALAXY", b"QSO", b"GALAXY ", b"GALAXY"])


def rows(selection: PlanSelection) -> list[bool]:
    return selection.rows(IDS, Z, ZWARN, SPECTYPE).tolist()


def test_everything_is_selected_by_default() -> None:
    assert rows(PlanSelection()) == [True] * 4
    assert PlanSelection().rows(IDS, None, None, None).all()


def test_redshifts_lie_between_and_rows_without_data_are_left_out() -> None:
    assert rows(PlanSelection(z_range=(0, 0.3))) == [False, True, False, False]
    assert rows(PlanSelection(z_range=(-1, 1))) == [True, True, True, False]


def test_types_are_compared_without_padding_as_bytes_or_text() -> None:
    assert rows(PlanSelection(spectypes=("GALAXY",))) == [True, False, True, False]
    text = SPECTYPE.astype(np.str_)
    wanted = PlanSelection(spectypes=("QSO", "STAR")).rows(IDS, Z, ZWARN, text)
    assert wanted.tolist() == [False, True, False, False]


def test_targetids_are_found_or_reported() -> None:
    wanted = np.array([-3, 7, 39627745978059235])
    selection = PlanSelection(targetids=wanted, found=np.zeros(3, np.bool_))
    assert rows(selection) == [True, False, True, False]
    assert selection.not_found.tolist() == [7]
    selection.rows(np.array([7]), None, None, None)
    assert selection.not_found.tolist() == []


def test_all_that_is_selected_by_must_hold() -> None:
    ids = PlanSelection(
        spectypes=("QSO",), targetids=np.array([5]), z_range=(0.2, 1), found=np.zeros(1, np.bool_)
    )
    assert rows(ids) == [False] * 4


def test_survey_and_program_are_of_the_coadd() -> None:
    coadd = PlannedPetal("coadd-1.fits", "redrock-1.fits", survey="sv3", program="dark")
    assert PlanSelection().has_program(coadd)
    assert PlanSelection(surveys=("main", "sv3"), programs=("dark",)).has_program(coadd)
    assert not PlanSelection(surveys=("main",)).has_program(coadd)
    assert not PlanSelection(programs=("bright",)).has_program(coadd)

    unknown = PlannedPetal("coadd-1.fits", "redrock-1.fits")
    assert PlanSelection().has_program(unknown)
    with pytest.raises(InputError) as caught:
        PlanSelection(programs=("bright",)).has_program(unknown)
    assert str(caught.value) == (
        "the program of coadd-1.fits is not known, as its name does not tell; plan from "
        "zall-tilecumulative-*.fits (--zcatalog), or without --program"
    )


@pytest.mark.parametrize(
    "text",
    [
        "5\n-3\n39627745978059235\n5\n",
        "\n5\r\n -3\r\n\r\n39627745978059235",
        "TARGETID\n5\n-3\n39627745978059235\n",
        'sparcl_id,targetid,survey\nab,5,main\ncd,"-3",sv1\nef,39627745978059235,main\n',
    ],
)
def test_targetids_are_read_from_lines_and_csv(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids").write_text(text)
    assert read_targetids(tmp_path / "ids").tolist() == [-3, 5, 39627745978059235]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no TARGETID; give one on each line, or a CSV with TARGETID"),
        (b"TARGETID\n", "has no TARGETID"),
        (b"5\nx\n", "line 2: no TARGETID in 'x'; give one on each line, or a CSV of which"),
        (b"5\n1e3\n", "line 2: no TARGETID in '1e3'"),
        (b"5\n9223372036854775808\n", "line 2: no TARGETID in '9223372036854775808'"),
        (b"z,targetid\n0.1\n", r"line 2: no TARGETID in '0\.1'"),
        (b"\xff\xfe", "cannot be read"),
        (b"5" * 100_000, "line 1: no TARGETID in '5555"),
        (b"\x00" * 100_000, r"line 1: no TARGETID in '\\x00"),
    ],
)
def test_other_files_have_no_targetids(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "ids").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_targetids(tmp_path / "ids")
    with pytest.raises(InputError, match=r"cannot be read: .*No such file"):
        read_targetids(tmp_path / "none")
