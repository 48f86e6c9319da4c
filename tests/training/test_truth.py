"""truth.csv is written and read by one module."""

import math
from pathlib import Path

import numpy as np
import pytest

from training import TrainingError
from training.truth import CONTROL, Truth, write_truth


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_truth(
        tmp_path,
        [(5, "", 0.1, math.nan), (6, "blend", 0.2, 0.5), (7, CONTROL, 0.3, 2), (8, "blend", 0, 1)],
    )
    return tmp_path / "truth.csv"


def test_the_truth_is_read_as_it_was_written(written: Path) -> None:
    truth = Truth.read(written)
    assert truth.anomalies() == ["blend"]
    assert truth.kinds([7, 5, 9, 6]).tolist() == [CONTROL, "", "unknown", "blend"]
    np.testing.assert_array_equal(truth.strengths([6, 5, 9]), [0.5, np.nan, np.nan])


def test_an_inlier_has_neither_kind_nor_strength_in_the_file(written: Path) -> None:
    assert written.read_text().splitlines()[:2] == [
        "TARGETID,KIND,TRUE_Z,STRENGTH",
        "5,,0.1000000,",
    ]


def test_strengths_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("TARGETID,KIND\n1,blend\n")
    assert Truth.read(path).kind == {1: "blend"}
    assert math.isnan(Truth.read(path).strength[1])


def test_every_truth_below_a_folder_is_read(written: Path) -> None:
    other = written.parent / "other" / "sky"
    other.mkdir(parents=True)
    write_truth(other, [(9, "cosmic", 0.1, 3)])
    truth = Truth.below(written.parent)
    assert truth.kinds([9, 6, 5, 4]).tolist() == ["cosmic", "blend", "", "unknown"]
    assert truth.strength[9] == 3
    assert Truth.below(other.parent).kind == {9: "cosmic"}
    assert Truth.below(written.parent / "absent").kind == {}


def test_a_truth_without_kinds_is_rejected_by_name(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("TARGETID,CLASS\n1,odd\n")
    with pytest.raises(TrainingError, match=r"truth\.csv: KeyError\('KIND'\)"):
        Truth.read(path)
