"""Rescoring: scores of the spectra that hypotheses leave, and their p-values.

They are scored as any spectrum is, at the S/N of the spectrum that is explained: a correction must
not move it among fainter inliers. A S/N beyond the calibrated range counts as its end.
"""

from collections.abc import Sequence

import numpy as np

from scoring.calibration import PValueInputs
from scoring.raw_scorer import RawScores
from scoring.residual import boxcar_scores, weighted_mse
from scoring.scorer import Scorer

from .case import Case, Reconstructor
from .competition import Candidates
from .hypotheses.proposal import Proposal

INLIER_NOF, INLIER_OFFSET, INLIER_SECOND, INLIER_DISTANCE = -1.0, 1.0, 9.0, 1.0
"""In place of those of a spectrum that no latent describes. Those of bright inliers are larger."""
_RARE = 10.0
"""How many times larger the p-value of a rare spectrum would be with an inlier's NOF and distance
from galaxies."""


class Rescoring:
    """Scores what hypotheses propose."""

    def __init__(self, scorer: Scorer, reconstruct: Reconstructor) -> None:
        self._scorer = scorer
        self._reconstruct = reconstruct

    def __call__(self, case: Case, proposals: Sequence[Proposal]) -> Candidates:
        """Return the candidates of a competition, in the order of the proposals.

        ``rare`` follows where the p-value would be much larger with the NOF of an inlier, and its
        distance from galaxies.
        """
        flux = np.stack([case.flux, *(one.flux for one in proposals)])
        ivar = np.stack([case.ivar, *(one.ivar for one in proposals)])
        frame = np.array([case.z, *(one.frame for one in proposals)])
        prepared = self._reconstruct.prepare(flux, ivar)
        raw = self._scorer.raw_scorer.score(prepared.flux, prepared.ivar, frame)

        own = [k for k, one in enumerate(proposals, 1) if one.model is not None]
        for k in own:
            self._by_model(raw, k, proposals[k - 1])

        bins = len(case.wave)
        good = np.count_nonzero(ivar, axis=1)
        chi2 = raw.wmse.astype(np.float64) * bins
        gain = chi2[0] - chi2[1:]
        for k, one in enumerate(proposals, 1):
            if one.frame != case.z or one.model is not None:
                gain[k - 1] = _gain_elsewhere(case, one, chi2[k] / max(good[k], 1))

        spectype = [case.spectype, *(one.spectype or case.spectype for one in proposals)]
        rows = [*range(len(flux)), 0]
        nof = np.append(raw.nof, INLIER_NOF).astype(np.float32)
        distance = np.append(raw.galaxy_distance, INLIER_DISTANCE).astype(np.float32)
        inputs = PValueInputs(
            np.full(len(rows), np.clip(case.snr, *self._scorer.calibration.snr_range), np.float32),
            (good / bins)[rows].astype(np.float32),
            raw.wmse[rows],
            nof,
            raw.boxcar_significance[rows],
            raw.boxcar_power[rows],
            raw.camera_offset[rows],
            raw.second_galaxy[rows],
            distance,
            np.array([*spectype, case.spectype]),
        )
        p_value = self._scorer.calibration.p_values(inputs).within_class
        candidates = Candidates(
            (*(one.cause for one in proposals), "rare"),
            np.append(gain, 0.0),
            np.array([*(one.parameters for one in proposals), 0]),
            p_value[1:],
            float(p_value[0]),
            float(chi2[0] - good[0]),
        )
        # NaN is not larger.
        if p_value[-1] >= _RARE * p_value[0]:
            return candidates
        return candidates.choose(range(len(proposals)))

    @staticmethod
    def _by_model(raw: RawScores, k: int, proposal: Proposal) -> None:
        """Put the residual of the proposal's own model in place of the network's."""
        flux, ivar = proposal.flux[None], proposal.ivar[None]
        model = np.asarray(proposal.model, np.float32)[None]
        raw.wmse[k] = weighted_mse(flux, ivar, model)[0]
        significance, power = boxcar_scores(flux, ivar, model)
        raw.boxcar_significance[k], raw.boxcar_power[k] = significance[0], power[0]
        raw.camera_offset[k] = INLIER_OFFSET
        raw.second_galaxy[k] = INLIER_SECOND
        raw.galaxy_distance[k] = INLIER_DISTANCE
        raw.nof[k] = INLIER_NOF


def _gain_elsewhere(case: Case, proposal: Proposal, chi2: float) -> float:
    """Return Δχ² of a proposal in other bins than the case's, given its χ² per good bin.

    Only bins that both observe count: what the other ones leave out is not explained.
    """
    first, last = proposal.window
    common = case.good & (case.observed >= first) & (case.observed <= last)
    residual = (case.flux - case.plain.astype(np.float64))[common]
    return float(np.sum(case.ivar[common] * residual**2) - chi2 * np.count_nonzero(common))
