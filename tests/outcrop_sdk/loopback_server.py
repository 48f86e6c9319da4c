"""A server of tests on a port of this machine, in a thread that ends with it."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LoopbackServer:
    """A context manager; it listens once the constructor returns.

    Parameters
    ----------
    handler : type of BaseHTTPRequestHandler
    port : int
        0 for any free port.
    context : SSLContext, optional
        For HTTPS.

    Attributes
    ----------
    url : str
    closing : Event
        Set at the end of the test: faults that never answer wait for it.
    """

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        port: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        if context is not None:
            self._http.socket = context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
