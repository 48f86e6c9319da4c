"""S3 source: moto's S3 server, and one that fails."""

import hashlib
import time
from collections.abc import Callable

import pytest

from outcrop import ConnectionFailed, InputError, OutcropError, ServerError, Timeout, WireError
from outcrop._remote import s3_source
from outcrop._remote.address import Address
from outcrop._remote.s3_source import S3Source
from tests.outcrop_sdk.file_server import FileFault, FileServer, answers, cuts, drips, fails

CONTENT = bytes(range(256)) * 40

Put = Callable[[str, bytes], str]


@pytest.fixture
def failing(files: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A server that the objects of all buckets are read from."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", files.url)
    s3_source._file_system.cache_clear()
    return files


def test_a_range_is_read(bucket: Put) -> None:
    part = S3Source(Address.parse(bucket("dr1/a.fits", CONTENT))).get(100, 200)
    assert part.content == CONTENT[100:200]
    assert part.version.size == len(CONTENT)
    assert part.version.etag == f'"{hashlib.md5(CONTENT).hexdigest()}"'  # noqa: S324
    assert abs(part.version.mtime / 1e9 - time.time()) < 600
    assert part.version.mtime % 10**9 == 0


def test_a_range_ends_with_the_file(bucket: Put) -> None:
    part = S3Source(Address.parse(bucket("dr1/a.fits", CONTENT))).get(10000, 1 << 40)
    assert part.content == CONTENT[10000:]


def test_credentials_are_never_sent(failing: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    sent: list[str | None] = []
    failing.faults = [lambda handler: sent.append(handler.headers["Authorization"]) is not None]
    failing.add("/desidata/a.fits", CONTENT)
    assert S3Source(Address.parse("s3://desidata/a.fits")).get(0, 5).content == CONTENT[:5]
    assert sent == [None]


@pytest.mark.parametrize(
    "address", ["s3://desidata/dr1/absent.fits", "s3://no-such-bucket/dr1/a.fits"]
)
def test_what_is_absent_is_named(bucket: Put, address: str) -> None:
    with pytest.raises(InputError, match=f"{address} does not exist"):
        S3Source(Address.parse(address)).get(0, 1)


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (fails(403), InputError, "is not public"),
        (fails(503, Retry_After="7"), ServerError, "503"),
        (fails(416), OutcropError, "416"),
        (answers(200, b"a" * 100), WireError, "no Content-Range"),
        (answers(206, b"a" * 100, Content_Range="bytes 1-100/999"), WireError, "asked for"),
        (answers(206, b"a" * 200, Content_Range="bytes 0-99/999"), WireError, "announced"),
        (cuts, ConnectionFailed, "s3://desidata/a.fits"),
    ],
)
def test_other_answers_are_refused(
    failing: FileServer, fault: FileFault, kind: type[OutcropError], why: str
) -> None:
    failing.faults = [fault]
    with pytest.raises(kind, match=why):
        S3Source(Address.parse("s3://desidata/a.fits")).get(0, 100)
    # Repeated by this package, not by s3fs and botocore too.
    assert len(failing.ranges) == 1


def test_the_pause_that_a_server_asks_for_is_read(failing: FileServer) -> None:
    failing.faults = [fails(503, Retry_After="7")]
    with pytest.raises(ServerError) as raised:
        S3Source(Address.parse("s3://desidata/a.fits")).get(0, 100)
    assert raised.value.retry_after == 7


def test_a_server_that_drips_is_given_up(
    failing: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._remote.s3_source.REMOTE_TIMEOUT", 0.5)
    failing.faults = [drips(failing.closing)]
    with pytest.raises(Timeout, match="no answer within"):
        S3Source(Address.parse("s3://desidata/a.fits")).get(0, 100)


def test_the_checksum_files_of_a_folder_are_found(bucket: Put) -> None:
    address = bucket("list/a.fits", CONTENT)
    for key in ("list/dr1_b.sha256sum", "list/a.sha256sum", "list/c/d.sha256sum", "e.sha256sum"):
        bucket(key, b"")
    assert S3Source(Address.parse(address)).names() == ["a.sha256sum", "dr1_b.sha256sum"]
