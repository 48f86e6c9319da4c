"""HTTP source: ranges of a file over HTTPS, by fsspec's HTTP file system and its aiohttp session.

`HTTPFileSystem.cat_file` would take any answer of any length for the range, as that of a server
without ranges; so the requests are made here, in its session, and nothing is read that was not
announced and asked for.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import base64
import os
import re
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final, cast
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from fsspec import asyn
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.http import HTTPFileSystem
from yarl import URL

from .._constants import REMOTE_PIECE, REMOTE_REDIRECTS, REMOTE_SLOWEST, REMOTE_TIMEOUT
from .._http.client_request import retry_after
from .._version import __version__
from ..errors import ConnectionFailed, InputError, Timeout, WireError
from .address import Address, is_loopback
from .source import RANGE_REFUSED, Part, Version, failure, range_of, tag_of

_sync: Any = cast(Any, asyn).sync

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_LISTING: Final = 1 << 20  # bytes of a folder's page, read for its links
_LINK: Final = re.compile(r"""href=["']?([^"'>/?#]+\.sha256sum)["'> ]""", re.IGNORECASE)


class HttpSource:
    """A file at an address ``https://``, or ``http://`` of this machine."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def get(self, start: int, stop: int) -> Part:
        """Return a range, as `Source.get`."""
        return self._request(self.address.text, {"Range": f"bytes={start}-{stop - 1}"}, start, stop)

    def names(self) -> list[str]:
        """Return the checksum files that the page of the folder links to."""
        page = self._request(self.address.folder, {}, 0, _LISTING).content
        return sorted({unquote(name) for name in _LINK.findall(page.decode("utf-8", "replace"))})

    def _request(self, url: str, headers: dict[str, str], start: int, stop: int) -> Part:
        files = _file_system(os.getpid())
        timeout = REMOTE_TIMEOUT + (stop - start) / REMOTE_SLOWEST
        try:
            return _sync(files.loop, _get, files, url, headers, start, stop, timeout=timeout)
        except (FSTimeoutError, TimeoutError) as error:
            raise Timeout(
                f"{url} did not send bytes {start}-{stop - 1} within {timeout:.0f} s"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise InputError(
                f"{url}: no secure connection: {_reason(error)}; SSL_CERT_FILE names certificates "
                "of your own"
            ) from error
        # RuntimeError: aiohttp's for a connection that was closed meanwhile.
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            if isinstance(error, InputError | WireError):
                raise
            raise ConnectionFailed(
                f"{url} cannot be read: {_reason(error)}; is the address right, and this machine "
                "online?"
            ) from error


def _reason(error: Exception) -> str:
    # aiohttp's own text has the place of an object in memory.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
    return str(cause) or type(cause).__name__


@cache
def _file_system(_process: int) -> Any:
    """Return the file system of a process: its connections do not survive a fork."""
    return HTTPFileSystem(
        skip_instance_cache=True,
        client_kwargs={
            "auto_decompress": False,
            "headers": {"User-Agent": f"outcrop/{__version__}", "Accept-Encoding": "identity"},
        },
    )


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _proxy(url: str) -> dict[str, Any]:
    """Return the proxy that the environment names for a host, but for this machine.

    Not aiohttp's trust_env, which would also send passwords of ~/.netrc.
    """
    parts = urlsplit(url)
    found = getproxies().get(parts.scheme)
    if not found or is_loopback(parts.hostname) or proxy_bypass(parts.netloc):
        return {}
    proxy = URL(found)
    if proxy.user is None:
        return {"proxy": proxy}
    password = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return {
        "proxy": proxy.with_user(None),
        "proxy_headers": {"Proxy-Authorization": f"Basic {password}"},
    }


async def _get(files: Any, url: str, headers: dict[str, str], start: int, stop: int) -> Part:
    session: aiohttp.ClientSession = await files.set_session()
    for _ in range(REMOTE_REDIRECTS + 1):
        async with session.get(
            url, headers=headers, ssl=_trusted(), allow_redirects=False, **_proxy(url)
        ) as answer:
            if answer.status not in _REDIRECTS:
                return await _read(answer, url, start, stop)
            url = _redirected(url, answer.headers.get("Location"))
    raise WireError(f"{url}: more than {REMOTE_REDIRECTS} redirects; check the address")


def _redirected(url: str, location: str | None) -> str:
    """Return where a redirect leads; WireError where it is not followed."""
    if location is None:
        raise WireError(f"{url} redirects, but does not say where; check the address")
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)

    inwards = is_loopback(after.hostname) and not is_loopback(before.hostname)
    local = before.scheme == after.scheme == "http" and is_loopback(after.hostname)
    if inwards or not (after.scheme == "https" or local):
        raise WireError(
            f"{url} redirects to {target[:200]!r}, which is not followed: neither from https to "
            "http nor to this machine"
        )
    return target


async def _read(answer: aiohttp.ClientResponse, url: str, start: int, stop: int) -> Part:
    """Read the content of an answer that is no redirect."""
    if answer.status == RANGE_REFUSED and answer.headers.get("Content-Range") == "bytes */0":
        raise InputError(f"{url} is empty; check the address, or take another copy")
    if answer.status not in (200, 206):
        after = retry_after(answer.headers.get("Retry-After"))
        raise failure(url, answer.status, answer.reason or "", after)
    _check_encoding(answer.headers, url)

    if answer.status == 206:
        length, size = range_of(answer.headers.get("Content-Range"), start, stop, url)
        content = await _bounded(answer, length)
        if len(content) != length:
            raise WireError(
                f"{url}: the server announced {length} bytes and sent another number; "
                "take another server, or a copy of the file"
            )
        return Part(content, _version(answer.headers, size))

    announced = answer.headers.get("Content-Length", "")
    if int(announced or 0) <= REMOTE_PIECE:
        content = await _bounded(answer, REMOTE_PIECE)
        if len(content) <= REMOTE_PIECE:
            return Part(content[start:], _version(answer.headers, len(content)))
    raise InputError(
        f"{url} is served as a whole only (status 200 where a range was asked for); copy the file "
        "and name its path"
    )


def _check_encoding(headers: Mapping[str, str], url: str) -> None:
    encoding = headers.get("Content-Encoding", "identity").lower()
    # Some servers call a gzipped file, whose bytes are wanted as they are, an encoding.
    packed = urlsplit(url).path.endswith(".gz") and encoding in ("gzip", "x-gzip")
    if encoding != "identity" and not packed:
        raise WireError(
            f"{url} is sent compressed as {encoding[:40]!r}, which was not asked for; take another "
            "server, or a copy of the file"
        )


async def _bounded(answer: aiohttp.ClientResponse, length: int) -> bytes:
    """Return the content, or the first bytes of one that is longer: more than `length`."""
    content = bytearray()
    while len(content) <= length and (some := await answer.content.readany()):
        content += some
    return bytes(content)


def _version(headers: Mapping[str, str], size: int) -> Version:
    try:
        modified = parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()
    except (ValueError, OverflowError):
        modified = 0
    return Version(size, int(modified) * 10**9, tag_of(headers.get("ETag")))
