"""Discoveries: how many of a night's discoveries are inliers, where the truth is known.

`NIGHTS` nights are drawn from the evaluated petals. Each takes all eligible inliers of a random
half of the petals, and so many of their injected spectra, of all kinds, that they are 1 to 2 % of
the night, a share that differs from night to night. Controls are left out. The discoveries are
those that `outcrop night` would report: by the same functions, with petals set apart that are
flagged far too often. Fibers and noise are not looked at here.

The nights share petals: the standard error of the mean over them is that of the draws, and not of
other skies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outcrop.night.discoveries import Q_LEVEL, TAIL, Discoveries
from outcrop.night.faults import PetalPValues

from ..truth import CONTROL, UNKNOWN
from .petal_scores import PetalScores
from .results import FalseDiscoveries

NIGHTS = 10
SHARES = (0.01, 0.02)
"""Of injected spectra among those of a night, in the first and in the last one."""
_LEFT_OUT = (CONTROL, UNKNOWN)
_SEED = 11


@dataclass(frozen=True)
class DrawnNight:
    """The discoveries of one drawn night.

    Attributes
    ----------
    injected, set_apart : int
        Spectra.
    discoveries, inliers : int
        All discoveries, and those of them that are inliers.
    on_tail : bool
        Whether they rest on extrapolated p-values.
    """

    injected: int
    set_apart: int
    discoveries: int
    inliers: int
    on_tail: bool

    @property
    def false_proportion(self) -> float:
        """Share of inliers among the discoveries; 0 where there is none."""
        return self.inliers / max(self.discoveries, 1)

    @property
    def recall(self) -> float:
        """Share of the injected spectra that are discoveries."""
        return (self.discoveries - self.inliers) / max(self.injected, 1)


def false_discoveries(
    scored: PetalScores, kinds: NDArray[np.str_], level: float, finest_p: float | None
) -> FalseDiscoveries:
    """Return the false discovery proportion of drawn nights.

    Parameters
    ----------
    scored : PetalScores
        Of n spectra.
    kinds : (n,) str
        What was injected; empty for inliers.
    level, finest_p : float
        Of the model.
    """
    rng = np.random.default_rng(_SEED)
    nights = [
        _draw(scored, kinds, share, level, finest_p, rng) for share in np.linspace(*SHARES, NIGHTS)
    ]

    proportions = np.array([night.false_proportion for night in nights])
    return FalseDiscoveries(
        q_level=Q_LEVEL,
        nights=NIGHTS,
        injected=_mean([night.injected for night in nights]),
        proportion=proportions.mean(),
        standard_error=proportions.std(ddof=1) / np.sqrt(NIGHTS),
        discoveries=_mean([night.discoveries for night in nights]),
        recall=_mean([night.recall for night in nights]),
        set_apart=_mean([night.set_apart for night in nights]),
        on_tail=sum(night.on_tail for night in nights),
    )


def _draw(
    scored: PetalScores,
    kinds: NDArray[np.str_],
    share: float,
    level: float,
    finest_p: float | None,
    rng: np.random.Generator,
) -> DrawnNight:
    """Return the discoveries of a night of which this share is injected."""
    petals = np.unique(scored.petal)
    half = rng.choice(petals, (len(petals) + 1) // 2, replace=False)
    inlier = np.isin(scored.petal, half) & (kinds == "")
    anomalies = np.flatnonzero(np.isin(scored.petal, half) & ~np.isin(kinds, ["", *_LEFT_OUT]))

    wanted = round(share / (1 - share) * np.count_nonzero(inlier))
    chosen = inlier.copy()
    chosen[rng.choice(anomalies, min(wanted, len(anomalies)), replace=False)] = True

    rows = [np.flatnonzero(chosen & (scored.petal == petal)) for petal in half]
    found = Discoveries.find(
        [_p_values(scored.p_value[each], level) for each in rows], level, finest_p
    )
    discovered = np.concatenate(rows)[np.concatenate(found.q_value) <= Q_LEVEL]
    return DrawnNight(
        injected=int(np.count_nonzero(chosen & ~inlier)),
        set_apart=found.set_apart,
        discoveries=len(discovered),
        inliers=int(np.count_nonzero(inlier[discovered])),
        on_tail=found.basis == TAIL,
    )


def _p_values(p_value: NDArray[np.float64], level: float) -> PetalPValues:
    """Return the p-values of a petal whose fibers and noise are not known."""
    return PetalPValues(p_value, p_value < level, np.full(len(p_value), -1))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
