"""Checksum file: the SHA-256 of the files of a folder, as `sha256sum` writes them."""

import re
from typing import Final

from .._constants import REMOTE_PIECE
from ..errors import InputError
from .requests import Requests
from .source import open_source
from .stream import RemoteStream

_LINE: Final = re.compile(rb"([0-9a-f]{64}) [ *](?:\./)?(.+)")
_MOST: Final = 3


def announced_sha256(requests: Requests) -> str:
    """Return the SHA-256 of a remote file that a ``*.sha256sum`` in its folder announces.

    Raises
    ------
    InputError
        Where there is no such file, it does not name this one, or is no list of checksums.
    """
    address = requests.address
    names = requests.names()[:_MOST]
    for name in names:
        stream = RemoteStream(requests.of(open_source(address.folder + name)))
        if stream.size > REMOTE_PIECE:
            raise InputError(f"{stream.address} has {stream.size} bytes; is it a checksum file?")
        for line in stream.read(stream.size).splitlines():
            found = _LINE.fullmatch(line)
            if found and found[2] == address.name.encode():
                return found[1].decode()

    listed = (
        f"none of {', '.join(names)} in its folder names it"
        if names
        else ("there is no *.sha256sum in its folder")
    )
    raise InputError(
        f"{address.text} has no SHA-256: {listed}; fetch it without the check of the whole file"
    )
