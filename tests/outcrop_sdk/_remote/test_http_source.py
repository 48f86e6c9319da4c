"""HTTP source: a real server over HTTPS, with the faults that servers have."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from outcrop import ConnectionFailed, InputError, OutcropError, ServerError, Timeout, WireError
from outcrop._remote.address import Address
from outcrop._remote.http_source import HttpSource
from outcrop._remote.source import Version
from tests.outcrop_sdk.file_server import (
    MODIFIED,
    FileFault,
    FileServer,
    answers,
    cuts,
    described,
    drips,
    endless,
    fails,
    send,
)

CONTENT = bytes(range(256)) * 40


def source(server: FileServer, path: str = "/dr1/a.fits") -> HttpSource:
    return HttpSource(Address.parse(server.add(path, CONTENT)))


def test_a_range_is_read_over_https(secure: FileServer) -> None:
    assert secure.url.startswith("https://")
    part = source(secure).get(100, 200)
    assert part.content == CONTENT[100:200]
    etag = described(CONTENT)["ETag"]
    assert part.version == Version(len(CONTENT), MODIFIED * 10**9, etag)
    assert secure.ranges == [("/dr1/a.fits", 100, 199)]


def test_a_range_ends_with_the_file(files: FileServer) -> None:
    assert source(files).get(10000, 1 << 40).content == CONTENT[10000:]


def test_a_server_that_says_nothing_of_the_version_is_accepted(files: FileServer) -> None:
    files.faults = [answers(206, b"ab", Content_Range="bytes 0-1/9", Last_Modified="yesterday")]
    assert source(files).get(0, 2).version == Version(9, 0, "")


def test_a_small_file_may_be_sent_as_a_whole(files: FileServer) -> None:
    files.faults = [answers(200, CONTENT), answers(200, CONTENT)]
    part = source(files).get(100, 200)
    assert part.content == CONTENT[100:]
    assert part.version.size == len(CONTENT)


@pytest.mark.parametrize(
    "fault",
    [
        answers(200, b"", Content_Length=str(1 << 40)),
        endless(200),
    ],
)
def test_a_large_file_without_ranges_is_refused(files: FileServer, fault: FileFault) -> None:
    files.faults = [fault]
    with pytest.raises(InputError, match=r"as a whole only .*; copy the file"):
        source(files).get(0, 100)


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        (fails(404), InputError, "does not exist"),
        (fails(403), InputError, "is not public"),
        (fails(503, Retry_After="7"), ServerError, "503"),
        (fails(416), OutcropError, "416"),
        (answers(206, b"a" * 100), WireError, "no Content-Range"),
        (answers(206, b"a" * 100, Content_Range="bytes 1-100/999"), WireError, "asked for"),
        (answers(206, b"a" * 200, Content_Range="bytes 0-99/999"), WireError, "another number"),
        (answers(206, b"a" * 9, Content_Range="bytes 0-99/999"), WireError, "another number"),
        (endless(206, Content_Range="bytes 0-99/999"), WireError, "another number"),
        (cuts, ConnectionFailed, "a.fits"),
        (
            answers(206, b"", Content_Range="bytes 0-99/999", Content_Encoding="gzip"),
            WireError,
            "compressed",
        ),
    ],
)
def test_other_answers_are_refused(
    files: FileServer, fault: FileFault, kind: type[OutcropError], why: str
) -> None:
    files.faults = [fault]
    with pytest.raises(kind, match=why):
        source(files).get(0, 100)


def test_an_empty_file_is_refused(files: FileServer) -> None:
    address = Address.parse(files.add("/a.fits", b""))
    with pytest.raises(InputError, match="is empty"):
        HttpSource(address).get(0, 100)


def test_the_pause_that_a_server_asks_for_is_read(files: FileServer) -> None:
    files.faults = [fails(503, Retry_After="7")]
    with pytest.raises(ServerError) as raised:
        source(files).get(0, 100)
    assert raised.value.retry_after == 7


def test_a_gzipped_file_is_read_as_it_is(files: FileServer) -> None:
    files.faults = [
        answers(206, b"\x1f\x8b", Content_Range="bytes 0-1/9", Content_Encoding="x-gzip")
    ]
    assert source(files, "/a.fits.gz").get(0, 2).content == b"\x1f\x8b"


def test_a_server_that_drips_is_given_up(
    files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._remote.http_source.REMOTE_TIMEOUT", 0.3)
    files.faults = [drips(files.closing)]
    with pytest.raises(Timeout, match="did not send bytes 0-99 within"):
        source(files).get(0, 100)


def test_nothing_listens(closed_port: str) -> None:
    with pytest.raises(ConnectionFailed, match="cannot be read") as raised:
        HttpSource(Address.parse(f"{closed_port}/a.fits")).get(0, 1)
    assert "Connect call failed" in str(raised.value)
    assert "object at" not in str(raised.value)


def test_an_unknown_certificate_is_refused(certificate: ssl.SSLContext) -> None:
    with FileServer(certificate) as server:
        with pytest.raises(InputError, match="SSL_CERT_FILE") as raised:
            source(server).get(0, 1)
        assert server.ranges == []
    assert "certificate verify failed" in str(raised.value)
    assert "object at" not in str(raised.value)


def test_a_certificate_of_another_host_is_refused(secure: FileServer, trusted: Path) -> None:
    secure.add("/a.fits", CONTENT)
    address = secure.url.replace("127.0.0.1", "localhost") + "/a.fits"
    with pytest.raises(InputError, match="SSL_CERT_FILE"):
        HttpSource(Address.parse(address)).get(0, 1)
    assert secure.ranges == []


def test_no_password_is_sent(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent: list[str | None] = []
    files.faults = [lambda handler: sent.append(handler.headers["Authorization"]) is not None]
    source(files).get(0, 1)
    assert sent == [None]


def test_this_machine_is_reached_without_a_proxy(
    files: FileServer, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", closed_port)
    assert source(files).get(0, 1).content == CONTENT[:1]


def test_other_machines_are_reached_through_the_proxy(
    files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def refuses(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, handler.headers["Proxy-Authorization"]))
        send(handler, 502, b"")

    files.on_connect = refuses
    monkeypatch.setenv("https_proxy", files.url.replace("http://", "http://me:secret@"))
    monkeypatch.setenv("no_proxy", "b.example")
    with pytest.raises(ConnectionFailed) as raised:
        HttpSource(Address.parse("https://a.example/c.fits")).get(0, 1)
    assert asked == [("a.example:443", "Basic bWU6c2VjcmV0")]
    assert "secret" not in str(raised.value)
    with pytest.raises(ConnectionFailed):
        HttpSource(Address.parse("https://b.example/c.fits")).get(0, 1)
    assert len(asked) == 1


def test_redirects_are_followed(files: FileServer) -> None:
    files.add("/elsewhere/b.fits", CONTENT)
    files.faults = [fails(302, Location="/elsewhere/b.fits"), fails(307, Location="b.fits")]
    assert source(files).get(0, 9).content == CONTENT[:9]
    assert [path for path, _, _ in files.ranges] == ["/dr1/a.fits", *["/elsewhere/b.fits"] * 2]


def test_a_redirect_from_https_to_http_is_refused(secure: FileServer, files: FileServer) -> None:
    secure.faults = [fails(302, Location=files.add("/b.fits", CONTENT))]
    with pytest.raises(WireError, match="is not followed"):
        source(secure).get(0, 9)
    assert files.ranges == []


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/a", "file:///etc/passwd", "ftp://a.gov/a", "http://a.gov/a"],
)
def test_redirects_to_other_schemes_are_refused(files: FileServer, location: str) -> None:
    files.faults = [fails(302, Location=location)]
    with pytest.raises(WireError, match="is not followed"):
        source(files).get(0, 9)


def test_a_redirect_loop_ends(files: FileServer) -> None:
    files.faults = [fails(302, Location="/dr1/a.fits")] * 20
    with pytest.raises(WireError, match="more than 5 redirects"):
        source(files).get(0, 9)
    assert len(files.ranges) == 6


def test_a_redirect_to_nowhere_is_refused(files: FileServer) -> None:
    files.faults = [fails(302)]
    with pytest.raises(WireError, match="does not say where"):
        source(files).get(0, 9)


def test_the_checksum_files_of_a_folder_are_found(files: FileServer) -> None:
    page = b"""<a href="../">up</a><a href="dr1_b.sha256sum">b</a> <A HREF='a.sha256sum'>a</A>
    <a href="/etc/c.sha256sum">c</a><a href="https://b/d.sha256sum">d</a><a href="e">e</a>"""
    files.add("/dr1/", page)
    assert source(files).names() == ["a.sha256sum", "dr1_b.sha256sum"]


def test_threads_share_a_session(files: FileServer) -> None:
    address, found = source(files), list[bytes]()
    threads = [
        threading.Thread(target=lambda: found.append(address.get(0, 50).content)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT[:50]] * 8
