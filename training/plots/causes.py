"""Causes: the portrait of one explained spectrum for each cause, with its sentence.

Run as ``python -m training.plots.causes BUNDLE DIR FOLDER`` on petals with injected anomalies. The
pictures in docs/figures are made so. Of a few petals the flagged spectrum with the most probable
cause is drawn, among those of middling S/N.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from explanation.explainer import Explainer
from outcrop import Explanation, Spectra, correct_noise, find_petals, read_spectra

_SNR = (7.0, 30.0)
_DPI = 90


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.plots.causes", description=__doc__)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("output", metavar="FOLDER", type=Path)
    parser.add_argument("--petals", metavar="N", type=int, default=4)
    options = parser.parse_args(arguments)

    explainer = Explainer.open(options.bundle)
    options.output.mkdir(parents=True, exist_ok=True)
    for cause, (spectrum, found) in _examples(explainer, options.folder, options.petals).items():
        scores = explainer.scorer.score(spectrum, reconstruction=True)
        scores.plot(0, found).savefig(options.output / f"cause_{cause}.png", dpi=_DPI)
    return 0


def _examples(
    explainer: Explainer, folder: Path, petals: int
) -> dict[str, tuple[Spectra, Explanation]]:
    """Return the most probable example of each cause that occurs."""
    best: dict[str, tuple[Spectra, Explanation]] = {}
    for petal in tqdm(find_petals(folder)[:petals], desc="explain", unit="petal"):
        spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
        scores = explainer.scorer.score(spectra)
        low, high = _SNR
        rows = np.flatnonzero(scores.anomaly & (scores.snr > low) & (scores.snr < high))
        for row, found in zip(rows, explainer.explain(spectra[rows]), strict=True):
            known = best.get(found.cause)
            if known is None or found.cause_probability > known[1].cause_probability:
                best[found.cause] = spectra[int(row)], found
    return best


if __name__ == "__main__":
    raise SystemExit(main())
