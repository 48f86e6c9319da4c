"""Score one petal in process, without a server; writes the same table as `outcrop score`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model_store.bundle import Bundle, BundleError
from model_store.registry import resolve
from outcrop import OutcropError, correct_noise, read_spectra, write_scores
from outcrop.cli import describe_scores
from outcrop.desi import warn_if_simulated
from outcrop.table import check_score_table

from .scorer import Scorer

_EXAMPLE = """example:
  python -m scoring --coadd coadd-0-1234-thru20260101.fits \\
      --redrock redrock-0-1234-thru20260101.fits --output outliers.fits --model BUNDLE

Scores only. `outcrop score --explain` explains the flagged spectra through a service, and
`python -m explanation` without one.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        check_score_table(options.output, options.overwrite)
        spectra = read_spectra(options.coadd, options.redrock)
        if options.noise_correction:
            spectra = correct_noise(spectra)

        scorer = Scorer(Bundle.open(resolve(options.model)))
        warn_if_simulated(scorer.model, options.coadd)
        scores = scorer.score(spectra, reconstruction=options.reconstruction)

        write_scores(options.output, spectra, scores, scorer.model, overwrite=options.overwrite)
        print(describe_scores(spectra, scores, scorer.model))
    except (OutcropError, BundleError) as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scoring",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-i", "--coadd", type=Path, required=True, help="coadd FITS file")
    parser.add_argument("--redrock", type=Path, required=True, help="redrock FITS file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="score table to write")
    parser.add_argument("--model", required=True, help="bundle folder, or a tag of the model store")
    parser.add_argument(
        "--reconstruction", action="store_true", help="also write the spectra as image HDUs"
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
