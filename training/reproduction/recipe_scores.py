"""Recipe scores: what the model of one recipe says of its whole sample, in the paper's terms.

All of it comes from the prepared spectra in the cache: no petal is read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle
from scoring.scorer import Scorer

from ..model.cache import cache_root
from ..model.config import Config
from ..model.dataset import RestSample, Split, prepare, split
from ..model.scored import SPECTYPES, Scored, classwise_wmse, score_rows
from .published import TOP


@dataclass(frozen=True, eq=False)
class RecipeScores:
    """Scores of the spectra that a model is of, each target once.

    Attributes
    ----------
    bundle : Bundle
    scorer : Scorer
    sample : RestSample
    parts : Split
    prepared : (flux, ivar)
        (N, M) float32 each, of all rows of the sample, memory-mapped.
    scored : Scored
        Of the n rows of ``sample.index``.
    bright : (n,) bool
        Those with an S/N as in the paper.
    p_value : (n,) float64
        NaN beyond the calibrated range of S/N.
    """

    bundle: Bundle
    scorer: Scorer
    sample: RestSample
    parts: Split
    prepared: tuple[NDArray[np.float32], NDArray[np.float32]]
    scored: Scored
    bright: NDArray[np.bool_]
    p_value: NDArray[np.float64]

    @staticmethod
    def of(bundle: Bundle, sample: RestSample, config: Config) -> "RecipeScores":
        """Score the sample that a bundle was fitted to."""
        scorer = Scorer(bundle)
        prepared = prepare(sample, config, scorer.preprocessor.eigenspectra, cache_root())
        scored = score_rows(scorer.raw_scorer, prepared, sample.rows, sample.index)
        return RecipeScores(
            bundle,
            scorer,
            sample,
            split(sample, config),
            prepared,
            scored,
            scored.rows["snr"] > config.sample.min_snr,
            scored.p_value(scorer.calibration),
        )

    def numbers(self) -> dict[str, float]:
        """Return the numbers that the paper states too, by their names in nicolaou2025.toml.

        A class without spectra has no mean. The medians of the most anomalous are of as many as
        there are, where the training set is smaller than 100.
        """
        bright = self.scored.choose(self.bright)
        training = self._part(self.parts.training)
        classes = classwise_wmse(self._part(self.parts.validation))
        by_wmse = training.choose(np.argsort(-training.wmse, kind="stable")[:TOP])
        by_nof = training.choose(np.argsort(training.nof, kind="stable")[:TOP])
        thresholds = self.bundle.manifest.paper_thresholds

        return {
            "spectra": len(bright.index),
            "training": len(training.index),
            **{
                f"share_{name}": 100 * float(np.mean(bright.rows["spectype"] == name))
                for name in SPECTYPES
            },
            **{f"wmse_{name}": row["mean"] for name, row in classes.items()},
            "threshold_wmse": thresholds.wmse,
            "threshold_nof": thresholds.nof,
            "largest_wmse": float(by_wmse.wmse[0]),
            "smallest_nof": float(by_nof.nof[0]),
            "top_wmse_wmse": float(np.median(by_wmse.wmse)),
            "top_wmse_snr": float(np.median(by_wmse.rows["snr"])),
            "top_nof_nof": float(np.median(by_nof.nof)),
            "top_nof_snr": float(np.median(by_nof.rows["snr"])),
        }

    def counts(self) -> dict[str, int]:
        """Return the number of spectra that each cut leaves, the paper's on S/N last."""
        return self.sample.counts | {"brighter": int(np.count_nonzero(self.bright))}

    def place(self, targetid: int) -> int | None:
        """Return which of the n rows a target is; None where it is not in the sample."""
        (found,) = np.nonzero(self.scored.rows["targetid"] == targetid)
        return int(found[0]) if len(found) else None

    def rank(self, row: int, score: str) -> int | None:
        """Return the rank of one of the n rows by wmse, nof or p_value; 1 is the most anomalous.

        By wmse and nof among the spectra with an S/N as in the paper, by p_value among all. None
        where the score is NaN.
        """
        if score == "p_value":
            return rank_among(self.p_value, self.p_value[row])
        values = self.scored.nof if score == "nof" else -self.scored.wmse
        return rank_among(values[self.bright], values[row])

    def _part(self, rows: NDArray[np.intp]) -> Scored:
        return self.scored.choose(np.isin(self.scored.index, rows))


def rank_among(values: NDArray[np.floating], value: np.floating | float) -> int | None:
    """Return the rank of a value, 1 for the smallest; None of NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from training.reproduction.recipe_scores import rank_among
    >>> values = np.array([0.2, np.nan, 0.1])
    >>> rank_among(values, 0.2), rank_among(values, np.nan)
    (2, None)
    """
    return None if np.isnan(value) else 1 + int(np.count_nonzero(values < value))
