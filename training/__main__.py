"""Training: simulate a sky, fit a model, calibrate and evaluate it, draw its figures."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from .outputs import OutputError, check_file, check_folder, check_new

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_EXAMPLE = """example:
  python -m training simulate sky/train --petals 10 --seed 1
  python -m training fit sky/train --output models/first --config demo
  python -m training simulate sky/test --petals 2 --seed 2 --anomalies 0.08
  python -m training evaluate models/first sky/test
  python -m training calibrate models/first sky/own --output models/first-own-sky
  python -m training figures models/first sky/test --output figures
  python -m training simulate release --petals 100 --seed 3 --layout tiles healpix --zcatalog
  python -m training fit dr1-bright.ecsv --output models/dr1
  python -m training reproduce edr-bright.ecsv --output edr
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    # Before the imports, which take seconds.
    try:
        options.check(options)
    except OutputError as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 2

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from tqdm.contrib.logging import logging_redirect_tqdm

    from model_store.bundle import BundleError
    from outcrop.errors import OutcropError

    from . import TrainingError

    try:
        with logging_redirect_tqdm():
            options.run(options)
    except (TrainingError, BundleError, OutcropError) as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"outcrop: error: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\noutcrop: stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_simulate(commands)
    _add_fit(commands)
    _add_calibrate(commands)
    _add_evaluate(commands)
    _add_figures(commands)
    _add_reproduce(commands)
    return parser


def _add_simulate(commands: _Commands) -> None:
    simulate = commands.add_parser(
        "simulate", help="write petals of a simulated sky and its truth.csv"
    )
    simulate.add_argument("folder", metavar="DIR", type=Path)
    simulate.add_argument("--petals", metavar="N", type=_count, required=True)
    simulate.add_argument("--seed", metavar="S", type=_seed, required=True)

    simulate.add_argument(
        "--anomalies",
        metavar="FRACTION",
        type=_fraction,
        default=0.0,
        help="share of the targets that are injected anomalies (default: 0)",
    )
    simulate.add_argument(
        "--nuisances",
        metavar="STRENGTH",
        type=_fraction,
        default=1.0,
        help="strength of a real night's nuisances: wrong variances, residuals of the sky, "
        "offsets of cameras, other surveys (default: 1; 0 is a clean sky)",
    )
    simulate.add_argument(
        "--exposures",
        metavar="N",
        type=_count,
        default=0,
        help="also write the N exposures of each petal, spectra-*.fits (default: none)",
    )
    simulate.add_argument(
        "--layout",
        choices=("tiles", "healpix"),
        nargs="+",
        default=["tiles"],
        help="of the folders, as in DESI's releases; N files of each (default: tiles)",
    )
    simulate.add_argument(
        "--fibers",
        metavar="N",
        type=_count,
        default=500,
        help="write the first N of each petal's 500 fibers (default: all)",
    )
    simulate.add_argument(
        "--zcatalog",
        action="store_true",
        help="also write zcatalog/v1/zall-*.fits, the redshift catalogues of the layouts",
    )
    simulate.add_argument(
        "--overwrite", action="store_true", help="replace the simulated sky that DIR holds"
    )
    simulate.set_defaults(
        run=_simulate, check=lambda o: check_folder(o.folder, overwrite=o.overwrite)
    )


def _add_fit(commands: _Commands) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a model to petals and write a bundle; run it again to continue a stopped fit",
    )
    _add_petals(fit)
    fit.add_argument("--output", metavar="BUNDLE", type=Path, required=True)
    fit.add_argument(
        "--config",
        metavar="NAME_OR_TOML",
        default="default",
        help="demo, paper, default (the default), or the path of a .toml file",
    )
    fit.set_defaults(run=_fit, check=lambda o: check_new(o.output))


def _add_calibrate(commands: _Commands) -> None:
    calibrate = commands.add_parser(
        "calibrate",
        help="refit thresholds, p-values and drift reference to unlabelled petals; networks stay",
    )
    calibrate.add_argument("bundle", metavar="BUNDLE", type=Path)
    _add_petals(calibrate)
    calibrate.add_argument("--output", metavar="BUNDLE2", type=Path, required=True)
    calibrate.set_defaults(run=_calibrate, check=lambda o: check_new(o.output))


def _add_petals(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "petals",
        metavar="DIR_OR_PLAN",
        type=Path,
        nargs="+",
        help="folder of petals, or a plan of a release, .ecsv, from `python -m release plan`",
    )


def _add_evaluate(commands: _Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="evaluate a model and baselines on petals; recall needs a truth.csv"
    )
    evaluate.add_argument("bundle", metavar="BUNDLE", type=Path)
    evaluate.add_argument("folder", metavar="DIR", type=Path)
    evaluate.add_argument(
        "--json", metavar="FILE", type=Path, help="also write the numbers to this file"
    )
    evaluate.add_argument(
        "--train",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[],
        help="the petals that the model was fitted to; the baselines are fitted to them",
    )
    evaluate.add_argument(
        "--paper",
        metavar="BUNDLE",
        type=Path,
        help="a bundle of the paper's recipe to compare with",
    )
    evaluate.set_defaults(run=_evaluate, check=lambda o: o.json is None or check_file(o.json))


def _add_figures(commands: _Commands) -> None:
    figures = commands.add_parser("figures", help="draw a model's results on petals")
    figures.add_argument("bundle", metavar="BUNDLE", type=Path)
    figures.add_argument("folder", metavar="DIR", type=Path)
    figures.add_argument("--output", metavar="FOLDER", type=Path, required=True)
    figures.add_argument(
        "--scores", metavar="O.fits", type=Path, help="read the scores from this score table"
    )
    figures.add_argument(
        "--overwrite", action="store_true", help="replace pictures that FOLDER holds"
    )
    figures.set_defaults(
        run=_figures, check=lambda o: check_folder(o.output, overwrite=o.overwrite)
    )


def _add_reproduce(commands: _Commands) -> None:
    reproduce = commands.add_parser(
        "reproduce",
        help="fit the paper's recipe and ours to a plan of the EDR, and compare with the paper",
    )
    reproduce.add_argument(
        "plan", metavar="PLAN", type=Path, help="of the EDR, from `python -m release plan`"
    )
    reproduce.add_argument("--output", metavar="FOLDER", type=Path, required=True)
    reproduce.add_argument(
        "--recipes",
        metavar="NAME_OR_TOML",
        nargs=2,
        default=["paper", "default"],
        help="the recipe to compare with the paper, and the one to list the most anomalous "
        "spectra by (default: paper default)",
    )
    # Run again, it goes on with what is there.
    reproduce.set_defaults(run=_reproduce, check=lambda o: check_folder(o.output, overwrite=True))


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def _simulate(options: argparse.Namespace) -> None:
    from .sky.petals import remove_sky, simulate

    if options.overwrite:
        remove_sky(options.folder)
    simulate(
        options.folder,
        options.petals,
        options.seed,
        options.anomalies,
        options.nuisances,
        options.exposures,
        options.layout,
        options.fibers,
        options.zcatalog,
    )
    petals = options.petals * len(options.layout)
    print(f"sky: {petals} petals and truth.csv in {options.folder}")


def _fit(options: argparse.Namespace) -> None:
    from .model.config import load_config

    config = load_config(options.config)
    with _silent_tensorflow():
        from .model.pipeline import fit_bundle

    bundle = fit_bundle(options.petals, options.output, config)
    print(f"model: {bundle}\nreport: {bundle.with_name(bundle.name + '-report') / 'report.md'}")


def _calibrate(options: argparse.Namespace) -> None:
    from .model.calibrate import calibrate_bundle

    print(f"model: {calibrate_bundle(options.bundle, options.petals, options.output)}")


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluation.evaluate import evaluate

    evaluate(options.bundle, options.folder, options.json, train=options.train, paper=options.paper)


def _figures(options: argparse.Namespace) -> None:
    from .plots.figures import figures

    written = figures(options.bundle, options.folder, options.output, options.scores)
    pictures = sum(path.suffix == ".png" for path in written)
    print(f"figures: {pictures} pictures in {options.output}; open {written[0]}")


def _reproduce(options: argparse.Namespace) -> None:
    with _silent_tensorflow():
        from .reproduction.reproduce import reproduce

    print(f"report: {reproduce(options.plan, options.output, options.recipes)}")


@contextlib.contextmanager
def _silent_tensorflow() -> Iterator[None]:
    """Hide TensorFlow's C++ start-up messages, which no setting stops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
