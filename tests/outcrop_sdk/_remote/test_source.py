"""Sources: what is common to all protocols."""

import sys

import pytest

from outcrop import InputError, OutcropError, ServerError, WireError
from outcrop._remote.http_source import HttpSource
from outcrop._remote.s3_source import S3Source
from outcrop._remote.source import failure, open_source, range_of, tag_of


def test_the_scheme_chooses_the_source() -> None:
    assert isinstance(open_source("https://a.gov/c.fits"), HttpSource)
    assert isinstance(open_source("s3://bucket/c.fits"), S3Source)


@pytest.mark.parametrize(
    ("address", "package"), [("https://a.gov/c.fits", "fsspec"), ("s3://bucket/c.fits", "s3fs")]
)
def test_a_missing_package_is_named_with_the_remedy(
    address: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("outcrop._remote.http_source", "outcrop._remote.s3_source"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"{package}.*pip install fsspec aiohttp s3fs"):
        open_source(address)


def test_a_range_is_that_which_was_asked_for() -> None:
    assert range_of("bytes 10-19/1000", 10, 20, "a") == (10, 1000)
    # The end of the file.
    assert range_of("bytes 990-999/1000", 990, 2000, "a") == (10, 1000)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "bytes 0-9/1000",
        "bytes 10-18/1000",
        "bytes 10-20/1000",
        "bytes 10-19/*",
        "bytes 10-19/15",
        "bytes 10-19/" + "9" * 40,
        "bits 10-19/1000",
    ],
)
def test_another_range_is_refused(text: str | None) -> None:
    with pytest.raises(WireError, match="bytes 10-19 were asked for"):
        range_of(text, 10, 20, "a")


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        ('"1f-2"', '"1f-2"'),
        ('W/"1f"', 'W/"1f"'),
        ("a b", ""),
        ("é", ""),
        ("x" * 65, ""),
        (None, ""),
    ],
)
def test_an_etag_is_kept_where_a_header_can_hold_it(etag: str | None, kept: str) -> None:
    assert tag_of(etag) == kept


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (404, InputError, "does not exist"),
        (403, InputError, "is not public"),
        (503, ServerError, "503 busy"),
        (418, OutcropError, "418 busy"),
    ],
)
def test_an_error_says_what_it_is_of(status: int, kind: type[OutcropError], why: str) -> None:
    error = failure("https://a.gov/c.fits", status, "busy", 3.0)
    assert isinstance(error, kind)
    assert why in str(error)
    assert "https://a.gov/c.fits" in str(error)
