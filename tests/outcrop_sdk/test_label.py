"""What a label may say."""

import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explanation.labels import HEADER, read_labels
from outcrop import InputError
from outcrop.label import (
    FIELDS,
    LABEL_COLUMNS,
    Label,
    check_fields,
    check_scanner,
    check_targetid,
    format_labels,
    guarded,
    unguarded,
)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("interest", 0, 0),
        ("interest", 5, 5),
        ("interest", None, None),
        ("vi_quality", 4, 4),
        ("issues", "SCR", "RCS"),
        ("issues", None, ""),
        ("z", -0.001, -0.001),
        ("z", 2, 2.0),
        ("spectype", "QSO", "QSO"),
        ("spectype", None, ""),
        ("comment", " Hα, broad ", "Hα, broad"),
        ("comment", "x" * 100, "x" * 100),
    ],
)
def test_a_value_is_kept(name: str, value: Any, kept: Any) -> None:
    assert check_fields({name: value}) == {name: kept}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("interest", value) for value in (-1, 6, 2.0, True, "3")],
        *[("vi_quality", value) for value in (-1, 5, False)],
        *[("issues", value) for value in ("X", "RCSR", "r", 1, ["R"])],
        *[("z", value) for value in (-1, 10, math.nan, math.inf, "0.1", True)],
        *[("spectype", value) for value in ("galaxy", 1)],
        *[("comment", value) for value in ("x" * 101, "two\nlines", "bell\a", 3)],
        ("quality", 3),
    ],
)
def test_another_value_is_refused_by_field_value_and_remedy(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{name}.*; \w+") as caught:
        check_fields({name: value})
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("scanner", ["A", "ABC", "Desi Arnaz", "a.b-c_d"])
def test_a_scanner_has_a_name(scanner: str) -> None:
    assert check_scanner(scanner) == scanner


@pytest.mark.parametrize(
    "scanner", ["", " ", "A ", "=1+1", "-A", "A,B", 'A"', "elevenchars", "Åsa", "A\n", "@x"]
)
def test_no_name_of_a_scanner(scanner: str) -> None:
    with pytest.raises(InputError, match=r"scanner .* is no name; write 1 to 10"):
        check_scanner(scanner)


def test_a_targetid_has_64_bits() -> None:
    assert check_targetid(2**63 - 1) == 2**63 - 1
    with pytest.raises(InputError, match=f"TARGETID {2**63} has more than 64 bits"):
        check_targetid(2**63)


def test_the_fields_are_those_that_have_a_value() -> None:
    assert Label(1, "ABC", interest=0, z=0.0).fields == {"interest": 0, "z": 0.0}
    assert list(FIELDS) == ["interest", "vi_quality", "issues", "z", "spectype", "comment"]


@pytest.mark.parametrize(
    ("label", "summary"),
    [
        (
            Label(1, "A", interest=5, issues="RS", spectype="QSO", comment="BAL, broad"),
            "BAL, broad",
        ),
        (Label(1, "A", interest=5, issues="RS", spectype="QSO"), "QSO"),
        (Label(1, "A", interest=5, issues="RS"), "bad redshift, bad spectrum"),
        (Label(1, "A", interest=0), "interest 0"),
        (Label(1, "A", z=0.1, vi_quality=4), ""),
    ],
)
def test_what_a_spectrum_is_in_a_word(label: Label, summary: str) -> None:
    assert label.summary == summary


def test_of_a_target_the_last_summary_is_written() -> None:
    labels = [
        Label(2, "A", comment="later", time=datetime(2026, 2, 1, tzinfo=UTC)),
        Label(2, "B", comment="earlier", time=datetime(2026, 1, 1, tzinfo=UTC)),
        Label(2, "C", z=0.1, time=datetime(2026, 3, 1, tzinfo=UTC)),
        Label(1, "B", comment="=1, a formula"),
    ]
    assert format_labels(labels).decode() == 'TARGETID,LABEL\n1,"\'=1, a formula"\n2,later\n'
    assert LABEL_COLUMNS == HEADER


printable = st.text(max_size=100).filter(lambda text: text.isprintable() and text == text.strip())


@given(st.dictionaries(st.integers(-(2**63), 2**63 - 1), printable.filter(bool)))
def test_any_labels_are_read_where_spectra_are_explained(comments: dict[int, str]) -> None:
    labels = [Label(targetid, "A", comment=comment) for targetid, comment in comments.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "labels.csv")
        path.write_bytes(format_labels(labels))
        found = read_labels(path)
    assert found == {targetid: guarded(text)[:100] for targetid, text in comments.items()}


@given(st.text(st.sampled_from("'\" ;=+-@a|1."), max_size=12))
def test_a_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    bare = guarded(text).lstrip("\"' ")
    assert guarded(text)[:1] in ("'", "") or bare[:1] not in tuple("=@")
