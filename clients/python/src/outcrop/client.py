"""Client and AsyncClient: have a server score spectra.

Both do the same and differ in how they wait. Requests are tried again when the connection fails
or the service answers 429, 502, 503 or 504, with growing, jittered pauses or the ones that the
service asks for (Retry-After), as long as the call's one deadline allows.
"""

import asyncio
import os
from types import TracebackType

import httpx2
import tenacity

from ._constants import TIMEOUT, URL
from ._http.client_request import Exchange, Reply, checked_settings
from ._http.inference import chunks, inference, joined, no_scores, read_answer, read_model
from ._http.retries import Deadline, retries
from .desi import read_spectra
from .errors import ServerError
from .model import Model
from .scores import Scores
from .spectra import Spectra
from .wire import Answer


class Client:
    """A connection to an Outcrop service; a context manager.

    Parameters
    ----------
    url : str
        Address of the service.
    timeout : float
        Seconds a call may take, all its requests, retries and pauses included.
    token : str, optional
        Sent as a bearer token.
    transport : httpx2.BaseTransport, optional
        How bytes are sent; the seam for tests and for proxies.

    Raises
    ------
    InputError
        Where an argument cannot be used. Every method that makes a request raises
        `ConnectionFailed`, `Timeout`, a `StatusError` or, where the answer makes no sense,
        `WireError`; all have the id of the request.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        timeout: float = TIMEOUT,
        token: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._url, headers = checked_settings(url, timeout, token)
        self._timeout = timeout
        self._http = httpx2.Client(headers=headers, transport=transport)

    def score(self, spectra: Spectra, reconstruction: bool = False) -> Scores:
        """Score spectra.

        Parameters
        ----------
        spectra : Spectra
            Sent in chunks of up to 500.
        reconstruction : bool
            Ask for reconstruction, rest_flux and rest_ivar too.

        Returns
        -------
        Scores
            In the order of the spectra.
        """
        deadline = Deadline(self._timeout)
        if not len(spectra):
            return no_scores(self._model(deadline), reconstruction)
        answers: list[Answer] = []
        for chunk in chunks(spectra):
            exchange = inference(self._url, chunk, reconstruction)
            reply = self._send(exchange, deadline)
            answers.append(read_answer(exchange, reply, chunk, reconstruction))
        return joined(answers)

    def score_petal(
        self,
        coadd: str | os.PathLike[str],
        redrock: str | os.PathLike[str],
        reconstruction: bool = False,
    ) -> Scores:
        """Read a coadd with its redrock file and score it; one row per redrock row."""
        return self.score(read_spectra(coadd, redrock), reconstruction)

    def model(self) -> Model:
        """Return what the service says of its model."""
        return self._model(Deadline(self._timeout))

    def health(self) -> bool:
        """Return whether the service can score now; asked once, without retries.

        False where it answers that it is not ready; an error where nothing answers.
        """
        exchange = Exchange("GET", f"{self._url}/readyz")
        try:
            self._once(exchange, Deadline(self._timeout))
        except ServerError as error:
            # 503 is what a service that is starting or draining answers.
            if error.status != 503:
                raise
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _model(self, deadline: Deadline) -> Model:
        exchange = Exchange("GET", f"{self._url}/model")
        return read_model(exchange, self._send(exchange, deadline))

    def _send(self, exchange: Exchange, deadline: Deadline) -> Reply:
        return tenacity.Retrying(**retries(deadline))(self._once, exchange, deadline)

    def _once(self, exchange: Exchange, deadline: Deadline) -> Reply:
        content = bytearray()
        with (
            exchange.failures(deadline),
            self._http.stream(**exchange.arguments(deadline)) as response,
        ):
            # httpx2 bounds each read; many short ones could still outlast the deadline.
            for part in response.iter_bytes():
                content += part
                if deadline.left <= 0:
                    raise exchange.late(deadline)
        exchange.checked(response, content)
        return Reply(response.headers, content)


class AsyncClient:
    """The same as `Client`, for asyncio; an asynchronous context manager.

    Parameters
    ----------
    url, timeout, token
        As for `Client`.
    transport : httpx2.AsyncBaseTransport, optional
    """

    def __init__(
        self,
        url: str = URL,
        *,
        timeout: float = TIMEOUT,
        token: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._url, headers = checked_settings(url, timeout, token)
        self._timeout = timeout
        self._http = httpx2.AsyncClient(headers=headers, transport=transport)

    async def score(self, spectra: Spectra, reconstruction: bool = False) -> Scores:
        """Score spectra; see `Client.score`."""
        deadline = Deadline(self._timeout)
        if not len(spectra):
            return no_scores(await self._model(deadline), reconstruction)
        answers: list[Answer] = []
        for chunk in chunks(spectra):
            exchange = inference(self._url, chunk, reconstruction)
            reply = await self._send(exchange, deadline)
            answers.append(read_answer(exchange, reply, chunk, reconstruction))
        return joined(answers)

    async def score_petal(
        self,
        coadd: str | os.PathLike[str],
        redrock: str | os.PathLike[str],
        reconstruction: bool = False,
    ) -> Scores:
        """Read a coadd with its redrock file and score it; one row per redrock row."""
        spectra = await asyncio.to_thread(read_spectra, coadd, redrock)
        return await self.score(spectra, reconstruction)

    async def model(self) -> Model:
        """Return what the service says of its model."""
        return await self._model(Deadline(self._timeout))

    async def health(self) -> bool:
        """Return whether the service can score now; see `Client.health`."""
        exchange = Exchange("GET", f"{self._url}/readyz")
        try:
            await self._once(exchange, Deadline(self._timeout))
        except ServerError as error:
            # 503 is what a service that is starting or draining answers.
            if error.status != 503:
                raise
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _model(self, deadline: Deadline) -> Model:
        exchange = Exchange("GET", f"{self._url}/model")
        return read_model(exchange, await self._send(exchange, deadline))

    async def _send(self, exchange: Exchange, deadline: Deadline) -> Reply:
        return await tenacity.AsyncRetrying(**retries(deadline))(self._once, exchange, deadline)

    async def _once(self, exchange: Exchange, deadline: Deadline) -> Reply:
        content = bytearray()
        with exchange.failures(deadline):
            async with self._http.stream(**exchange.arguments(deadline)) as response:
                async for part in response.aiter_bytes():
                    content += part
                    if deadline.left <= 0:
                        raise exchange.late(deadline)
        exchange.checked(response, content)
        return Reply(response.headers, content)
