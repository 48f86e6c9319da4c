"""Causes: the portrait of one explained spectrum for each cause, with its sentence.

Run as ``python -m training.plots.causes BUNDLE DIR FOLDER`` on petals with injected anomalies. The
pictures in docs/figures are made so. Of a few petals one spectrum of each cause is drawn: of
middling S/N, with a probable cause where there is one, and with a p-value near 1e-6, at which an
anomaly is seen by eye and does not yet hide the rest.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from explanation.explainer import Explainer
from outcrop import Explanation, Spectra, correct_noise, find_petals, read_spectra

from .style import save

_SNR = (7.0, 30.0)
_PROBABLE = 0.9
_LOG_P = -6.0
_DPI = 110


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
        save(scores.plot(0, found), options.output / f"cause_{cause}.png", _DPI)
    return 0


def _examples(
    explainer: Explainer, folder: Path, petals: int
) -> dict[str, tuple[Spectra, Explanation]]:
    """Return the clearest example of each cause that occurs."""
    best: dict[str, tuple[Spectra, Explanation]] = {}
    for petal in tqdm(find_petals(folder)[:petals], desc="explain", unit="petal"):
        spectra = read_spectra(petal.coadd, petal.redrock)
        if explainer.scorer.model.noise_correction is not False:
            spectra = correct_noise(spectra)
        scores = explainer.scorer.score(spectra)
        low, high = _SNR
        rows = np.flatnonzero(scores.anomaly & (scores.snr > low) & (scores.snr < high))
        for row, found in zip(rows, explainer.explain(spectra[rows]), strict=True):
            known = best.get(found.cause)
            if known is None or _clearness(found) > _clearness(known[1]):
                best[found.cause] = spectra[int(row)], found
    return best


def _clearness(found: Explanation) -> tuple[bool, float]:
    return found.cause_probability > _PROBABLE, -abs(np.log10(found.p_value) - _LOG_P)


if __name__ == "__main__":
    raise SystemExit(main())
