"""A label file is read strictly: a mistake in it is named with its line and the remedy."""

import re
from pathlib import Path

import pytest

from explanation.labels import read_labels
from outcrop import InputError

TARGETID = 39627658462038145


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        f"TARGETID,LABEL\n{TARGETID},merger\n-5,Hα emitter\n",
        f"\ufeffTARGETID, LABEL\r\n\r\n {TARGETID} , merger \r\n-5,Hα emitter",
        f'TARGETID,LABEL\n{TARGETID},"merger"\n-5,Hα emitter\n{TARGETID},merger\n,\n',
    ],
)
def test_labels_are_read_by_targetid(tmp_path: Path, content: str) -> None:
    assert read_labels(written(tmp_path, content)) == {TARGETID: "merger", -5: "Hα emitter"}


def test_a_label_may_hold_a_comma(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, 'TARGETID,LABEL\n1,"AGN, type 2"\n')) == {1: "AGN, type 2"}


def test_a_file_may_have_no_labels(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, "TARGETID,LABEL\n")) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: ''; write two columns"),
        ("targetid,label\n1,x\n", "line 1: 'targetid,label'; write two columns, TARGETID,LABEL"),
        ("TARGETID;LABEL\n1;x\n", "line 1: 'TARGETID;LABEL'; write two columns"),
        ("TARGETID,LABEL\n1,x\n2\n", "line 3: '2' has 1 fields"),
        ("TARGETID,LABEL\n1,x,y\n", "line 2: '1,x,y' has 3 fields"),
        ("TARGETID,LABEL\n1.5,x\n", "line 2: TARGETID '1.5' is not a whole number"),
        ("TARGETID,LABEL\n3.96e16,x\n", "line 2: TARGETID '3.96e16' is not a whole number"),
        ("TARGETID,LABEL\n,x\n", "line 2: TARGETID '' is not a whole number"),
        ("TARGETID,LABEL\n٣,x\n", "line 2: TARGETID '٣' is not a whole number"),
        (f"TARGETID,LABEL\n{2**63},x\n", f"line 2: TARGETID {2**63} has more than 64 bits"),
        ("TARGETID,LABEL\n1,\n", "line 2: label ''; write 1 to 100 printable"),
        ("TARGETID,LABEL\n1,\x1b[31m\n", "line 2: label '\\x1b[31m'; write 1 to 100 printable"),
        (f"TARGETID,LABEL\n1,{'x' * 101}\n", "line 2: label 'xxx"),
        ("TARGETID,LABEL\n1,x\n\n1,y\n", "line 4: TARGETID 1 is labelled 'y', and 'x' above"),
        ('TARGETID,LABEL\n1,"x\n', "line 2: unexpected end of data"),
        (b"TARGETID,LABEL\n1,\xff\n", "is not UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        read_labels(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read \(No such file"):
        read_labels(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory"):
        read_labels(tmp_path)
