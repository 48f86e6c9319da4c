"""Files of visual inspections: prospect's own, and others', and what is merged from them."""

import csv
import io
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop import InputError
from outcrop.label import Label, LabelledSpectrum, guarded
from outcrop.vi import (
    VI_COLUMNS,
    ViTable,
    format_merged,
    format_vi,
    merge_labels,
    read_vi,
    write_vi,
)

# As prospect writes it: quotes are doubled, no field is enclosed.
PROSPECTS = """\
TARGETID,EXPID,NIGHT,TILEID,Spec_version,Redrock_version,Template_version,Redrock_spectype,\
Redrock_z,Redrock_deltachi2,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype,VI_comment
39633345008634465,-1,20210324,80613,0.45.2,0.15.4,-1,GALAXY,0.1234,901.5,ABC,4,,,,
39633345008634466,-1,20210324,80613,0.45.2,0.15.4,-1,STAR,-0.0003,12.0,ABC,1,RC,0.5,GALAXY,\
""broad"" lines; see 2"" apart
39633345008634467,-1,20210324,80613,0.45.2,0.15.4,-1,QSO,2.1000,9.1,ABC,-1,S,,,""\x20
"""
SPECTRUM = LabelledSpectrum(
    night=20210324,
    tileid=80613,
    redrock_spectype="GALAXY",
    redrock_z=0.1,
    redrock_deltachi2=900.05,
)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "desi-vi_80613_ABC.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_as_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("ascii"), newline="")))


def test_a_file_of_prospect_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    path = written(tmp_path, PROSPECTS)
    table = read_vi(path)
    assert table.columns == VI_COLUMNS
    assert table.rows[1]["VI_comment"] == '"broad" lines; see 2" apart'
    write_vi(tmp_path / "again.csv", table)
    assert (tmp_path / "again.csv").read_bytes() == PROSPECTS.encode()


def test_what_it_says_as_labels(tmp_path: Path) -> None:
    first, second, third = read_vi(written(tmp_path, PROSPECTS)).labels()
    assert (first.targetid, first.scanner, first.fields) == (
        39633345008634465,
        "ABC",
        {"vi_quality": 4},
    )
    assert second.fields == {
        "vi_quality": 1,
        "issues": "RC",
        "z": 0.5,
        "spectype": "GALAXY",
        "comment": '"broad" lines; see 2" apart',
    }
    assert third.fields == {"issues": "S", "comment": '"'}
    assert second.spectrum == LabelledSpectrum(
        night=20210324,
        tileid=80613,
        spec_version="0.45.2",
        redrock_version="0.15.4",
        redrock_spectype="STAR",
        redrock_z=-0.0003,
        redrock_deltachi2=12.0,
    )


def test_labels_are_written_with_prospects_rounding_and_words() -> None:
    label = Label(
        *(2**63 - 1, "ABC"),
        vi_quality=3,
        issues="RS",
        z=0.03125,
        spectype="QSO",
        comment="Hα, 5 Å wide; “néw”",
        spectrum=SPECTRUM,
    )
    assert format_vi(ViTable.of([label])).decode() == (
        "TARGETID,NIGHT,TILEID,Redrock_spectype,Redrock_z,Redrock_deltachi2,VI_scanner,"
        "VI_quality,VI_issue,VI_z,VI_spectype,VI_comment\n"
        "9223372036854775807,20210324,80613,GALAXY,0.1000,900.0,ABC,3,RS,0.0313,QSO,"
        "Halpha; 5 Angstrom wide; ?new?\n"
    )


def test_only_labels_with_a_quality_a_comment_an_issue_or_a_redshift_are_written() -> None:
    said = [
        *({"vi_quality": 0}, {"comment": "x"}, {"issues": "S"}, {"z": 0.0}),
        *({"interest": 5}, {"spectype": "QSO"}, {}),
    ]
    labels = [Label(number, "ABC", **fields) for number, fields in enumerate(said)]
    table = ViTable.of(labels)
    assert [row["TARGETID"] for row in table.rows] == ["0", "1", "2", "3"]
    assert [row["VI_quality"] for row in table.rows] == ["0", "-1", "-1", "-1"]
    assert table.columns == ("TARGETID", *VI_COLUMNS[10:])


@pytest.mark.parametrize(
    "comment",
    ["=1+1", "+a", "-x", "@SUM(A1)", " =1", "'=1", '"=1+1', "=cmd|' /C calc'!A0", "'' \"@x"],
)
def test_a_formula_is_harmless_text_in_a_spreadsheet_and_comes_back(
    comment: str, tmp_path: Path
) -> None:
    labels = [Label(1, "ABC", comment=comment, vi_quality=1)]
    content = format_vi(ViTable.of(labels))
    assert read_as_csv(content)[1][-1].startswith("'")

    (label,) = read_vi(written(tmp_path, content)).labels()
    assert label.comment == comment.strip()


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ('a;=1;"@x', "a;'=1;'\"@x"),
        ("a; +cmd|'x'", "a;' +cmd|'x'"),
        ("a; -3 sigma, +2; x=y", "a; -3 sigma; +2; x=y"),
        ("-0.5", "-0.5"),
    ],
)
def test_where_semicolons_separate_columns_it_is_text_too(comment: str, kept: str) -> None:
    row = format_vi(ViTable.of([Label(1, "ABC", comment=comment)])).decode().split("\n")[1]
    assert row.split(",")[-1].replace('""', '"') == kept


def test_csv_of_others_is_read(tmp_path: Path) -> None:
    content = (
        "\ufeffVI_comment,TARGETID,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype\r\n"
        '"a comma, and ""quotes""",12,Desi Arnaz,1,R,0.23,QSO\r\n'
        '--,13,Desi Arnaz,4,--,--,--\r\n"two\r\nlines",14,Desi Arnaz Jr,,,,\r\n'
    )
    table = read_vi(written(tmp_path, content))
    assert table.columns == ("TARGETID", *VI_COLUMNS[10:])
    labels = table.labels()
    assert [label.fields for label in labels] == [
        {
            "vi_quality": 1,
            "issues": "R",
            "z": 0.23,
            "spectype": "QSO",
            "comment": 'a comma, and "quotes"',
        },
        {"vi_quality": 4},
        {"comment": "two lines"},
    ]
    assert {label.scanner for label in labels} == {"Desi Arnaz"}


HEADER = "TARGETID,VI_scanner,VI_quality,VI_issue,VI_z,VI_spectype,VI_comment\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: '' are not the columns of a VI file; give each of TARGETID, VI_scanner"),
        ("TARGETID,LABEL\n1,x\n", "line 1: 'TARGETID,LABEL' are not the columns"),
        (HEADER.replace("VI_z", "TARGETID"), "line 1: .* are not the columns"),
        (HEADER + "1,A,4,,,,\n2,A,4,,,,x,y\n", r"line 3 has 8 fields, not 7 .*; write commas"),
        (HEADER + "1,A,4,,,\n", "line 2 has 6 fields, not 7"),
        (HEADER + "1.5,A,4,,,,\n", "line 2: TARGETID '1.5' is no whole number; correct it"),
        (HEADER + ",A,4,,,,\n", "line 2: TARGETID is empty; give the number"),
        (HEADER + f"{2**63},A,4,,,,\n", f"line 2: TARGETID {2**63} has more than 64 bits"),
        (HEADER + "1,A,5,,,,\n", "line 2: vi_quality 5 is no whole number from 0 to 4"),
        (HEADER + "1,A,x,,,,\n", "line 2: VI_quality 'x' is no whole number"),
        (HEADER + "1,A,4,X,,,\n", "line 2: issues 'X' has other letters than R, C and S"),
        (HEADER + "1,A,4,,z,,\n", "line 2: VI_z 'z' is no number; correct it"),
        (HEADER + "1,A,4,,nan,,\n", "line 2: z nan is no redshift"),
        (HEADER + "1,A,4,,,ELG,\n", "line 2: spectype 'ELG' is unknown; give STAR, GALAXY, QSO"),
        (HEADER + "1,=A,4,,,,\n", "line 2: scanner '=A' is no name; write"),
        (HEADER + '1,A,4,,,,"x\n', "unexpected end of data; save it as CSV with commas"),
        (HEADER.encode() + b"1,A,4,,,,\xff\n", "is not UTF-8"),
        (
            HEADER.replace("VI_s", "NIGHT,VI_s", 1) + f"1,{2**31},A,4,,,,\n",
            "line 2: NIGHT 2147483648 is no number of DESI's",
        ),
    ],
)
def test_a_file_that_is_none_is_refused_by_line_value_and_remedy(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_vi(written(tmp_path, content))
    assert "desi-vi_80613_ABC.csv" in str(caught.value)


def test_a_row_without_a_scanner_needs_one(tmp_path: Path) -> None:
    table = read_vi(written(tmp_path, HEADER + "1,,4,,,,\n"))
    assert [label.scanner for label in table.labels("XYZ")] == ["XYZ"]
    with pytest.raises(InputError, match="row 1: VI_scanner is empty; say whose"):
        table.labels()


def test_a_file_that_is_missing_and_one_that_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*; name a VI file"):
        read_vi(tmp_path / "no.csv")
    path = written(tmp_path, PROSPECTS)
    with pytest.raises(InputError, match="exists; choose another name or overwrite it"):
        write_vi(path, ViTable.of([]))


# Fields as prospect's page can hold them: ASCII of one line without commas.
ascii_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=","))
names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,8}[A-Za-z0-9._-])?", fullmatch=True)
numbers = st.integers(-1, 2**31 - 1).map(str)
versions = st.from_regex(r"-1|[0-9]\.[0-9]{1,2}\.[0-9]", fullmatch=True)
redshifts = st.floats(-0.99, 9.99).map(lambda z: f"{z:.4f}")
harmless = ascii_texts.filter(lambda text: guarded(text) == text)
fields = {
    "TARGETID": st.integers(-(2**63), 2**63 - 1).map(str),
    **{name: numbers for name in ("EXPID", "NIGHT", "TILEID")},
    **{name: versions for name in ("Spec_version", "Redrock_version", "Template_version")},
    "Redrock_spectype": st.sampled_from(["STAR", "GALAXY", "QSO"]),
    "Redrock_z": redshifts,
    "Redrock_deltachi2": st.floats(0, 1e5).map(lambda value: f"{value:.1f}"),
    "VI_scanner": names,
    "VI_quality": st.sampled_from(["-1", "0", "1", "2", "3", "4"]),
    "VI_issue": st.sampled_from(["", "R", "C", "S", "RC", "RS", "CS", "RCS"]),
    "VI_z": st.just("") | redshifts,
    "VI_spectype": st.sampled_from(["", "STAR", "GALAXY", "QSO"]),
    "VI_comment": harmless,
}


@given(st.lists(st.fixed_dictionaries(fields)), st.sets(st.sampled_from(VI_COLUMNS[1:10])))
def test_any_file_of_prospect_comes_back_byte_for_byte(
    rows: list[dict[str, str]], left_out: set[str]
) -> None:
    columns = [name for name in VI_COLUMNS if name not in left_out]
    lines = [[row[name].replace('"', '""') for name in columns] for row in rows]
    content = "".join(",".join(line) + "\n" for line in [columns, *lines]).encode()
    with tempfile.TemporaryDirectory() as folder:
        table = read_vi(written(Path(folder), content))
    assert format_vi(table) == content
    assert [row["VI_comment"] for row in table.rows] == [row["VI_comment"] for row in rows]


labels = st.builds(
    Label,
    targetid=st.integers(-(2**63), 2**63 - 1),
    scanner=names,
    vi_quality=st.integers(0, 4),
    issues=st.sampled_from(["", "R", "RCS"]),
    z=st.none() | st.integers(-9_999, 99_999).map(lambda number: number / 10_000),
    spectype=st.sampled_from(["", "STAR", "GALAXY", "QSO"]),
    comment=ascii_texts.map(lambda text: text[:90].strip()).filter(lambda text: text != "--"),
)


@given(st.lists(labels))
def test_any_labels_come_back(labels: list[Label]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_vi(written(Path(folder), format_vi(ViTable.of(labels)))).labels()
    assert [(each.targetid, each.scanner, each.fields) for each in found] == [
        (each.targetid, each.scanner, each.fields) for each in labels
    ]


@given(st.text(max_size=300))
def test_any_text_is_written_as_short_ascii_in_one_field(comment: str) -> None:
    comment = "".join(filter(str.isprintable, comment))[:100].strip()
    content = format_vi(ViTable.of([Label(1, "ABC", vi_quality=1, comment=comment)]))
    assert content.isascii()
    lines = content.decode().split("\n")
    assert [len(line.split(",")) for line in lines[:2]] == [7, 7]
    assert lines[2:] == [""]
    assert len(lines[1].replace('""', '"').split(",")[-1]) <= 101


def merged_from(*labels: Label) -> list[str]:
    (merged,) = merge_labels(labels)
    return read_as_csv(format_merged([merged]))[1]


def test_scanners_who_agree_are_averaged() -> None:
    first = Label(*(7, "ABC"), vi_quality=4, issues="S", comment="BAL, broad", spectrum=SPECTRUM)
    second = Label(7, "XYZ", vi_quality=3, issues="R", z=0.1004, comment="=x", spectrum=SPECTRUM)
    assert merge_labels([first, second])[0].conflicts == ()
    assert merged_from(first, second) == [
        *("7", "0.1000", "0.1002", "3.5", "GALAXY", "GALAXY", "RS", "BAL; broad =x", "none"),
        *("2", "900.0", "80613"),
    ]


@pytest.mark.parametrize(
    ("second", "best", "conflicts"),
    [
        ({"vi_quality": 2}, ("0.1000", "999", "GALAXY"), ("qualities 4 and 2",)),
        ({"vi_quality": 3}, ("0.1000", "3.5", "GALAXY"), ()),
        ({"z": 0.1 + 1.1 * 0.00329}, ("0.1018", "4", "GALAXY"), ()),
        ({"z": 0.1 + 1.1 * 0.00331}, ("0.1000", "4", "GALAXY"), ("redshifts 0.1000 and 0.1036",)),
        ({"spectype": "QSO"}, ("0.1000", "4", "GALAXY"), ("spectypes GALAXY and QSO",)),
        (
            {"spectype": "QSO", "z": 2.0, "vi_quality": 0},
            ("0.1000", "999", "GALAXY"),
            ("qualities 4 and 0", "redshifts 0.1000 and 2.0000", "spectypes GALAXY and QSO"),
        ),
    ],
)
def test_desis_rules_of_conflicts(
    second: dict[str, object], best: tuple[str, str, str], conflicts: tuple[str, ...]
) -> None:
    labels = [
        Label(7, "ABC", vi_quality=4, spectrum=SPECTRUM),
        Label(7, "XYZ", spectrum=SPECTRUM, **({"vi_quality": 4} | second)),  # type: ignore[arg-type]
    ]
    (merged,) = merge_labels(labels)
    assert merged.conflicts == conflicts
    row = merged_from(*labels)
    assert (row[2], row[3], row[5]) == best


def test_one_scanner_has_no_conflict_and_the_last_label_counts() -> None:
    labels = [
        Label(7, "ABC", vi_quality=4, spectrum=SPECTRUM),
        Label(3, "ABC", comment="no redshift"),
        Label(7, "ABC", vi_quality=0, spectrum=SPECTRUM),
        Label(5, "ABC", interest=5),
    ]
    merged = merge_labels(labels)
    assert [(each.targetid, each.number, each.conflicts) for each in merged] == [
        (3, 1, ()),
        (7, 1, ()),
    ]
    assert math.isnan(merged[0].best_z)
    assert merged[1].best_quality == 0
    assert read_as_csv(format_merged(merged))[1][:4] == ["3", "", "", ""]
