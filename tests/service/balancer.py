"""A load balancer for the tests: each connection goes to the next service in turn."""

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Balancer:
    """A TCP port that forwards each connection to one of several services; a context manager.

    Attributes
    ----------
    url : str
    """

    def __init__(self, *urls: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._urls = list(urls)
        self._connections: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def retire(self, url: str) -> None:
        """Close the connections to a service, and open no more to it."""
        with self._lock:
            self._urls.remove(url)
            self._close([each for each, to in self._connections.items() if to == url])

    def __enter__(self) -> "Balancer":
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._close(list(self._connections))
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    url = self._urls.pop(0)
                    self._urls.append(url)
                    address = urlsplit(url)
                    service = socket.create_connection((address.hostname, address.port))
                    self._connections |= {client: url, service: url}
                self._start(_forward, client, service)
                self._start(_forward, service, client)

    def _close(self, connections: list[socket.socket]) -> None:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _forward(source: socket.socket, target: socket.socket) -> None:
    """Forward bytes until one of the two ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
