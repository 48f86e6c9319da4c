"""The command ``release collect``."""

import argparse
import re
from pathlib import Path
from typing import Any, Final

from outcrop import InputError
from outcrop.plan import Plan

from .collection import CollectOptions, collect

_VERSION: Final = re.compile(r"\d{1,4}\.\d{1,4}")
_SPECPROD: Final = re.compile(r"[a-z0-9][a-z0-9_.+-]*")
_EXAMPLE: Final = """example:
  python -m release collect scores --plan plan.ecsv --zcatalog zall-pix-iron.fits \\
      --specprod iron --output vac/outcrop/iron --catalogue-version 1.0 --note "first version"
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m release``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "collect",
        help="make one catalogue of the score tables, as Parquet and FITS",
        description="Make one catalogue of all score tables of a release: a Parquet dataset, a "
        "FITS file for each survey and program, README.md and SHA256SUMS.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    parser.add_argument("tables", type=Path, help="folder that the release was scored into")
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        required=True,
        help="folder of the catalogue's versions; this one is the folder vX.Y in it",
    )
    parser.add_argument("--catalogue-version", default="1.0", metavar="X.Y", help="default: 1.0")
    parser.add_argument("--note", default="", help="what is new in this version, for the README")
    parser.add_argument(
        "--specprod", default="", help="production, where the tables do not name it"
    )

    parser.add_argument(
        "--plan",
        type=Path,
        help="what was to be scored: coadds without a table, and tables of others, are refused; "
        "default: the last run's plan, and only the former",
    )
    parser.add_argument(
        "--zcatalog", type=Path, help="zcatalog of the release, for PRIMARY and DESINAME"
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="leave out damaged and missing tables"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace this version")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not _VERSION.fullmatch(options.catalogue_version):
        raise InputError(f"--catalogue-version {options.catalogue_version} is not X.Y, as 1.0")
    if options.specprod and not _SPECPROD.fullmatch(options.specprod):
        raise InputError(f"--specprod {options.specprod} is no name of a production, as iron")
    if not (options.note.isascii() and options.note.isprintable()):
        raise InputError(f"--note {options.note!r} is not printable ASCII, as FITS headers must be")

    readme = collect(
        options.tables,
        options.output,
        CollectOptions(
            options.catalogue_version,
            options.note,
            options.specprod,
            None if options.plan is None else Plan.read(options.plan),
            options.zcatalog,
            options.allow_missing,
            options.overwrite,
        ),
    )
    print(readme.summary())
    print(options.output / f"v{options.catalogue_version}")
    return 0
