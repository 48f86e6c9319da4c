"""Scanners: how soon a person finds what they care for, by the order in which they look.

Simulated scanners look at the flagged spectra of simulated nights in batches of ten. Each cares for
one injected kind, or for what is injected and explained by no cause: they label it 5, and all else
0. Every method sees the same features and labels. In a *crowded* night 1 % of the flagged spectra
are what the scanner cares for, and the other kinds are all there; in a *sparse* one each kind is
1 %, and the others are inliers of the smallest p-values. Run as
`python -m training.evaluation.scanners BUNDLE DIR`, where DIR has petals and their truth.csv.

Numbers from simulated skies are not DESI performance.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from explanation.competition import UNEXPLAINED
from explanation.explainer import Explainer
from explanation.interest import (
    LARGEST,
    ORDERS,
    LatentScale,
    Ranking,
    ScoredColumns,
    blend,
    expected_improvement,
)
from outcrop import find_petals
from outcrop.explanations import CAUSES

from ..model.cuts import read_corrected
from ..truth import CONTROL, UNKNOWN, Truth

LOOKED_AT = (50, 100, 200)
BATCH = 10
SHARE = 0.01
"""Of what a scanner cares for, among the flagged."""
NIGHTS = ("crowded", "sparse")
MACRO = "macro"
"""Mean over the kinds."""

Order = Callable[[Mapping[int, int]], NDArray[np.int64]]
"""Labels to rows, in the order in which they are looked at; labelled ones are skipped."""
_TREES = 200
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class FlaggedSky:
    """What is known of N spectra of a simulated sky, explained.

    Attributes
    ----------
    columns : ScoredColumns
        `flagged` at the level of the model; not all inliers are.
    kind : (N,) str
        Empty for inliers.
    unexplained : (N,) bool
        Whether ``unexplained`` is the most probable cause.
    """

    columns: ScoredColumns
    kind: NDArray[np.str_]
    unexplained: NDArray[np.bool_]

    def scanners(self) -> dict[str, NDArray[np.bool_]]:
        """Return what (N,) each scanner cares for."""
        kinds = sorted(set(self.kind.tolist()) - {""})
        wanted = {kind: self.kind == kind for kind in kinds}
        return wanted | {UNEXPLAINED: self.unexplained & (self.kind != "")}

    def draw(
        self, night: str, wanted: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the rows of one of `NIGHTS`, in random order."""
        if night == "crowded":
            flagged = self.columns.flagged
            others = np.flatnonzero(flagged & ~wanted)
            count = round(SHARE / (1 - SHARE) * len(others))
            parts = [others, _some(np.flatnonzero(flagged & wanted), count, rng)]
        else:
            parts = [np.flatnonzero(self.kind == "")]
            highest = self.columns.p_value[parts[0]].max()
            kinds = sorted(set(self.kind.tolist()) - {""})
            count = round(SHARE / (1 - SHARE * len(kinds)) * len(parts[0]))
            for kind in kinds:
                rows = np.flatnonzero((self.kind == kind) & (self.columns.p_value <= highest))
                parts.append(_some(rows, count, rng))
        return rng.permutation(np.concatenate(parts))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.scanners", description=__doc__
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("folder", metavar="DIR", type=Path, help="petals with a truth.csv")
    parser.add_argument(
        "--inliers", metavar="N", type=int, default=900, help="of a sparse night (default: 900)"
    )
    parser.add_argument("--seeds", metavar="N", type=int, default=10, help="(default: 10)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the numbers there")
    options = parser.parse_args(arguments)

    explainer = Explainer.open(options.bundle)
    sky = explain_sky(explainer, options.folder, options.inliers)
    scale = LatentScale.of(explainer.scorer.density.latents)
    found = {
        night: result_of(
            [look(sky, scale, night, seed) for seed in tqdm(range(options.seeds), desc=night)]
        )
        for night in NIGHTS
    }
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    tqdm.write(json.dumps(found, indent=2))
    return 0


def explain_sky(explainer: Explainer, folder: Path, inliers: int) -> FlaggedSky:
    """Explain what is flagged, and so many inliers, those of the smallest p-values.

    Injected spectra of p-values among those of the inliers are explained too.
    """
    truth, petals = Truth.below(folder), list(find_petals(folder))
    inlier_p: list[NDArray[np.float64]] = []
    for petal in tqdm(petals, desc="score", unit="petal"):
        spectra = read_corrected(petal, explainer.scorer.model.noise_correction)
        scores = explainer.scorer.score(spectra)
        inlier_p.append(scores.p_value[scores.eligible & (truth.kinds(spectra.targetid) == "")])
    highest = np.sort(np.concatenate(inlier_p))[:inliers].max()

    parts: list[FlaggedSky] = []
    for petal in tqdm(petals, desc="explain", unit="petal"):
        spectra = read_corrected(petal, explainer.scorer.model.noise_correction)
        scores, kind = explainer.scorer.score(spectra), truth.kinds(spectra.targetid)
        possible = scores.anomaly | (scores.p_value <= highest)
        rows = np.flatnonzero(scores.eligible & possible & ~np.isin(kind, [CONTROL, UNKNOWN]))

        explained = explainer.explain(spectra[rows])
        probability = [{e.cause: e.probability for e in one.evidence} for one in explained]
        columns = ScoredColumns(
            scores.latent[rows],
            scores.wmse[rows],
            scores.nof[rows],
            scores.p_value[rows],
            spectra.z[rows],
            np.array([one.z_best for one in explained]),
            np.full(len(rows), "") if spectra.spectype is None else spectra.spectype[rows],
            scores.anomaly[rows],
            np.array([[one.get(cause, 0.0) for cause in CAUSES] for one in probability]),
        )
        unexplained = np.array([one.cause == UNEXPLAINED for one in explained], np.bool_)
        parts.append(FlaggedSky(columns, kind[rows], unexplained))
    return _joined(parts)


@dataclass(frozen=True)
class Looked:
    """How many of what each scanner cares for are found in one night.

    Attributes
    ----------
    spectra : int
    wanted : dict of str to int
        Of each scanner.
    hits : dict of str to dict of str to list of int
        Of each method and scanner, at each of `LOOKED_AT`.
    """

    spectra: int
    wanted: dict[str, int]
    hits: dict[str, dict[str, list[int]]]


def look(sky: FlaggedSky, scale: LatentScale, night: str, seed: int) -> Looked:
    """Let all scanners look at nights of one seed, by all methods."""
    spectra, wanted = 0, dict[str, int]()
    hits: dict[str, dict[str, list[int]]] = {}
    for scanner, cared_for in sky.scanners().items():
        rows = sky.draw(night, cared_for, np.random.default_rng(seed))
        spectra, wanted[scanner] = len(rows), int(np.count_nonzero(cared_for[rows]))
        for name, order in _orders(sky.columns.chosen(rows), scale, seed).items():
            hits.setdefault(name, {})[scanner] = _hits(order, cared_for[rows])
    return Looked(spectra, wanted, hits)


def result_of(looked: Sequence[Looked]) -> dict[str, object]:
    """Return means over nights, with 95 % intervals: mean, low, high.

    Returns
    -------
    dict
        `spectra` and `wanted`; hits of each method, the mean over the kinds and of each scanner, at
        each of `LOOKED_AT`; how many times those of p-values and of Astronomaly's formula they are.
    """
    scanners = list(looked[0].wanted)
    hits = {
        name: {
            scanner: np.array([one.hits[name][scanner] for one in looked], float)
            for scanner in scanners
        }
        for name in looked[0].hits
    }
    for of_scanner in hits.values():
        kinds = [of_scanner[scanner] for scanner in scanners if scanner != UNEXPLAINED]
        of_scanner[MACRO] = np.mean(kinds, axis=0)

    return {
        "spectra": float(np.mean([one.spectra for one in looked])),
        "wanted": {k: float(np.mean([one.wanted[k] for one in looked])) for k in scanners},
        "hits": {
            name: {scanner: _at(_interval(found)) for scanner, found in of_scanner.items()}
            for name, of_scanner in hits.items()
        },
        "times": {
            name: {
                other: _at(_interval(of_scanner[MACRO], hits[other][MACRO]))
                for other in ("p_value", "astronomaly")
            }
            for name, of_scanner in hits.items()
        },
    }


def _orders(columns: ScoredColumns, scale: LatentScale, seed: int) -> dict[str, Order]:
    """Return every method by name; rows are in random order already."""
    ranking = Ranking(columns, scale, seed)
    features, by_p = ranking.features, np.argsort(columns.p_value, kind="stable")
    random = np.arange(len(by_p))

    # Astronomaly's raw score is what it ranks by, from 0 to 5.
    digits = -np.log10(columns.p_value)
    raw = LARGEST * (digits - digits.min()) / np.ptp(digits)
    orders: dict[str, Order] = {
        "p_value": lambda _: by_p,
        "random": lambda _: random,
        "astronomaly": lambda labels: _astronomaly(features, raw, labels, seed),
        "protege": lambda labels: _protege(features, labels),
    }
    for name in ORDERS[1:]:
        orders[name] = lambda labels, name=name: ranking.order(name, labels)
    return orders


def _hits(order: Order, wanted: NDArray[np.bool_]) -> list[int]:
    """Return how many wanted ones are among the first `LOOKED_AT`, looked at in batches."""
    labels: dict[int, int] = {}
    while len(labels) < min(max(LOOKED_AT), len(wanted)):
        new = [row for row in order(labels).tolist() if row not in labels][:BATCH]
        labels |= {row: LARGEST if wanted[row] else 0 for row in new}
    found = np.cumsum([label > 0 for label in labels.values()])
    return found[np.minimum(LOOKED_AT, len(found)) - 1].tolist()


def _astronomaly(
    features: NDArray[np.float32], raw: NDArray[np.float64], labels: Mapping[int, int], seed: int
) -> NDArray[np.int64]:
    """Return Astronomaly's order: its formula, with a random forest and the mean distance."""
    if not labels:
        return np.argsort(-raw, kind="stable")
    known, values = features[list(labels)], list(labels.values())
    distance = NearestNeighbors(n_neighbors=1).fit(known).kneighbors(features)[0][:, 0]
    # A forest of labels that are all the same predicts them.
    interest = np.full(len(features), float(values[0]))
    if len(set(values)) > 1:
        forest = RandomForestRegressor(_TREES, random_state=seed)
        interest = forest.fit(known, values).predict(features)
    score = blend(raw, interest, distance / distance.mean())
    return np.argsort(-score, kind="stable")


def _protege(features: NDArray[np.float32], labels: Mapping[int, int]) -> NDArray[np.int64]:
    """Return Protege's order: ten along the first component, then the expected improvement."""
    if not labels:
        centred = features - features.mean(axis=0)
        axis = np.linalg.svd(centred, full_matrices=False)[2][0]
        along = np.argsort(centred @ axis, kind="stable")
        return along[np.linspace(0, len(along) - 1, BATCH).astype(np.int64)]

    process = GaussianProcessRegressor(Matern() + WhiteKernel())
    with warnings.catch_warnings():
        # Labels that are all the same have no length.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(features[list(labels)], list(labels.values()))
    mean, deviation = map(np.real, process.predict(features, return_std=True)[:2])
    score = expected_improvement(mean, deviation, max(labels.values()))
    return np.argsort(-score, kind="stable")


def _interval(
    found: NDArray[np.float64], other: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the mean (3, K) over seeds (S, K) with a 95 % interval, or its ratio to another's."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(found), (_RESAMPLES, len(found)))
    drawn = np.vstack([np.arange(len(found)), drawn])
    means = found[drawn].mean(axis=1)
    if other is not None:
        # No hit at all counts as one, so that ratios stay finite.
        means = means / np.maximum(other[drawn].mean(axis=1), 1 / other.size)
    return np.vstack([means[:1], np.quantile(means[1:], (0.025, 0.975), axis=0)])


def _at(interval: NDArray[np.float64]) -> dict[str, list[float]]:
    return dict(zip(map(str, LOOKED_AT), interval.T.round(2).tolist(), strict=True))


def _some(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `count` of the rows at random, or all where they are fewer."""
    return rng.choice(rows, min(max(count, 1), len(rows)), replace=False)


def _joined(parts: Sequence[FlaggedSky]) -> FlaggedSky:
    columns = {
        one.name: np.concatenate([getattr(part.columns, one.name) for part in parts])
        for one in fields(ScoredColumns)
    }
    kind = np.concatenate([part.kind for part in parts])
    return FlaggedSky(
        ScoredColumns(**columns), kind, np.concatenate([part.unexplained for part in parts])
    )


if __name__ == "__main__":
    raise SystemExit(main())
