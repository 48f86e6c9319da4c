"""Remote: petals of full size, resolution matrices included, read over HTTPS from this machine."""

import argparse
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trustme
from aiohttp import web
from astropy.io import fits

from outcrop import InputError, Petal, RemoteCache, fetch, read_spectra, require_petals

_DIAGONALS = 11
"""Of the resolution matrices in DESI's coadds."""


@dataclass(frozen=True)
class Reading:
    """What the reading of one petal took.

    Attributes
    ----------
    spectra, requests : int
    fetched : int
        Bytes.
    """

    spectra: int
    requests: int
    fetched: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote",
        description=__doc__,
        epilog="example: python -m benchmarks.remote --petals 8 --delay 0.1",
    )
    parser.add_argument(
        "root", type=Path, nargs="?", help="folder of petals; default: simulated once and kept"
    )
    parser.add_argument("--petals", type=int, default=8, metavar="N", help="(default: %(default)d)")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="S", help="before each answer, as far away"
    )
    options = parser.parse_args(arguments)
    try:
        petals = require_petals(options.root or _simulated(options.petals))[: options.petals]
    except InputError as error:
        parser.error(str(error))

    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder, "served")
        served.mkdir()
        names = [_with_resolution(petal, served, number) for number, petal in enumerate(petals)]
        whole = sum(path.stat().st_size for path in served.iterdir())
        with _serving(served, options.delay) as url:
            _measure(url, names, whole, Path(folder))
    return 0


def _simulated(petals: int) -> Path:
    # TensorFlow comes with it, which the workers do not need.
    from .workload import make_sky

    return make_sky(petals)


def _measure(url: str, names: Sequence[str], whole: int, folder: Path) -> None:
    print("workers      s  spectra/s   MB/s  requests/petal  MB/petal  of all bytes")
    for workers in (1, 2, 4):
        cache = RemoteCache(folder / f"cache-{workers}", 1 << 40, workers)
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            # Imports are not counted.
            list(pool.map(time.sleep, [0.5] * workers))
            begun = time.perf_counter()
            read = list(pool.map(_read, [url] * len(names), names, [cache] * len(names)))
            seconds = time.perf_counter() - begun

        fetched, spectra = sum(each.fetched for each in read), sum(each.spectra for each in read)
        requests = sum(each.requests for each in read) / len(read)
        print(
            f"{workers:7}  {seconds:5.1f}  {spectra / seconds:9.0f}  {fetched / seconds / 1e6:5.0f}"
            f"  {requests:14.1f}  {fetched / len(read) / 1e6:8.1f}  {fetched / whole:12.1%}"
        )


def _read(url: str, name: str, cache: RemoteCache) -> Reading:
    fetched: list[int] = []
    coadd, redrock = (f"{url}/{kind}-{name}.fits" for kind in ("coadd", "redrock"))
    with (
        fetch(redrock, cache, progress=fetched.append) as redshifts,
        fetch(coadd, cache, progress=fetched.append) as path,
    ):
        spectra = len(read_spectra(path, redshifts))
    return Reading(spectra, len(fetched), sum(fetched))


def _with_resolution(petal: Petal, folder: Path, number: int) -> str:
    """Write a petal with the resolution matrices of a real one, and return its name."""
    random = np.random.default_rng(number)
    hdus: list[Any] = []
    opened: Any = fits.open(petal.coadd)
    with opened:
        for hdu in opened:
            hdus.append(hdu)
            if hdu.name.endswith("_MASK"):
                spectra, pixels = hdu.shape
                data = random.random((spectra, _DIAGONALS, pixels), np.float32)
                hdus.append(fits.ImageHDU(data, name=hdu.name.replace("MASK", "RESOLUTION")))
        fits.HDUList(hdus).writeto(folder / f"coadd-{number}.fits", checksum=True)
    (folder / f"redrock-{number}.fits").write_bytes(petal.redrock.read_bytes())
    return str(number)


@contextmanager
def _serving(folder: Path, delay: float) -> Generator[str]:
    """Serve a folder over HTTPS from a process of its own, which clients here trust."""
    authority = trustme.CA()
    pem = folder.parent / "authority.pem"
    authority.cert_pem.write_to_path(pem)
    certificate = folder.parent / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)

    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(folder, certificate, delay, theirs))
    server.start()
    os.environ["SSL_CERT_FILE"] = str(pem)
    try:
        yield f"https://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def _serve(folder: Path, certificate: Path, delay: float, port: Any) -> None:
    import asyncio

    @web.middleware
    async def far_away(request: web.Request, handler: Any) -> Any:
        await asyncio.sleep(delay)
        return await handler(request)

    async def serve() -> None:
        app = web.Application(middlewares=[far_away])
        app.router.add_static("/", folder)
        runner = web.AppRunner(app)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
