"""Servers of files: over HTTPS, and S3."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from outcrop._remote import http_source
from tests.outcrop_sdk.file_server import FileServer


@pytest.fixture(scope="module", autouse=True)
def one_tls_context() -> None:
    """These tests use TLS, and so the real context."""


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """That of a server on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Make clients trust the certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    http_source._trusted.cache_clear()
    yield path
    http_source._trusted.cache_clear()


@pytest.fixture
def secure(certificate: ssl.SSLContext, trusted: Path) -> Iterator[FileServer]:
    """A server over HTTPS, which clients trust."""
    with FileServer(certificate) as server:
        yield server
