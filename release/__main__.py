"""Release: plan, score and publish a whole data release on whatever engine there is."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from outcrop._log_level import log_level
from outcrop.errors import FolderInUse, OutcropError

from . import collect, compare, plan, run, slurm, status

_COMMANDS = (plan, run, status, slurm, collect, compare)

_EXAMPLE = """example:
  python -m release plan --tree redux/iron/tiles/cumulative --output plan.ecsv
  python -m release run plan.ecsv --model models/first --output outliers
  python -m release status outliers
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit status: 0, or 1 where the work failed, or 2 where the arguments are wrong, or 75 where
        another run works on the folder, or 128 plus the signal that interrupted it.
    """
    options = _parser().parse_args(arguments)
    from model_store.bundle import BundleError

    try:
        logging.basicConfig(level=log_level(), format="outcrop: %(levelname)s: %(message)s")
        return options.run(options)
    except (OutcropError, BundleError, OSError, MemoryError) as error:
        print(f"outcrop: error: {str(error) or type(error).__name__}", file=sys.stderr)
        return os.EX_TEMPFAIL if isinstance(error, FolderInUse) else 1
    except KeyboardInterrupt as stop:
        print("outcrop: interrupted", file=sys.stderr)
        # The exit status that a shell gives a process ended by a signal.
        return 128 + (stop.args[0] if stop.args else 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m release",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
