"""Addresses: which files may be fetched."""

import pytest

from outcrop import InputError
from outcrop._remote.address import Address, is_loopback, is_remote


@pytest.mark.parametrize(
    ("text", "scheme", "host", "key", "name"),
    [
        ("https://a.gov/dr1/coadd-1.fits", "https", "a.gov", "dr1/coadd-1.fits", "coadd-1.fits"),
        ("https://a.gov:8443/c.fits.gz", "https", "a.gov:8443", "c.fits.gz", "c.fits.gz"),
        ("s3://desidata/dr1/c.fits", "s3", "desidata", "dr1/c.fits", "c.fits"),
        ("http://127.0.0.1:80/c.fits", "http", "127.0.0.1:80", "c.fits", "c.fits"),
        ("http://[::1]:80/c.fits", "http", "[::1]:80", "c.fits", "c.fits"),
        (
            "http://localhost/a%20b/c%20d.fits",
            "http",
            "localhost",
            "a%20b/c%20d.fits",
            "c%20d.fits",
        ),
    ],
)
def test_an_address_is_taken_apart(text: str, scheme: str, host: str, key: str, name: str) -> None:
    address = Address.parse(text)
    assert (address.scheme, address.host, address.key, address.name) == (scheme, host, key, name)
    assert address.folder + address.name == text == address.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://data.desi.lbl.gov/c.fits", "is not encrypted"),
        ("http://127.0.0.1.evil.org/c.fits", "is not encrypted"),
        ("ftp://a.gov/c.fits", "is not https:// or s3://"),
        ("file:///etc/c.fits", "is not https:// or s3://"),
        ("https://a.gov/", "does not name a file"),
        ("https://a.gov", "does not name a file"),
        ("https://a.gov/b/../c.fits", "does not name a file"),
        ("https://a.gov//c.fits", "does not name a file"),
        ("https://a.gov/.hidden", "does not name a file"),
        ("https://a.gov/c;rm.fits", "does not name a file"),
        ("https://a.gov/" + "c" * 300, "does not name a file"),
        ("https:///c.fits", "does not name a host"),
        ("https://a.gov/c.fits?token=1", "has a query"),
        ("https://a.gov/c.fits?", "has a query"),
        ("https://a.gov/c.fits#1", "has a query"),
        ("https://a.gov:port/c.fits", "is not an address"),
        ("https://[a.gov/c.fits", "is not an address"),
        ("https://a.gov/é.fits", "not ASCII"),
        ("https://a.gov/a b.fits", "not ASCII"),
        ("https://a.gov/a\nb.fits", "not ASCII"),
        ("https://a.gov/" + "a/" * 600 + "c.fits", "longer than 1000"),
        ("s3://B/c.fits", "does not name a bucket"),
        ("s3://bucket", "does not name a file"),
    ],
)
def test_other_addresses_are_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        Address.parse(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="a user or a password") as raised:
        Address.parse("https://me:secret@a.gov/c.fits")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("https://a/b", True),
        ("S3://a/b", True),
        ("gopher://a", True),
        ("a/b.fits", False),
        ("/a:b//c.fits", False),
        ("c:/a.fits", False),
    ],
)
def test_addresses_are_told_from_paths(path: str, remote: bool) -> None:
    assert is_remote(path) is remote


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), (None, False)],
)
def test_this_machine_is_recognised(host: str | None, own: bool) -> None:
    assert is_loopback(host) is own
