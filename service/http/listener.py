"""Listener: how BentoML's worker takes connections: one at a time, each a `Connection`.

The worker leaves uvicorn to choose the protocol and the event loop. `install` changes what it
chooses.
"""

import asyncio
import socket
from typing import Any

import uvicorn.config


class OneByOneLoop(asyncio.SelectorEventLoop):
    """An event loop that accepts one connection at a time.

    asyncio accepts as many as the queue holds before any of them is handled, and goes on when no
    descriptors are left, once for each place in the queue. One at a time, `Connection` can close
    another one first.
    """

    async def create_server(
        self, *args: Any, sock: socket.socket, backlog: int, **kwargs: Any
    ) -> asyncio.Server:
        """Listen on a socket; ``backlog`` is the length of the kernel's queue only."""
        server = await super().create_server(*args, sock=sock, backlog=1, **kwargs)
        sock.listen(backlog)
        return server


def loop_factory(use_subprocess: bool = False) -> type[asyncio.AbstractEventLoop]:
    """Return what makes the event loop; uvicorn asks for it in this way."""
    return OneByOneLoop


def install() -> None:
    """Have the uvicorn servers of this process use `Connection` and `OneByOneLoop`."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = "service.http.connection:Connection"
    uvicorn.config.LOOP_FACTORIES["auto"] = "service.http.listener:loop_factory"
