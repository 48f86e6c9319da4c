"""S3 source: ranges of a public object of a bucket, by s3fs, without credentials."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import os
from datetime import datetime
from functools import cache
from typing import Any, Final, NoReturn, cast

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from fsspec import asyn
from fsspec.exceptions import FSTimeoutError
from s3fs import S3FileSystem

from .._constants import REMOTE_SLOWEST, REMOTE_TIMEOUT
from .._http.client_request import retry_after
from ..errors import ConnectionFailed, OutcropError, Timeout, WireError
from .address import Address
from .source import Part, Version, failure, range_of, tag_of

_sync: Any = cast(Any, asyn).sync

_MOST_NAMES: Final = 1000


class S3Source:
    """An object of a bucket.

    The server is Amazon's, or that of AWS_ENDPOINT_URL.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def get(self, start: int, stop: int) -> Part:
        """Return a range, as `Source.get`."""
        return self._call(_get, stop - start, self.address, start, stop)

    def names(self) -> list[str]:
        """Return the checksum files among the first objects of the folder."""
        found: list[str] = self._call(_names, 0, self.address)
        return sorted(name for name in found if name.endswith(".sha256sum"))

    def _call(self, function: Any, size: int, *arguments: Any) -> Any:
        files = _file_system(os.getpid())
        timeout = REMOTE_TIMEOUT + size / REMOTE_SLOWEST
        try:
            return _sync(files.loop, function, files, *arguments, timeout=timeout)
        except OutcropError:
            raise
        except (FSTimeoutError, TimeoutError) as error:
            raise Timeout(f"{self.address.text}: no answer within {timeout:.0f} s") from error
        # RuntimeError: aiohttp's for a connection that was closed meanwhile.
        except (aiohttp.ClientError, BotoCoreError, OSError, RuntimeError) as error:
            _raise(self.address.text, error)


@cache
def _file_system(_process: int) -> Any:
    """Return the file system of a process: its connections do not survive a fork."""
    files = S3FileSystem(
        anon=True,
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": REMOTE_TIMEOUT,
            "read_timeout": REMOTE_TIMEOUT,
            "retries": {"total_max_attempts": 1},
        },
    )
    files.retries = 1
    return files


async def _get(files: Any, address: Address, start: int, stop: int) -> Part:
    # The public call_s3 is the same, but for the loop it runs in.
    answer = await files._call_s3(
        "get_object", Bucket=address.host, Key=address.key, Range=f"bytes={start}-{stop - 1}"
    )
    async with answer["Body"] as body:
        length, size = range_of(answer.get("ContentRange"), start, stop, address.text)
        content = bytearray()
        while len(content) <= length and (some := await body.read(length + 1 - len(content))):
            content += some

    if len(content) != length:
        raise WireError(f"{address.text}: {length} bytes were announced, {len(content)} sent")
    modified: datetime = answer["LastModified"]
    version = Version(size, int(modified.timestamp()) * 10**9, tag_of(answer.get("ETag")))
    return Part(bytes(content), version)


async def _names(files: Any, address: Address) -> list[str]:
    prefix = address.key.removesuffix(address.name)
    answer = await files._call_s3(
        "list_objects_v2",
        Bucket=address.host,
        Prefix=prefix,
        Delimiter="/",
        MaxKeys=_MOST_NAMES,
    )
    return [one["Key"].removeprefix(prefix) for one in answer.get("Contents", [])]


def _raise(address: str, error: Exception) -> NoReturn:
    """Raise this package's error in place of another."""
    cause = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(cause, ClientError):
        response = cast(dict[str, Any], cast(Any, cause).response)
        answer = cast(dict[str, Any], response.get("ResponseMetadata", {}))
        after = retry_after(answer.get("HTTPHeaders", {}).get("retry-after"))
        reason = str(response.get("Error", {}).get("Code", ""))
        raise failure(address, int(answer.get("HTTPStatusCode", 500)), reason, after) from error
    if isinstance(error, FileNotFoundError):
        raise failure(address, 404, "", None) from error
    if isinstance(error, PermissionError):
        raise failure(address, 403, "", None) from error
    raise ConnectionFailed(f"{address}: {error or type(error).__name__}") from error
