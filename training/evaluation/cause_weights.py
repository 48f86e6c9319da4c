"""Cause weights: the weights of the competition of causes, fitted to a simulated sky.

The likelihood is that of the conditional logit (McFadden 1974). Spectra whose cause is taken out of
the competition are in the sample too, and unexplained: otherwise no weight would tell a good
explanation from the best of bad ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from explanation.competition import FEATURES, UNEXPLAINED, Candidates, Weights, known_causes

_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class LabelledCandidates:
    """What competed for a spectrum, and which causes are right.

    Attributes
    ----------
    candidates : Candidates
    right : frozenset of str
    weight : float
        In the likelihood.
    """

    candidates: Candidates
    right: frozenset[str]
    weight: float = 1.0

    def without(self, causes: frozenset[str], weight: float) -> "LabelledCandidates":
        """Return the same spectrum where these causes are not known."""
        left = [k for k, cause in enumerate(self.candidates.cause) if cause not in causes]
        return LabelledCandidates(
            self.candidates.choose(left), frozenset({UNEXPLAINED, "rare"}), weight
        )


def fit_weights(sample: Sequence[LabelledCandidates]) -> Weights:
    """Return the weights with the largest likelihood of the causes that are right."""
    names = known_causes()
    blocks = [_design(one.candidates, names) for one in sample]
    starts = np.cumsum([0, *(len(block) for block in blocks)])
    design = np.concatenate(blocks)
    right = np.concatenate(
        [np.isin([*one.candidates.cause, UNEXPLAINED], list(one.right)) for one in sample]
    )
    weight = np.array([one.weight for one in sample])
    owner = np.repeat(np.arange(len(sample)), np.diff(starts))

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        utility = design @ parameters
        utility -= np.maximum.reduceat(utility, starts[:-1])[owner]
        exponential = np.exp(utility)
        total = np.add.reduceat(exponential, starts[:-1])
        chosen = np.add.reduceat(exponential * right, starts[:-1]) + 1e-12

        share = exponential / total[owner]
        among = exponential * right / chosen[owner]
        gradient = (weight[owner] * (share - among)) @ design
        value = np.sum(weight * (np.log(total) - np.log(chosen)))
        return (
            float(value + _RIDGE * parameters @ parameters),
            gradient + 2 * _RIDGE * parameters,
        )

    # A cause is not less probable for explaining more, nor for leaving less.
    falling = {"left", "inlier"}
    signs = [(None, 0) if name in falling else (0, None) for name in FEATURES]
    bounds = [(None, None)] * len(names) + signs
    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    constants = dict(zip(names, found.x[: len(names)].tolist(), strict=True))
    slopes = dict(zip(FEATURES, found.x[len(names) :].tolist(), strict=True))

    # Of a cause that no spectrum has, the sample says only that it is not what others are.
    had = frozenset[str]().union(*(one.right for one in sample))
    middle = float(np.median([constants[name] for name in names if name in had]))
    constants |= {name: middle for name in names if name not in had}
    return Weights(
        {name: round(value, 3) for name, value in constants.items()},
        {name: round(value, 3) for name, value in slopes.items()},
    )


def _design(candidates: Candidates, names: Sequence[str]) -> NDArray[np.float64]:
    """Return what the parameters are multiplied with, a row for each candidate, 0 at the end."""
    constants = np.array([[cause == name for name in names] for cause in candidates.cause], float)
    rows = np.hstack([constants, candidates.features])
    return np.vstack([rows, np.zeros(rows.shape[1])])
