"""Explain the flagged spectra of one petal in process, without a server.

Prints why each stands out, the least probable first. With --output also writes the score table with
the explanations, as `outcrop score --explain` does.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model_store.bundle import Bundle, BundleError
from model_store.registry import resolve
from outcrop import (
    OutcropError,
    Spectra,
    correct_noise,
    read_spectra,
    with_repeats,
    write_scores,
)
from outcrop.cli import describe_scores
from outcrop.desi import warn_if_simulated
from outcrop.explanations import Explanation, Explanations
from outcrop.flagged import explain_flagged
from outcrop.table import check_score_table

from .explainer import Explainer
from .labels import read_labels
from .neighbours import vote

_EXAMPLE = """example:
  python -m explanation --coadd coadd-0-1234-thru20260101.fits \\
      --redrock redrock-0-1234-thru20260101.fits --model BUNDLE --labels labels.csv
"""
# Rows between two steps of the progress bar.
_BLOCK = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.output:
            check_score_table(options.output, options.overwrite)
        labels = read_labels(options.labels) if options.labels else None
        spectra = read_spectra(options.coadd, options.redrock)
        if options.noise_correction:
            spectra = correct_noise(spectra)

        explainer = Explainer(Bundle.open(resolve(options.model)), labels=labels)
        scorer = explainer.scorer
        warn_if_simulated(scorer.model, options.coadd)
        scores = scorer.score(spectra)

        def explain(chosen: Spectra) -> Explanations:
            return _explain(explainer, chosen)

        found = explain(spectra) if options.all else explain_flagged(explain, spectra, scores)
        found = with_repeats(found, spectra, options.coadd)
        if options.output:
            write_scores(
                *(options.output, spectra, scores, scorer.model),
                overwrite=options.overwrite,
                explanations=found,
            )
        print(_table(found))
        print(describe_scores(spectra, scores, scorer.model))
    except (OutcropError, BundleError) as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    return 0


def _explain(explainer: Explainer, spectra: Spectra) -> Explanations:
    """Explain spectra with a progress bar."""
    rows: list[Explanation] = []
    with tqdm(total=len(spectra), desc="explain", unit="spectrum", delay=2) as bar:
        for start in range(0, len(spectra), _BLOCK):
            block = spectra[start : start + _BLOCK]
            rows += explainer.explain(block)
            bar.update(len(block))
    return Explanations(explainer.scorer.model.identity, tuple(rows))


def _table(explanations: Explanations) -> str:
    """Return a line for each explanation with a cause, and what its neighbours are."""
    explained = [one for one in explanations if one.cause]
    # NaN comes last.
    order = np.argsort([one.p_value for one in explained], kind="stable")
    cells = [("TARGETID", "p", "cause", "probability", "neighbours", "sentence")]
    cells += [_cells(explained[i]) for i in order]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(explanation: Explanation) -> tuple[str, ...]:
    like = vote(explanation.neighbours)
    return (
        str(explanation.targetid),
        "-" if np.isnan(explanation.p_value) else f"{explanation.p_value:.1e}",
        explanation.cause,
        f"{explanation.cause_probability:.2f}",
        "-" if like is None else f"{like.votes}/{like.voters} {like.name}",
        explanation.sentence,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m explanation",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    parser.add_argument("-i", "--coadd", type=Path, required=True, help="coadd FITS file")
    parser.add_argument("--redrock", type=Path, required=True, help="redrock FITS file")
    parser.add_argument("--model", required=True, help="bundle folder, or a tag of the model store")
    parser.add_argument("-o", "--output", type=Path, help="score table to write")
    parser.add_argument("--all", action="store_true", help="explain every spectrum that has scores")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV file with the columns TARGETID,LABEL: what training spectra are, for the column "
        "neighbours",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument(
        "--no-noise-correction",
        dest="noise_correction",
        action="store_false",
        help="take the noise as reported, not as the petal's sky fibers show it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
