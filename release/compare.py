"""Compare: two catalogues, of two models or of two releases, target by target."""

import argparse
import logging
from pathlib import Path
from typing import Any, Final

from outcrop import InputError

from .comparison import CatalogueComparison, read_ranking
from .folder import publishing

logger = logging.getLogger(__name__)

TABLE: Final = "comparison.ecsv"
TEXT: Final = "comparison.txt"
PICTURE: Final = "comparison.png"
_TOP: Final = 100
_EXAMPLE: Final = """example:
  python -m release compare vac/outcrop/iron/v1.0 vac/outcrop/iron/v1.1 --output comparison
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m release``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="rank changes, new and lost between two catalogues",
        description="Compare two catalogues that release collect made, of two models or of two "
        "releases: rank changes, new and lost among the top, flagged in one and not in the other. "
        f"Writes {TABLE}, {TEXT} and, with matplotlib, {PICTURE}.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    parser.add_argument("a", type=Path, metavar="A", help="catalogue, a folder vX.Y")
    parser.add_argument("b", type=Path, metavar="B", help="the one that is compared with it")
    parser.add_argument(
        *("-o", "--output"), type=Path, required=True, help="folder of the comparison"
    )
    parser.add_argument(
        "--top", type=int, default=_TOP, metavar="N", help="length of the top lists; default: 100"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier comparison")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    compare(options.a, options.b, options.output, options.top, options.overwrite)
    print((options.output / TEXT).read_text("utf-8"), end="")
    return 0


def compare(
    a: Path, b: Path, output: Path, top: int = _TOP, overwrite: bool = False
) -> CatalogueComparison:
    """Write the comparison of two catalogues.

    Parameters
    ----------
    a, b : Path
        Folders ``vX.Y`` that `release.collect.collection.collect` wrote.
    output : Path
        Folder to be written.
    top : int
        Length of the lists of the most anomalous.
    overwrite : bool
        Replace an earlier comparison.

    Raises
    ------
    InputError
        Where a catalogue cannot be read, the two have no target in common, or the output cannot be
        written.
    """
    if top < 1:
        raise InputError(f"--top is {top}; give a number from 1")
    with publishing(output, TABLE, overwrite) as folder:
        comparison = CatalogueComparison.of(read_ranking(a), read_ranking(b), top)
        comparison.table().write(folder / TABLE, format="ascii.ecsv")
        (folder / TEXT).write_text(comparison.text(), encoding="utf-8", errors="backslashreplace")
        try:
            from .comparison_picture import ComparisonPicture
        except ImportError as error:
            logger.warning(
                "no %s: it needs matplotlib (%s); pip install matplotlib", PICTURE, error
            )
        else:
            (folder / PICTURE).write_bytes(ComparisonPicture(comparison).png())
    return comparison
