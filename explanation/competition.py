"""Competition: from what each cause explains to the probability of each.

The probability of a cause is the conditional logit (McFadden 1974) of six numbers: a constant of
the cause, the share of the excess χ² that it explains beyond a penalty for its parameters, the
logarithms of the χ² and of the p-value of what is left, by how much that is above the p-value
before, and by how much the p-value before is above 1 %: an inlier needs no cause. ``unexplained``
has the constant 0 and nothing else. The weights in ``weights.json`` are fitted to simulated skies
by ``python -m training.evaluation.causes --fit``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from outcrop.explanations import CAUSES

UNEXPLAINED = "unexplained"
WEIGHTS = Path(__file__).with_name("weights.json")
FEATURES = ("share", "left", "p_value", "improvement", "inlier")
_PENALTY = 2.0
_LEAST_EXCESS = 30.0
_LEAST_P = 1e-10
_INLIER = -2.0
_MOST_IMPROVEMENT = 2.0
"""Orders of magnitude of the p-value beyond which no cause is more probable."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The causes that compete for one spectrum, K of them.

    Attributes
    ----------
    cause : tuple of str
    delta_chi2 : (K,) float64
    parameters : (K,) int64
    p_value : (K,) float64
        Of what remains.
    before : float
        p-value of the spectrum as it is.
    excess : float
        χ² of the spectrum beyond what an inlier has.
    """

    cause: tuple[str, ...]
    delta_chi2: NDArray[np.float64]
    parameters: NDArray[np.int64]
    p_value: NDArray[np.float64]
    before: float
    excess: float

    def choose(self, index: Sequence[int]) -> "Candidates":
        """Return the chosen candidates."""
        rows = list(index)
        return Candidates(
            tuple(self.cause[k] for k in rows),
            self.delta_chi2[rows],
            self.parameters[rows],
            self.p_value[rows],
            self.before,
            self.excess,
        )

    @property
    def penalised(self) -> NDArray[np.float64]:
        """(K,) float64: Δχ² less 2 for each parameter (Akaike 1974)."""
        return self.delta_chi2 - _PENALTY * self.parameters

    @property
    def features(self) -> NDArray[np.float64]:
        """(K, 5) float64: in the order of `FEATURES`."""
        share = np.clip(self.penalised / max(self.excess, _LEAST_EXCESS), -0.5, 1.1)
        left = np.log10(1 + np.maximum(self.excess - self.penalised, 0) / _LEAST_EXCESS)
        # An S/N that no inlier has gives no p-value: the shares decide.
        p_value = np.log10(np.maximum(np.nan_to_num(self.p_value), _LEAST_P))
        before = np.log10(max(np.nan_to_num(self.before), _LEAST_P))
        improvement = np.clip(p_value - before, 0.0, _MOST_IMPROVEMENT)
        inlier = np.full(len(share), max(before - _INLIER, 0.0))
        columns = [share, left, p_value, improvement, inlier]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Weights:
    """Weights of the competition.

    Attributes
    ----------
    constant : dict
        By cause.
    slope : dict
        By feature.
    """

    constant: dict[str, float]
    slope: dict[str, float]

    @staticmethod
    @cache
    def committed() -> "Weights":
        """Return the weights in ``weights.json``."""
        found = json.loads(WEIGHTS.read_text())
        return Weights(found["constant"], found["slope"])

    def probabilities(self, candidates: Candidates) -> NDArray[np.float64]:
        """Return the probability of each candidate, and last that of ``unexplained``, (K + 1,)."""
        slopes = np.array([self.slope[name] for name in FEATURES])
        constants = np.array([self.constant[name] for name in candidates.cause])
        utility = np.append(constants + candidates.features @ slopes, 0.0)
        weight = np.exp(utility - utility.max())
        return weight / weight.sum()


def known_causes() -> Sequence[str]:
    """Return the causes that have a constant."""
    return [one for one in CAUSES if one != UNEXPLAINED]
