"""Causes: whether spectra are explained by what was injected in them.

Every injected spectrum that is flagged is explained, and some inliers of every petal. Run as
``python -m training.evaluation.causes BUNDLE DIR``; with ``--fit`` the weights of the competition
are fitted to that sky and written, to be measured on another.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from explanation.competition import UNEXPLAINED, WEIGHTS, Candidates, Weights
from explanation.explainer import Explainer
from outcrop import INSTRUMENTAL, Spectra, find_petals

from ..model.cuts import read_corrected
from ..truth import CONTROL, UNKNOWN, Truth
from .cause_weights import LabelledCandidates, fit_weights

RIGHT: Mapping[str, frozenset[str]] = {
    "wrong_z": frozenset({"wrong_redshift"}),
    "star_as_galaxy": frozenset({"other_class"}),
    "highz_qso": frozenset({"other_class"}),
    "camera_step": frozenset({"camera_calibration"}),
    "bad_sky": frozenset({"sky_residual"}),
    "cosmic": frozenset({"cosmic_ray"}),
    "extreme_halpha": frozenset({"emission_line"}),
    "broad_line": frozenset({"broad_line"}),
    "cv_or_wd": frozenset({"other_class"}),
    "blend": frozenset({"second_spectrum"}),
    "": frozenset({UNEXPLAINED, "rare"}),
}
"""Causes that are right for each injected kind, and for inliers."""
SAME_Z = 3e-3
"""Redshifts nearer than this are the same."""
_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_LEFT_OUT = 0.5
"""Weight of a spectrum whose cause is taken out of the competition."""


@dataclass(frozen=True, eq=False)
class Explained:
    """One spectrum, what competed for it, and the truth.

    Attributes
    ----------
    kind : str
        Empty for an inlier.
    flagged : bool
    z, true_z : float
    candidates : Candidates
    proposed_z : tuple of float
        Of each candidate; NaN where it has none.
    seconds : float
        It took, on one core.
    """

    kind: str
    flagged: bool
    z: float
    true_z: float
    candidates: Candidates
    proposed_z: tuple[float, ...]
    seconds: float

    def labelled(self) -> LabelledCandidates:
        """Return the candidates with the causes that are right."""
        return LabelledCandidates(self.candidates, RIGHT[self.kind])

    def without_cause(self) -> LabelledCandidates:
        """Return the candidates without the causes that are right."""
        return self.labelled().without(RIGHT[self.kind], _LEFT_OUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.causes", description=__doc__
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("folder", metavar="DIR", type=Path, help="petals with a truth.csv")
    parser.add_argument(
        "--inliers", metavar="N", type=int, default=40, help="of each petal (default: 40)"
    )
    parser.add_argument(
        "--fit", action="store_true", help=f"write the weights fitted to this sky to {WEIGHTS.name}"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the numbers there")
    options = parser.parse_args(arguments)

    explained = explain_sky(Explainer.open(options.bundle), options.folder, options.inliers)
    if options.fit:
        sample = [one.labelled() for one in explained]
        sample += [one.without_cause() for one in explained if one.kind]
        weights = fit_weights(sample)
        WEIGHTS.write_text(json.dumps(asdict(weights), indent=2) + "\n")
    else:
        weights = Weights.committed()

    found = result_of(explained, weights)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    tqdm.write(json.dumps(found, indent=2))
    return 0


def explain_sky(explainer: Explainer, folder: Path, inliers: int) -> list[Explained]:
    """Explain the flagged injected spectra of a simulated sky, and inliers of every petal."""
    truth, rng = Truth.below(folder), np.random.default_rng(1)
    found: list[Explained] = []
    for petal in tqdm(find_petals(folder), desc="explain", unit="petal"):
        spectra = read_corrected(petal, explainer.scorer.model.noise_correction)
        scores = explainer.scorer.score(spectra)
        kind = truth.kinds(spectra.targetid)
        injected = scores.anomaly & ~np.isin(kind, ["", CONTROL, UNKNOWN])
        possible = np.flatnonzero(scores.eligible & (kind == ""))
        some = rng.choice(possible, min(inliers, len(possible)), replace=False)
        rows = np.union1d(np.flatnonzero(injected), some)
        rows = np.union1d(rows, np.flatnonzero(scores.anomaly & (kind == "")))
        for row in rows:
            true_z = truth.true_z.get(int(spectra.targetid[row]), np.nan)
            found.append(
                _explain(explainer, spectra[row], str(kind[row]), bool(scores.anomaly[row]), true_z)
            )
    return found


def _explain(
    explainer: Explainer, spectrum: Spectra, kind: str, flagged: bool, true_z: float
) -> Explained:
    # Of this thread alone: another program on the machine does not count.
    start = time.thread_time()
    case = explainer.case(spectrum)
    proposals, candidates = explainer.competitors(case)
    seconds = time.thread_time() - start
    proposed = (*(one.z for one in proposals), np.nan)
    return Explained(kind, flagged, case.z, true_z, candidates, proposed, seconds)


def result_of(explained: Sequence[Explained], weights: Weights) -> dict[str, object]:
    """Return shares of right causes, redshifts and probabilities, by kind."""
    chosen = [_chosen(one.candidates, weights) for one in explained]
    kinds = sorted({one.kind for one in explained} - {""})
    by_kind = {kind: _of_kind(kind, explained, chosen, weights) for kind in kinds}
    right = [share for _, share in by_kind.values()]

    inliers = [k for k, one in enumerate(explained) if not one.kind]
    named = [k for k in inliers if _misleading(*chosen[k])]
    flagged = [k for k, one in enumerate(explained) if one.flagged]
    return {
        "causes": {kind: found for kind, (found, _) in by_kind.items()},
        "macro": round(float(np.mean(right)), 4),
        "worst": round(min(right), 4),
        "inliers": {
            "n": sum(not explained[k].flagged for k in inliers),
            "instrumental_or_better_z": sum(not explained[k].flagged for k in named),
            "flagged": sum(explained[k].flagged for k in inliers),
            "flagged_instrumental_or_better_z": sum(explained[k].flagged for k in named),
        },
        "probabilities": _reliability([(explained[k], *chosen[k]) for k in flagged]),
        "milliseconds": round(1e3 * float(np.median([one.seconds for one in explained])), 1),
    }


def _chosen(candidates: Candidates, weights: Weights) -> tuple[str, float, int]:
    """Return the most probable cause, its probability and its number."""
    probability = weights.probabilities(candidates)
    best = int(probability.argmax())
    return (*candidates.cause, UNEXPLAINED)[best], float(probability[best]), best


def _misleading(cause: str, probability: float, _: int) -> bool:
    better_z = cause in ("wrong_redshift", "other_class")
    return probability > 0.5 and (better_z or cause in INSTRUMENTAL)


def _of_kind(
    kind: str,
    explained: Sequence[Explained],
    chosen: Sequence[tuple[str, float, int]],
    weights: Weights,
) -> tuple[dict[str, object], float]:
    rows = [k for k, one in enumerate(explained) if one.kind == kind]
    causes = Counter(chosen[k][0] for k in rows)
    unknown = [_chosen(explained[k].without_cause().candidates, weights)[0] for k in rows]
    right_z = [_has_true_z(explained[k], *chosen[k]) for k in rows]
    right = sum(causes[one] for one in RIGHT[kind]) / len(rows)
    found = {
        "n": len(rows),
        "right": round(right, 4),
        "said": dict(causes.most_common()),
        "true_z": round(float(np.mean(right_z)), 4),
        "unexplained_without_its_cause": round(float(np.isin(unknown, list(RIGHT[""])).mean()), 4),
    }
    return found, right


def _has_true_z(one: Explained, cause: str, _: float, k: int) -> bool:
    moved = cause in ("wrong_redshift", "other_class") and np.isfinite(one.proposed_z[k])
    return abs((one.proposed_z[k] if moved else one.z) - one.true_z) < SAME_Z


def _reliability(
    rows: Sequence[tuple[Explained, str, float, int]],
) -> list[dict[str, object]]:
    """Return how many of the causes said with a probability are right."""
    probability = np.array([p for _, _, p, _ in rows])
    right: NDArray[np.bool_] = np.array([cause in RIGHT[one.kind] for one, cause, _, _ in rows])
    # The last bin includes its end.
    bins = np.digitize(probability, _EDGES[:-1]) - 1
    return [
        {
            "probability": [_EDGES[k], _EDGES[k + 1]],
            "n": int((bins == k).sum()),
            "right": round(float(right[bins == k].mean()), 4) if (bins == k).any() else None,
        }
        for k in range(len(_EDGES) - 1)
    ]


if __name__ == "__main__":
    raise SystemExit(main())
