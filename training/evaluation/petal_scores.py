"""Petal scores: every score of every eligible spectrum of a petal, the model's and the baselines'.

Petals are scored one at a time and only the scores are kept, so a test set of any size fits. Test
spectra and the spectra that calibrate the baselines go through the same code.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from outcrop import Petal, Scores, Spectra, Status
from scoring.preprocess import Prepared
from scoring.residual import weighted_mse
from scoring.scorer import Scorer

from ..model.cuts import read_corrected
from .baselines import (
    COMPONENTS,
    AnomalyScores,
    FittedBaselines,
    PrincipalComponents,
    join_step,
    largest_residual,
    log,
    reconstruction_probability,
)

HALPHA = (6504.61, 6624.61)
"""60 Å on both sides of Hα, rest frame, vacuum Å."""
PER_GOOD_BIN = " per good bin"
"""Ends the names of those forms of wmse that are only there to be calibrated."""


@dataclass(frozen=True, eq=False)
class PetalScores:
    """All scores of the n eligible spectra of some petals.

    Attributes
    ----------
    targetid, status, snr, spectype, wmse, p_value, anomaly : (n,)
        As served.
    petal : (n,) int
        Number of the petal.
    off_halpha : (n,) float64
        Reduced χ² of the robust reconstruction over the good bins outside `HALPHA`.
    anomaly_scores : dict of (n,) float64
        Every score by name; larger is more anomalous. Those that cannot be negative are
        logarithms.
    rows : int
        Spectra in the files.
    ineligible : (m,) int64
        TARGETIDs of those that are not eligible.
    ineligible_status, ineligible_anomaly : (m,)
        Their status and flag, as served.
    seconds : dict
        Time spent on ``wmse`` and on ``reconstruction_probability``.
    """

    targetid: NDArray[np.int64]
    status: NDArray[np.int32]
    snr: NDArray[np.float64]
    spectype: NDArray[np.str_]
    wmse: NDArray[np.float64]
    p_value: NDArray[np.float64]
    anomaly: NDArray[np.bool_]
    petal: NDArray[np.intp]
    off_halpha: NDArray[np.float64]
    anomaly_scores: AnomalyScores
    rows: int
    ineligible: NDArray[np.int64]
    ineligible_status: NDArray[np.int32]
    ineligible_anomaly: NDArray[np.bool_]
    seconds: dict[str, float]

    @staticmethod
    def concatenate(parts: "Sequence[PetalScores]") -> "PetalScores":
        """Join the scores of several petals; only names that all of them have are kept."""
        first = parts[0]
        common = [n for n in first.anomaly_scores if all(n in p.anomaly_scores for p in parts)]
        joined = {
            one.name: np.concatenate([getattr(p, one.name) for p in parts])
            for one in fields(PetalScores)
            if one.name not in ("anomaly_scores", "rows", "seconds")
        }
        return PetalScores(
            **joined,
            anomaly_scores={
                name: np.concatenate([p.anomaly_scores[name] for p in parts]) for name in common
            },
            rows=sum(p.rows for p in parts),
            seconds={name: sum(p.seconds[name] for p in parts) for name in first.seconds},
        )

    def has(self, bit: Status) -> NDArray[np.bool_]:
        """Return which of the eligible spectra (n,) have a status bit."""
        return (self.status & int(bit)) != 0


@dataclass(frozen=True, eq=False)
class Scorers:
    """Everything that scores a petal: the model, the fitted baselines, the paper's model."""

    scorer: Scorer
    baselines: FittedBaselines | None
    paper: Scorer | None

    def score_petal(
        self, petal: Petal, number: int, wanted: NDArray[np.int64] | None = None
    ) -> PetalScores:
        """Score the eligible spectra of a petal, or the wanted ones among them.

        Parameters
        ----------
        petal : Petal
        number : int
            Of the petal, and seed of the reconstruction probability's draws.
        wanted : (n,) int64, optional
            TARGETIDs.
        """
        spectra = read_corrected(petal, self.scorer.model.noise_correction)
        served = self.scorer.score(spectra, reconstruction=True)
        chosen = served.eligible
        if wanted is not None:
            chosen &= np.isin(spectra.targetid, wanted)
        rows = np.flatnonzero(chosen)
        subset = spectra[rows]
        preprocessor = self.scorer.preprocessor
        prepared = preprocessor.prepare(preprocessor.to_rest_frame(subset))

        scores: AnomalyScores = {
            name: -np.log(getattr(served, name)[rows]) for name in ("p_value", "p_value_pooled")
        }
        scores |= _vae_scores("", served.wmse[rows], served.coverage[rows], served.nof[rows])
        seconds = self._add_residual_scores(scores, prepared, number)
        self._add_baselines(scores, subset, prepared)

        spectype = spectra.spectype
        return PetalScores(
            targetid=spectra.targetid[rows],
            status=served.status[rows],
            snr=served.snr[rows].astype(np.float64),
            spectype=np.full(len(rows), "") if spectype is None else spectype[rows],
            wmse=served.wmse[rows].astype(np.float64),
            p_value=served.p_value[rows],
            anomaly=served.anomaly[rows],
            petal=np.full(len(rows), number),
            off_halpha=_off_halpha(served[rows]),
            anomaly_scores=scores,
            rows=len(spectra),
            ineligible=spectra.targetid[~served.eligible],
            ineligible_status=served.status[~served.eligible],
            ineligible_anomaly=served.anomaly[~served.eligible],
            seconds=seconds,
        )

    def _add_residual_scores(
        self, scores: AnomalyScores, prepared: Prepared, seed: int
    ) -> dict[str, float]:
        """Add the scores that use the model's residuals; return the time that two of them took."""
        vae = self.scorer.vae
        start = time.perf_counter()
        reconstruction = vae.decode(vae.encode(prepared.flux))
        weighted_mse(prepared.flux, prepared.ivar, reconstruction)
        plain = time.perf_counter() - start
        probability = reconstruction_probability(vae, prepared, np.random.default_rng(seed))
        scores["reconstruction_probability"] = probability.full
        scores["expected_wmse"] = probability.expected_wmse
        scores["largest_bin"] = largest_residual(prepared, reconstruction)
        return {"wmse": plain, "reconstruction_probability": probability.seconds}

    def _add_baselines(self, scores: AnomalyScores, spectra: Spectra, prepared: Prepared) -> None:
        if (step := join_step(spectra)) is not None:
            scores["join_step"] = step
        if self.baselines is not None:
            scores |= self.baselines.scores(prepared)
        else:
            stored = self.scorer.preprocessor.eigenspectra
            axes = stored.components[: COMPONENTS[0]].astype(np.float64)
            components = PrincipalComponents(stored.mean.astype(np.float64), axes)
            _, chi2 = components.project(prepared.flux, prepared.ivar, len(axes))
            scores[f"pca{len(axes)}"] = log(chi2)
        if self.paper is not None:
            paper = self.paper.score(spectra)
            scores |= _vae_scores("paper_", paper.wmse, paper.coverage, paper.nof)


def _vae_scores(
    prefix: str,
    wmse: NDArray[np.float32],
    coverage: NDArray[np.float32],
    nof: NDArray[np.float32],
) -> AnomalyScores:
    return {
        f"{prefix}wmse": log(wmse),
        f"{prefix}wmse{PER_GOOD_BIN}": log(wmse / coverage),
        f"{prefix}nof": log(-nof),
    }


def _off_halpha(scores: Scores) -> NDArray[np.float64]:
    flux, ivar, model, wave = (
        np.asarray(getattr(scores, name), np.float64)
        for name in ("rest_flux", "rest_ivar", "reconstruction", "rest_wave")
    )
    low, high = HALPHA
    weight = ivar * ((wave < low) | (wave > high))
    # Eligible spectra have far more good bins than these 120 Å.
    return (weight * (flux - model) ** 2).sum(axis=1) / np.count_nonzero(weight, axis=1)
