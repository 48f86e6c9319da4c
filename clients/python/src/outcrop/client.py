"""Client and AsyncClient: score and explain spectra with a service.

Both do the same, one blocking, the other for asyncio. A request is retried when the connection
fails or the service answers 429, 502, 503 or 504, after growing, jittered pauses or those of the
Retry-After header, until the one deadline of the call.
"""

import asyncio
import os
from collections.abc import Callable
from types import TracebackType

import httpx2
import tenacity

from ._constants import TIMEOUT, URL
from ._http.client_request import ClientRequest, Reply, checked_settings
from ._http.inference import (
    chunks,
    explain_chunks,
    explain_request,
    join_explanations,
    join_scores,
    model_request,
    no_scores,
    read_explanations,
    read_model,
    read_scores,
    score_request,
)
from ._http.network import ending_at, limit_time
from ._http.retries import Deadline, retries
from .desi import read_spectra
from .errors import ServerError
from .explanations import Explanations
from .model import Model
from .noise import correct_noise
from .scores import Scores
from .spectra import Spectra


def _url(url: str | None) -> str:
    return os.environ.get("OUTCROP_URL", URL) if url is None else url


def _token(token: str | None) -> str | None:
    return os.environ.get("OUTCROP_TOKEN") if token is None else token


class Client:
    """A connection to an Outcrop service; a context manager.

    Parameters
    ----------
    url : str, optional
        Address of the service. Default: that in OUTCROP_URL, or else http://127.0.0.1:3000.
        A user and password in it are sent as basic authentication.
    timeout : float
        Seconds a call may take, all its requests, retries and pauses included, however slowly the
        bytes come.
    token : str, optional
        Sent as a bearer token. Default: that in OUTCROP_TOKEN, or else none.
    transport : httpx2.BaseTransport, optional
        How bytes are sent; to be replaced for proxies and in tests.

    Raises
    ------
    InputError
        Where an argument cannot be used. Every method that makes a request raises
        `ConnectionFailed`, `Timeout`, a `StatusError` or, where the response is not valid,
        `WireError`; all have the id of the request.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float = TIMEOUT,
        token: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._url, headers = checked_settings(_url(url), timeout, _token(token))
        self._timeout = timeout
        self._http = httpx2.Client(headers=headers, transport=transport)
        limit_time(self._http)

    @property
    def url(self) -> str:
        """Address of the service, without user and password."""
        return self._url

    def score(
        self,
        spectra: Spectra,
        reconstruction: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Scores:
        """Score spectra.

        Parameters
        ----------
        spectra : Spectra
            Sent in chunks of up to 500.
        reconstruction : bool
            Request reconstruction, rest_flux and rest_ivar too.
        progress : callable, optional
            Called with the number of spectra of each chunk when the chunk is scored.

        Returns
        -------
        Scores
            In the order of the spectra.

        Raises
        ------
        ModelChanged
            Where the service changed its model meanwhile.
        """
        deadline = Deadline(self._timeout)
        # Only the model has the bins of reconstructions.
        model = self._model(deadline) if reconstruction or not len(spectra) else None
        if model is not None and not len(spectra):
            return no_scores(model, reconstruction)

        parts: list[Scores] = []
        for chunk in chunks(spectra):
            request = score_request(self._url, chunk, reconstruction)
            reply = self._send(request, deadline)
            parts.append(read_scores(request, reply, chunk, reconstruction))
            if progress is not None:
                progress(len(chunk))
        return join_scores(parts, spectra, model)

    def explain(
        self, spectra: Spectra, progress: Callable[[int], object] | None = None
    ) -> Explanations:
        """Explain why spectra stand out; up to 80 ms for each, so allow for it in timeout.

        Parameters
        ----------
        spectra : Spectra
            Sent in chunks of up to 50.
        progress : callable, optional
            Called with the number of spectra of each chunk when the chunk is explained.

        Returns
        -------
        Explanations
            In the order of the spectra. One that cannot be scored has no cause.

        Raises
        ------
        ModelChanged
            Where the service changed its model meanwhile.
        """
        deadline = Deadline(self._timeout)
        if not len(spectra):
            return Explanations(self._model(deadline).identity, ())

        parts: list[Explanations] = []
        for chunk in explain_chunks(spectra):
            request = explain_request(self._url, chunk)
            reply = self._send(request, deadline)
            parts.append(read_explanations(request, reply, chunk))
            if progress is not None:
                progress(len(chunk))
        return join_explanations(parts)

    def score_petal(
        self,
        coadd: str | os.PathLike[str],
        redrock: str | os.PathLike[str],
        reconstruction: bool = False,
    ) -> Scores:
        """Read a coadd with its redrock file, correct its noise and score it.

        One row per redrock row. `read_spectra` and `score` do the same without the correction.
        """
        return self.score(correct_noise(read_spectra(coadd, redrock)), reconstruction)

    def model(self) -> Model:
        """Return the description of the served model."""
        return self._model(Deadline(self._timeout))

    def health(self) -> bool:
        """Return whether the service can score now; one request, without retries.

        False where the service answers that it is not ready; an error where there is no answer.
        """
        return self.why_not_ready() is None

    def why_not_ready(self) -> str | None:
        """Return why the service cannot score now, in its words; None where it can.

        One request, without retries; an error where there is no answer.
        """
        request = ClientRequest("GET", f"{self._url}/readyz")
        try:
            self._once(request, Deadline(self._timeout))
        except ServerError as error:
            # 503 is the answer of a service that is starting or draining.
            if error.status != 503:
                raise
            return error.reason
        return None

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
        request = model_request(self._url)
        return read_model(request, self._send(request, deadline))

    def _send(self, request: ClientRequest, deadline: Deadline) -> Reply:
        return tenacity.Retrying(**retries(deadline))(self._once, request, deadline)

    def _once(self, request: ClientRequest, deadline: Deadline) -> Reply:
        content = bytearray()
        with (
            request.translated_errors(deadline),
            ending_at(deadline),
            self._http.stream(**request.arguments(deadline)) as response,
        ):
            request.check_headers(response)
            for part in response.iter_raw():
                if not request.add(response, content, part):
                    break
        request.check_status(response, content)
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
        url: str | None = None,
        *,
        timeout: float = TIMEOUT,
        token: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._url, headers = checked_settings(_url(url), timeout, _token(token))
        self._timeout = timeout
        self._http = httpx2.AsyncClient(headers=headers, transport=transport)

    @property
    def url(self) -> str:
        """Address of the service, without user and password."""
        return self._url

    async def score(
        self,
        spectra: Spectra,
        reconstruction: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> Scores:
        """Score spectra; see `Client.score`."""
        deadline = Deadline(self._timeout)
        # Only the model has the bins of reconstructions.
        model = await self._model(deadline) if reconstruction or not len(spectra) else None
        if model is not None and not len(spectra):
            return no_scores(model, reconstruction)

        parts: list[Scores] = []
        for chunk in chunks(spectra):
            request = score_request(self._url, chunk, reconstruction)
            reply = await self._send(request, deadline)
            parts.append(read_scores(request, reply, chunk, reconstruction))
            if progress is not None:
                progress(len(chunk))
        return join_scores(parts, spectra, model)

    async def explain(
        self, spectra: Spectra, progress: Callable[[int], object] | None = None
    ) -> Explanations:
        """Explain why spectra stand out; see `Client.explain`."""
        deadline = Deadline(self._timeout)
        if not len(spectra):
            return Explanations((await self._model(deadline)).identity, ())

        parts: list[Explanations] = []
        for chunk in explain_chunks(spectra):
            request = explain_request(self._url, chunk)
            reply = await self._send(request, deadline)
            parts.append(read_explanations(request, reply, chunk))
            if progress is not None:
                progress(len(chunk))
        return join_explanations(parts)

    async def score_petal(
        self,
        coadd: str | os.PathLike[str],
        redrock: str | os.PathLike[str],
        reconstruction: bool = False,
    ) -> Scores:
        """Read a coadd with its redrock file, correct its noise and score it.

        See `Client.score_petal`.
        """
        spectra = correct_noise(await asyncio.to_thread(read_spectra, coadd, redrock))
        return await self.score(spectra, reconstruction)

    async def model(self) -> Model:
        """Return the description of the served model."""
        return await self._model(Deadline(self._timeout))

    async def health(self) -> bool:
        """Return whether the service can score now; see `Client.health`."""
        return await self.why_not_ready() is None

    async def why_not_ready(self) -> str | None:
        """Return why the service cannot score now; see `Client.why_not_ready`."""
        request = ClientRequest("GET", f"{self._url}/readyz")
        try:
            await self._once(request, Deadline(self._timeout))
        except ServerError as error:
            # 503 is the answer of a service that is starting or draining.
            if error.status != 503:
                raise
            return error.reason
        return None

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
        request = model_request(self._url)
        return read_model(request, await self._send(request, deadline))

    async def _send(self, request: ClientRequest, deadline: Deadline) -> Reply:
        return await tenacity.AsyncRetrying(**retries(deadline))(self._once, request, deadline)

    async def _once(self, request: ClientRequest, deadline: Deadline) -> Reply:
        content = bytearray()
        with request.translated_errors(deadline):
            # httpx2 limits the time of each read; many short ones could outlast the deadline.
            async with (
                asyncio.timeout(deadline.left),
                self._http.stream(**request.arguments(deadline)) as response,
            ):
                request.check_headers(response)
                async for part in response.aiter_raw():
                    if not request.add(response, content, part):
                        break
        request.check_status(response, content)
        return Reply(response.headers, content)
