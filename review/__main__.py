"""Show a night's outliers on a web page, to be looked at and labelled.

Reads the folder that `outcrop night` wrote, and the coadds that its score tables name. With --model
the model runs in this process, and there are a map, neighbours, and reconstructions at any
redshift; with --url the service reconstructs.
"""

import argparse
import contextlib
import ctypes
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import uvicorn

from outcrop import InputError, OutcropError
from outcrop._guard import is_loopback
from outcrop.label import check_scanner
from outcrop.labels import LabelStore

from .access import Access
from .app import make_app
from .coadds import Coadds
from .night import ReviewNight
from .reconstruction import NoModel, ReviewModel, ServedModel
from .review import Links, Review

_SPECTRUM_LINK: Final = "https://www.legacysurvey.org/viewer/desi-spectrum/dr1/targetid{targetid}"
_IMAGE_LINK: Final = (
    "https://www.legacysurvey.org/viewer/?ra={ra}&dec={dec}&zoom=13&layer=ls-dr9&mark={ra},{dec}"
)
_M_MMAP_THRESHOLD: Final = -3
_LARGEST_KEPT: Final = 1 << 20
_EXAMPLE: Final = """example:
  outcrop night tiles/cumulative --output outliers
  python -m review outliers --model BUNDLE
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        _serve(options)
    except OutcropError as error:
        print(f"review: error: {error}", file=sys.stderr)
        return 1
    return 0


def _give_memory_back() -> None:
    """Let the C library return every array of a coadd when it is freed.

    Otherwise each thread keeps what the largest of them took: after a while twice what is in use.
    """
    # Other libraries than GNU's have no mallopt.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)


def _serve(options: argparse.Namespace) -> None:
    if not is_loopback(options.host) and options.tokens is None:
        raise InputError(
            f"--host {options.host} can be reached from other machines; give --tokens, a file with "
            "a token to log in with, or leave --host out"
        )
    _give_memory_back()
    # With tokens everyone logs in by a name.
    scanner = "" if options.tokens else check_scanner(options.scanner or _user())
    access = Access(scanner, options.tokens, options.allowed_host)
    night = ReviewNight.read(options.outliers)
    links = Links(options.spectrum_link, options.image_link)
    with LabelStore(options.labels) as labels:
        coadds = Coadds(night, options.coadds)
        review = Review(night, coadds, labels, lambda: _open_model(options, night), links)
        config = uvicorn.Config(
            make_app(review, access),
            host=options.host,
            port=options.port,
            log_level="warning",
            server_header=False,
        )
        print(f"{len(night)} spectra of {len(night.tables)} petals, model {night.model}")
        print(f"http://{options.host}:{options.port}/", flush=True)
        _run(uvicorn.Server(config), review)


def _user() -> str:
    try:
        return getpass.getuser()[:10]
    except (KeyError, OSError) as error:
        raise InputError("the user has no name on this machine; give --scanner") from error


def _run(server: uvicorn.Server, review: Review) -> None:
    """Answer until the end, or until the model cannot be opened."""

    def end(model: Future[ReviewModel]) -> None:
        if not model.cancelled() and model.exception() is not None:
            server.should_exit = True

    review.model.add_done_callback(end)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
    finally:
        review.close()
    if not review.model.cancelled():
        review.model.result()


def _open_model(options: argparse.Namespace, night: ReviewNight) -> ReviewModel:
    if options.url is not None:
        return ServedModel(options.url, night.model)
    if options.model is None:
        return NoModel()

    # They take seconds to import: the page does not wait for them.
    from model_store.bundle import BundleError
    from model_store.registry import resolve

    from .bundled_model import BundledModel

    try:
        return BundledModel(resolve(options.model), night.model)
    except BundleError as error:
        raise InputError(str(error)) from error


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m review",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("outliers", type=Path, help="the folder that outcrop night wrote")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", help="bundle folder, or a tag of the model store")
    model.add_argument("--url", help="address of the service that scored the night")
    parser.add_argument(
        "--coadds",
        type=Path,
        help="folder that outcrop night searched; default: as its summary says",
    )
    parser.add_argument(
        "--labels",
        default=os.environ.get("OUTCROP_LABELS") or "labels.sqlite",
        help="SQLite file or address of a database; default: OUTCROP_LABELS, or labels.sqlite",
    )
    parser.add_argument(
        "--scanner",
        help="your name beside your labels; default: the user's. With --tokens each logs in by one",
    )

    server = parser.add_argument_group("the server")
    server.add_argument("--port", type=int, default=8080, help="default: %(default)s")
    server.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; another one needs --tokens"
    )
    server.add_argument(
        "--tokens", type=Path, help="file with one or two tokens, one a line, to log in with"
    )
    server.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name by which browsers call this machine, besides its own; may be repeated",
    )

    links = parser.add_argument_group("links", "with {targetid}, {ra} and {dec}; empty for none")
    links.add_argument("--spectrum-link", default=_SPECTRUM_LINK, metavar="ADDRESS")
    links.add_argument("--image-link", default=_IMAGE_LINK, metavar="ADDRESS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
