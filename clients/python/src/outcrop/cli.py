"""The command line: ``outcrop score | night | plot | labels | health | model``."""

import argparse
import glob
import io
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import tenacity
from tqdm import tqdm

from ._constants import CHUNK, MODEL_TRIES, ROLLOUT_PAUSE, TIMEOUT, TOP, URL, WORKERS
from ._files import check_output, write_atomically
from ._log_level import log_level
from ._signals import stopped_by_signals
from ._version import __version__
from .client import Client
from .desi import read_spectra, warn_if_simulated
from .errors import FolderInUse, InputError, ModelChanged, OutcropError
from .explanations import Explanation, Explanations
from .flagged import explain_flagged, rows_to_explain
from .label import Label, format_labels
from .model import Model
from .night.causes import count_causes, describe_causes
from .night.run import Night
from .night.selection import Selection
from .night.summary import FAILED, WAITING, Summary
from .noise import correct_noise, describe_noise
from .petals import pair_names
from .remote import fetch, is_remote
from .repeats import with_repeats
from .scores import Scores, count_outside, count_status
from .spectra import Spectra
from .table import check_score_table, write_scores
from .vi import ViTable, format_merged, format_vi, merge_labels, read_vi

if TYPE_CHECKING:
    from .labels import LabelStore

logger = logging.getLogger(__name__)


_EXAMPLE: Final = """\
examples:
  outcrop score --coadd coadd-0-80613-thru20210324.fits \\
                --redrock redrock-0-80613-thru20210324.fits --output outliers.fits
  S3=s3://desidata/dr1/spectro/redux/iron/healpix/main/bright/100/10016
  outcrop score --coadd $S3/coadd-main-bright-10016.fits \\
                --redrock $S3/redrock-main-bright-10016.fits --output outliers.fits
  outcrop night tiles/cumulative --output outliers
  outcrop plot --coadd coadd-0-80613-thru20210324.fits \\
               --redrock redrock-0-80613-thru20210324.fits --targetid 39633345008634465

environment:
  OUTCROP_URL     address of the service, where --url is not given
  OUTCROP_TOKEN   bearer token, where the service requires one
  DESI_LOGLEVEL   debug, info (default), warning, error or critical

  OUTCROP_REMOTE_CACHE, OUTCROP_REMOTE_GIB (20), OUTCROP_REMOTE_CONNECTIONS (4)
                  folder and size of the copies of remote files, requests at a time
"""

_LABELS_EXAMPLE: Final = """\
examples:
  outcrop labels export labels.sqlite --output desi-vi_80613_ABC.csv --scanner ABC
  outcrop labels export labels.sqlite --output labels.csv --format labels
  outcrop labels import labels.sqlite desi-vi_80613_XYZ.csv
  outcrop labels merge desi-vi_80613_ABC.csv desi-vi_80613_XYZ.csv --output merged.csv
  outcrop labels merge labels.sqlite --output merged.csv

A database of labels is an SQLite file, as `python -m review` writes it, or an address as
postgresql://USER:PASSWORD@HOST/NAME.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments without the program's name. Default: those of the process.

    Returns
    -------
    int
        Exit status: 0, or 1 where the work failed, or 2 where the arguments are wrong, or 75
        where another night works on the folder, or 128 plus the signal that interrupted it.

    Examples
    --------
    >>> from outcrop.cli import main
    >>> main(["health", "--url", "nowhere"])
    1
    """
    try:
        options = _parser().parse_args(args)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1

    run = cast(Callable[[argparse.Namespace], int], options.run)
    try:
        with _logging(log_level()):
            return run(options)
    except (OutcropError, OSError, MemoryError) as error:
        print(f"outcrop: error: {str(error) or type(error).__name__}", file=sys.stderr)
        return os.EX_TEMPFAIL if isinstance(error, FolderInUse) else 1
    except KeyboardInterrupt as stop:
        print("outcrop: interrupted", file=sys.stderr)
        # The exit status that a shell gives a process ended by a signal.
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="outcrop",
        description="Find the DESI spectra that stand out.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")

    service = argparse.ArgumentParser(add_help=False)
    service.add_argument(
        "--url",
        default=os.environ.get("OUTCROP_URL", URL),
        # Not the default itself, which may hold a password.
        help=f"address of the service (default: OUTCROP_URL, or {URL})",
    )
    service.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="S",
        help=f"seconds for each {CHUNK} spectra to be scored in (default: %(default)g)",
    )

    commands = parser.add_subparsers(
        required=True, metavar="score | night | plot | labels | health | model"
    )
    _add_score_options(
        commands.add_parser(
            "score",
            parents=[service],
            help="score the spectra of coadds and write their score tables",
            epilog=_EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_night_options(
        commands.add_parser(
            "night",
            parents=[service],
            help="score every petal below a folder that needs it, and summarise the night",
            description="Score every pair of coadd and redrock files below a folder whose score "
            "table is missing, older than they are, or of another model than the served one, and "
            "explain the flagged spectra. "
            "Continues after failures and lists them at the end; may be stopped and run again.",
            epilog=_EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_plot_options(
        commands.add_parser(
            "plot",
            parents=[service],
            help="draw a spectrum with its reconstruction and residual",
            epilog=_EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_labels_commands(
        commands.add_parser(
            "labels",
            help="export, import and merge what people say about spectra",
            epilog=_LABELS_EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    health = commands.add_parser(
        "health", parents=[service], help="print whether the service can score; exit status 0 if so"
    )
    health.set_defaults(run=_health)
    model = commands.add_parser(
        "model", parents=[service], help="print the description of the served model as JSON"
    )
    model.set_defaults(run=_model)
    return parser


def _add_input_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-i", "--coadd"),
        required=True,
        nargs="+",
        metavar="C",
        help="coadd files, or a pattern as 'coadd-*.fits'; paths, https:// or s3://",
    )
    redshifts = parser.add_mutually_exclusive_group(required=True)
    redshifts.add_argument(
        *("-r", "--redrock"),
        nargs="+",
        metavar="R",
        help="their redrock files, or a pattern; paths, https:// or s3://",
    )
    redshifts.add_argument(
        "--z", type=float, metavar="Z", help="redshift of every spectrum, without a redrock file"
    )
    parser.add_argument(
        "--sha256",
        action="store_true",
        help="fetch remote files as a whole and check them by the *.sha256sum in their folder",
    )


def _add_score_options(score: argparse.ArgumentParser) -> None:
    _add_input_options(score)
    score.add_argument(
        *("-o", "--output"),
        required=True,
        metavar="O",
        help="score table to write; for several coadds a folder, for tables outliers-*.fits",
    )
    score.add_argument(
        "--reconstruction", action="store_true", help="write spectra and reconstructions too"
    )
    score.add_argument(
        "--explain", action="store_true", help="explain the flagged spectra: causes and segments"
    )
    score.add_argument("--overwrite", action="store_true", help="replace an existing output")
    _add_reading_options(score)
    score.set_defaults(run=_score)


def _add_plot_options(plot: argparse.ArgumentParser) -> None:
    _add_input_options(plot)
    plot.add_argument(
        "--targetid", required=True, type=int, nargs="+", metavar="ID", help="spectra to draw"
    )
    plot.add_argument(
        *("-o", "--output"),
        default=".",
        metavar="O",
        help="figure to write, as .png, .pdf or .svg, or a folder for figures spectrum-ID.png "
        "(default: this folder)",
    )
    plot.add_argument(
        "--explain", action="store_true", help="shade the segments and write the cause above"
    )
    plot.add_argument("--overwrite", action="store_true", help="replace an existing figure")
    _add_reading_options(plot)
    plot.set_defaults(run=_plot)


def _add_night_options(night: argparse.ArgumentParser) -> None:
    night.add_argument(
        "root",
        nargs="+",
        metavar="ROOT",
        help="a tiles/cumulative or healpix tree, or parts of one; may be a pattern",
    )
    night.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for the tables and the summary"
    )
    night.add_argument(
        "--workers",
        type=_positive,
        default=WORKERS,
        metavar="N",
        help="petals at a time, and so in memory (default: %(default)d)",
    )
    night.add_argument(
        "--watch", action="store_true", help="then wait for new petals, until interrupted"
    )
    night.add_argument(
        "--no-explain",
        dest="explain",
        action="store_false",
        help="score only, without the causes of the flagged spectra",
    )
    night.add_argument(
        "--report",
        action="store_true",
        help="when the night ends, also write report.html: counts, causes, petals, the instrument "
        "and portraits of the most anomalous spectra in one file",
    )
    _add_reading_options(night)

    top = night.add_argument_group("the top list", "toplist.ecsv and targets.txt")
    top.add_argument(
        "--max-p",
        type=_probability,
        metavar="P",
        help="list spectra with a p-value below P (default: those with the flag ANOMALY)",
    )
    top.add_argument(
        "--spectype",
        type=str.upper,
        choices=("GALAXY", "QSO", "STAR"),
        default="",
        help="list only this class",
    )
    top.add_argument(
        "--min-snr",
        type=float,
        default=0.0,
        metavar="SNR",
        help="list only spectra with at least this S/N",
    )
    top.add_argument(
        "--number",
        type=_positive,
        default=TOP,
        metavar="N",
        help="list at most N targets, and then at most N that are set apart (default: %(default)d)",
    )
    top.add_argument(
        "--every-spectrum",
        action="store_true",
        help="list every spectrum of a target with all its fiber observations, not one row a "
        "target; --number then counts spectra",
    )
    night.set_defaults(run=_night)


def _add_labels_commands(labels: argparse.ArgumentParser) -> None:
    commands = labels.add_subparsers(required=True, metavar="export | import | merge")

    def add(name: str, description: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=description,
            epilog=_LABELS_EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    export = add("export", "write the labels of a database to a file")
    export.add_argument("database", metavar="DATABASE", help="labels to read")
    export.add_argument(
        "--format",
        choices=("vi", "labels"),
        default="vi",
        help="vi: visual inspections, as desihub's prospect writes them; labels: TARGETID,LABEL, "
        "what the neighbours of an explanation are called by (default: %(default)s)",
    )
    export.add_argument("--scanner", metavar="NAME", help="only the labels of this person")
    _add_output_options(export)
    export.set_defaults(run=_export_labels)

    importing = add("import", "add VI files to a database; what is there already is no change")
    importing.add_argument("database", metavar="DATABASE", help="labels to add to, made if missing")
    importing.add_argument("files", nargs="+", metavar="VI", help="VI files, or a pattern")
    importing.add_argument(
        "--scanner", metavar="NAME", default="", help="whose the rows without VI_scanner are"
    )
    importing.set_defaults(run=_import_labels)

    merge = add("merge", "merge the labels of several people by DESI's rules, list the conflicts")
    merge.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="VI files, as *.csv, and databases of labels"
    )
    _add_output_options(merge)
    merge.set_defaults(run=_merge_labels)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(*("-o", "--output"), required=True, metavar="O", help="CSV file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def _add_reading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-mismatch",
        action="store_true",
        help="accept a redrock file of which fewer than half of the rows have a spectrum",
    )
    parser.add_argument(
        "--no-noise-correction",
        dest="noise_correction",
        action="store_false",
        help="take the noise as reported, not as the petal's sky fibers show it",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _probability(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to 1")
    return number


@contextmanager
def _logging(level: str) -> Generator[None]:
    """Send this package's log to stderr during a call, and restore the logging afterwards."""
    package = logging.getLogger("outcrop")
    before = package.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("outcrop: %(levelname)s: %(message)s"))
    package.addHandler(handler)
    package.setLevel(level)
    try:
        yield
    finally:
        package.setLevel(before)
        package.removeHandler(handler)


def _client(options: argparse.Namespace, chunks: int = 1) -> Client:
    """Return a client whose calls may take the timeout for each chunk of spectra."""
    return Client(options.url, timeout=options.timeout * chunks)


def _inputs(options: argparse.Namespace) -> list[tuple[str, str | None]]:
    """Return the coadds, each with its redrock file or with none where --z is given.

    They are paths or addresses.
    """
    coadds = _names(options.coadd)
    if options.redrock is None:
        return [(coadd, None) for coadd in coadds]
    return [*pair_names(coadds, _names(options.redrock))]


@contextmanager
def _local(
    options: argparse.Namespace, coadd: str, redrock: str | None
) -> Generator[tuple[Path, Path | None]]:
    """Hold the files of a petal, or copies of remote ones."""
    with ExitStack() as held:

        def local(name: str) -> Path:
            with tqdm(desc="fetch", unit="B", unit_scale=True, delay=2, disable=None) as bar:
                return held.enter_context(fetch(name, sha256=options.sha256, progress=bar.update))

        # The redrock file first: it is small, and shows a wrong address early.
        redshifts = None if redrock is None else local(redrock)
        yield local(coadd), redshifts


def _read(options: argparse.Namespace, coadd: Path, redrock: Path | None) -> Spectra:
    """Return the spectra of a petal, corrected for its noise unless that is switched off."""
    spectra = read_spectra(coadd, redrock, z=options.z, allow_mismatch=options.allow_mismatch)
    return correct_noise(spectra) if options.noise_correction else spectra


def _names(names: Sequence[str]) -> list[str]:
    """Return the paths and addresses of some names; of the paths each may be a pattern."""
    return [
        found
        for name in names
        for found in ([name] if is_remote(name) else map(str, _files([name])))
    ]


def _files(names: Sequence[str]) -> list[Path]:
    """Return the files of some names, of which each may be a pattern."""
    files: list[Path] = []
    for name in names:
        # A file may have [ in its name.
        # Not Path.glob, which takes no absolute pattern.
        found = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        if not found and glob.has_magic(name):
            raise InputError(f"no file matches {name}; check the pattern")
        files += [Path(each) for each in found or [name]]
    return files


def _outputs(output: str, names: Sequence[str]) -> list[Path]:
    """Return the path of each output: in a folder by its name, or the only one as it is given."""
    if Path(output).is_dir():
        return [Path(output, name) for name in names]
    if len(names) > 1:
        raise InputError(f"{output} is not a folder; name one for {len(names)} outputs")
    return [Path(output)]


def _score(options: argparse.Namespace) -> int:
    inputs = _inputs(options)
    outputs = _outputs(
        options.output,
        [
            f"outliers{Path(coadd).name.removeprefix('coadd').removesuffix('.gz')}"
            for coadd, _ in inputs
        ],
    )
    for output in outputs:
        check_score_table(output, options.overwrite)

    for names, output in zip(inputs, outputs, strict=True):
        with _local(options, *names) as (coadd, redrock):
            _score_petal(options, coadd, redrock, output)
    return 0


def _score_petal(
    options: argparse.Namespace, coadd: Path, redrock: Path | None, output: Path
) -> None:
    spectra = _read(options, coadd, redrock)
    chunks = max(1, math.ceil(len(spectra) / CHUNK))
    with _client(options, chunks) as client:
        scores, model, explanations = _scores_of_one_model(
            client, spectra, options.reconstruction, options.explain
        )
    warn_if_simulated(model, coadd)

    if explanations is not None:
        explanations = with_repeats(explanations, spectra, coadd)
    write_scores(output, spectra, scores, model, options.overwrite, explanations)
    print(describe_scores(spectra, scores, model))
    if explanations is not None:
        causes = count_causes(one.cause for one in explanations)
        print(f"causes of the anomalies: {describe_causes(causes) or 'none'}")
    _print(f"written to {output}")


def _plot(options: argparse.Namespace) -> int:
    inputs = _inputs(options)
    wanted: list[int] = list(dict.fromkeys(options.targetid))
    names = [f"spectrum-{targetid}.png" for targetid in wanted]
    outputs = dict(zip(wanted, _outputs(options.output, names), strict=True))
    for output in outputs.values():
        check_output(output, options.overwrite)

    for names in inputs:
        with _local(options, *names) as (coadd, redrock):
            for targetid in _plot_petal(options, coadd, redrock, wanted, outputs):
                wanted.remove(targetid)

    if wanted:
        raise InputError(
            f"TARGETID {', '.join(map(str, wanted))} is in none of {len(inputs)} petals; check the "
            "number and the files"
        )
    return 0


def _plot_petal(
    options: argparse.Namespace,
    coadd: Path,
    redrock: Path | None,
    wanted: Sequence[int],
    outputs: Mapping[int, Path],
) -> list[int]:
    """Draw the spectra that are wanted of a petal; return their TARGETIDs."""
    spectra = _read(options, coadd, redrock)
    found = [each for each in wanted if each in spectra.targetid]
    for targetid in found:
        chosen = spectra[int(np.flatnonzero(spectra.targetid == targetid)[0])]
        with _client(options) as client:
            scores, model, _ = _scores_of_one_model(client, chosen, reconstruction=True)
            explained = client.explain(chosen) if options.explain else None
        warn_if_simulated(model, coadd)

        if explained is not None:
            model.identity.check_same(explained.model)
        explanation = None if explained is None else explained[0]
        _write_figure(scores, explanation, outputs[targetid], options.overwrite)
    return found


def _write_figure(
    scores: Scores, explanation: Explanation | None, output: Path, overwrite: bool
) -> None:
    """Write the portrait of the first spectrum, in the format that the name ends in."""
    figure = cast(Any, scores.plot(0, explanation))
    content = io.BytesIO()
    try:
        figure.savefig(content, format=output.suffix.removeprefix(".") or None)
    except ValueError as error:
        raise InputError(f"{output}: {error}") from error
    write_atomically(output, content.getbuffer(), overwrite)
    _print(f"written to {output}")


def _scores_of_one_model(
    client: Client, spectra: Spectra, reconstruction: bool, explain: bool = False
) -> tuple[Scores, Model, Explanations | None]:
    """Return scores, the description of the model that computed all of them, and explanations.

    Behind a load balancer, while another model is rolled out, requests meet the one or the other.
    """

    def score() -> tuple[Scores, Model, Explanations | None]:
        model = client.model()
        with _bar(len(spectra), "score") as bar:
            scores = client.score(spectra, reconstruction, bar.update)
        model.identity.check_same(scores.model)
        if not explain:
            return scores, model, None

        with _bar(len(rows_to_explain(scores)), "explain") as bar:
            asked = partial(client.explain, progress=bar.update)
            return scores, model, explain_flagged(asked, spectra, scores)

    def report(state: tenacity.RetryCallState) -> None:
        logger.warning("%s: trying again", state.outcome and state.outcome.exception())

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(ModelChanged),
        stop=tenacity.stop_after_attempt(MODEL_TRIES),
        wait=tenacity.wait_fixed(ROLLOUT_PAUSE),
        before_sleep=report,
        reraise=True,
    )(score)


def _bar(total: int, what: str) -> "tqdm[Any]":
    # disable=None: only on a terminal; delay: only where the work takes longer.
    return tqdm(total=total, desc=what, unit=" spectra", delay=2, disable=None)


def describe_scores(spectra: Spectra, scores: Scores, model: Model) -> str:
    """Return the counts of the scores, the model, and what was done about the noise, in lines."""
    outside, unknown = count_outside(scores.status, scores.snr, spectra.desi_target)
    counts = (
        f"{len(scores)} spectra, {np.count_nonzero(scores.eligible)} eligible, "
        f"{np.count_nonzero(scores.anomaly)} anomalies (p < {model.p_level:g}); "
        f"{model.describe(outside, unknown)}; "
        f"status: {count_status(scores.status)}"
    )
    noise = describe_noise(spectra.inputs.noise)
    return f"{counts}\n{noise}" if noise else counts


def _night(options: argparse.Namespace) -> int:
    complete = False
    with _client(options) as client:
        night = Night(
            _files(options.root),
            options.output,
            client,
            options.workers,
            _selection(options),
            options.allow_mismatch,
            options.noise_correction,
            options.explain,
            options.report,
        )

        with stopped_by_signals(night.stop) as caught:
            try:
                night.watch() if options.watch else night.run()
            except OutcropError:
                # A night that is stopped while it waits for the service ends with its error.
                if not caught:
                    raise
            finally:
                if night.summary is not None:
                    complete = _print_summary(night.summary, night.text)

    if caught:
        raise KeyboardInterrupt(caught[0])
    return 0 if complete else 1


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(
        max_p=options.max_p,
        spectype=options.spectype,
        min_snr=options.min_snr,
        number=options.number,
        every_spectrum=options.every_spectrum,
    )


def _print_summary(summary: Summary, text: str) -> bool:
    """Print the summary and the failures of a night; return whether every petal is scored."""
    _print(text)
    totals = summary.totals()
    if totals[FAILED]:
        print(f"outcrop: error: {totals[FAILED]} petals failed:", file=sys.stderr)
        for entry in summary.entries:
            if entry.state == FAILED:
                print(f"  {entry.coadd}: {entry.error}", file=sys.stderr)
    if totals[WAITING]:
        print(f"outcrop: {totals[WAITING]} petals are left; run again to go on", file=sys.stderr)
    return not totals[FAILED] and not totals[WAITING]


def _print(text: str) -> None:
    """Print text with file names, whose bytes the output's encoding may not have."""
    encoding = sys.stdout.encoding
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _export_labels(options: argparse.Namespace) -> int:
    check_output(options.output, options.overwrite)
    labels = _labels_in(options.database, options.scanner)
    if options.format == "vi":
        table = ViTable.of(labels)
        content, number = format_vi(table), len(table.rows)
    else:
        content = format_labels(labels)
        number = content.count(b"\n") - 1

    write_atomically(Path(options.output), content, options.overwrite)
    _print(f"{number} of {len(labels)} labels written to {options.output}")
    return 0


def _import_labels(options: argparse.Namespace) -> int:
    labels = [
        label for path in _files(options.files) for label in _labels_of_vi(path, options.scanner)
    ]
    with _label_store(options.database) as store:
        number = store.record_all(labels)
    print(f"{number} changes by {len(labels)} labels")
    return 0


def _merge_labels(options: argparse.Namespace) -> int:
    check_output(options.output, options.overwrite)
    labels: list[Label] = []
    for number, name in enumerate(options.inputs, start=1):
        if name.endswith(".csv"):
            for path in _files([name]):
                labels += _labels_of_vi(path, scanner=f"file {number}")
        else:
            labels += _labels_in(name)

    merged = merge_labels(labels)
    write_atomically(Path(options.output), format_merged(merged), options.overwrite)
    conflicts = [each for each in merged if each.conflicts]
    for each in conflicts:
        print(f"conflict: TARGETID {each.targetid}: {'; '.join(each.conflicts)}")
    _print(f"{len(merged)} targets, {len(conflicts)} with conflicts, written to {options.output}")
    return 0


def _labels_of_vi(path: Path, scanner: str) -> list[Label]:
    try:
        return read_vi(path).labels(scanner)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def _labels_in(database: str, scanner: str | None = None) -> list[Label]:
    if "://" not in database and not Path(database).is_file():
        raise InputError(f"{database} does not exist; name a database of labels")
    with _label_store(database) as store:
        return store.current(scanner)


def _label_store(database: str) -> "LabelStore":
    try:
        from .labels import LabelStore
    except ImportError as error:
        raise InputError(
            f"databases of labels need SQLAlchemy ({error}); install it: pip install sqlalchemy"
        ) from error
    return LabelStore(database)


def _health(options: argparse.Namespace) -> int:
    with _client(options) as client:
        reason = client.why_not_ready()
    print(f"{client.url} is {'ready' if reason is None else f'not ready: {reason}'}")
    return 0 if reason is None else 1


def _model(options: argparse.Namespace) -> int:
    with _client(options) as client:
        model = client.model()
    print(json.dumps(model.to_json(), indent=2))
    return 0
