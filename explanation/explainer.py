"""Explainer: Spectra in, Explanations out; all steps of explaining in their order."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle
from outcrop import Spectra
from outcrop.explanations import Evidence, Explanation, Explanations
from scoring.coadd import coadd
from scoring.resample import fill_row
from scoring.robust import robust_reconstruction
from scoring.scorer import Scorer

from .case import Case, Reconstructor
from .competition import Candidates, Weights
from .hypotheses.camera_calibration import CameraCalibration
from .hypotheses.continuum import Continuum
from .hypotheses.cosmic_ray import CosmicRay
from .hypotheses.lines import Absorption, BroadLine, EmissionLine
from .hypotheses.other_class import OtherClass
from .hypotheses.proposal import Hypothesis, Proposal
from .hypotheses.redshifts import OtherRedshift
from .hypotheses.second_spectrum import SecondSpectrum
from .hypotheses.sky_residual import SkyResidual
from .judge import Judge
from .redshift import RedshiftScan
from .rest_frame import resample_at

_TEMPLATES = 16
_UNEXPLAINED = "None of the known causes explains it"
_RARE = "The model reconstructs it, but few spectra are like it"


class Explainer:
    """Explain spectra with the model of a bundle.

    Parameters
    ----------
    bundle : Bundle
    scorer : Scorer, optional
        Of the same bundle; default: a new one.
    """

    def __init__(self, bundle: Bundle, scorer: Scorer | None = None) -> None:
        self.scorer = scorer or Scorer(bundle)
        preprocessor = self.scorer.preprocessor
        self._edges, self._wave = preprocessor.grid.edges, preprocessor.grid.wave
        self._reconstruct = Reconstructor(self.scorer)
        self._judge = Judge(self.scorer, self._reconstruct)

        redshift_range = preprocessor.redshift_range
        self._redshift = OtherRedshift(RedshiftScan(self._edges, redshift_range), self._edges)
        self._hypotheses: tuple[Hypothesis, ...] = (
            CameraCalibration(),
            Continuum(),
            CosmicRay(),
            EmissionLine(),
            BroadLine(),
            Absorption(),
            SkyResidual(),
            SecondSpectrum(self._templates(), self._wave, redshift_range),
            OtherClass(self._edges),
        )
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="explain")

    @staticmethod
    def open(path: str | os.PathLike[str]) -> "Explainer":
        """Open and verify the bundle at path, and make an explainer of it."""
        return Explainer(Bundle.open(path))

    def explain(self, spectra: Spectra) -> Explanations:
        """Explain N spectra, flagged or not; one explanation for each, in order.

        A spectrum that cannot be scored has an explanation without a cause.
        """
        scores = self.scorer.score(spectra)

        def explain(row: int) -> Explanation:
            known = int(scores.targetid[row]), int(scores.status[row]), float(scores.p_value[row])
            case = self.case(spectra[row]) if np.isfinite(scores.wmse[row]) else None
            return Explanation(*known) if case is None else self._explanation(case, *known)

        rows = tuple(self._pool.map(explain, range(len(spectra))))
        return Explanations(self.scorer.model.identity, rows)

    def case(self, spectrum: Spectra) -> Case:
        """Return one spectrum that can be scored, with all that hypotheses look at."""
        flux, ivar, _ = coadd(spectrum)
        fill_row(flux[0], ivar[0])
        z = float(spectrum.z[0])
        rest_flux, rest_ivar = resample_at(flux[0], ivar[0], np.array([z]), self._edges)
        found = self._reconstruct(rest_flux, rest_ivar)
        prepared, decoded = found.prepared, found.model / found.prepared.norm[:, None]
        robust = robust_reconstruction(
            self.scorer.vae, prepared.flux, prepared.ivar, found.latent, decoded
        )

        good = rest_ivar[0] > 0
        snr = np.median((rest_flux[0] * np.sqrt(rest_ivar[0]))[good])
        return Case(
            z,
            float(snr),
            float(good.mean()),
            "" if spectrum.spectype is None else str(spectrum.spectype[0]),
            np.zeros(0),
            flux[0],
            ivar[0],
            self._wave,
            prepared.flux[0],
            prepared.ivar[0],
            float(prepared.norm[0]),
            decoded[0],
            robust.reconstruction[0],
        )

    def competitors(self, case: Case) -> tuple[list[Proposal], Candidates]:
        """Return the best proposal of each cause, and what competes: those, then ``rare``."""
        found = [self._fit(one, case) for one in self._hypotheses]
        proposals = [one for one in found if one is not None]
        proposals += self._redshift.fit(case, self._reconstruct)
        candidates = self._judge(case, proposals)

        best: dict[str, int] = {}
        for k, cause in enumerate(candidates.cause):
            gain = candidates.penalised[k]
            if not np.isfinite(gain):
                continue
            if cause not in best or gain > candidates.penalised[best[cause]]:
                best[cause] = k
        chosen = sorted(best.values())
        return [proposals[k] for k in chosen[:-1]], candidates.choose(chosen)

    def _fit(self, hypothesis: Hypothesis, case: Case) -> Proposal | None:
        try:
            return hypothesis.fit(case, self._reconstruct)
        except np.linalg.LinAlgError:
            # Pixels may be any float32: a fit that they are too large or too small for fails.
            return None

    def _explanation(self, case: Case, targetid: int, status: int, p_value: float) -> Explanation:
        proposals, candidates = self.competitors(case)
        evidence = _evidence(proposals, candidates, p_value)

        cause = evidence[0]
        moved = cause.cause in ("wrong_redshift", "other_class") and not math.isnan(cause.z)
        return Explanation(
            targetid,
            status,
            p_value,
            cause.cause,
            cause.probability,
            cause.p_value,
            cause.z if moved else case.z,
            cause.p_value if moved else p_value,
            cause.sentence,
            evidence=evidence,
        )

    def _templates(self) -> NDArray[np.float32]:
        """Return reconstructions (T, M) from all over the reference sample."""
        latents = self.scorer.density.latents
        axis = np.argsort(latents[:, int(np.argmax(latents.std(axis=0)))], kind="stable")
        chosen = axis[np.linspace(0, len(axis) - 1, _TEMPLATES).astype(np.intp)]
        return self.scorer.vae.decode(latents[chosen])


def _evidence(
    proposals: Sequence[Proposal], candidates: Candidates, p_value: float
) -> tuple[Evidence, ...]:
    """Return the evidence for each cause, the most probable first."""
    probability = Weights.committed().probabilities(candidates)
    rare, unexplained = len(proposals), len(proposals) + 1
    evidence = [
        Evidence(
            one.cause,
            float(candidates.delta_chi2[k]),
            one.parameters,
            float(probability[k]),
            float(candidates.p_value[k]),
            one.z,
            one.wavelengths,
            one.sentence,
        )
        for k, one in enumerate(proposals)
    ]
    for name, k, p, sentence in (
        ("rare", rare, float(candidates.p_value[rare]), _RARE),
        ("unexplained", unexplained, p_value, _UNEXPLAINED),
    ):
        evidence.append(Evidence(name, 0.0, 0, float(probability[k]), p, math.nan, (), sentence))
    return tuple(sorted(evidence, key=lambda one: -one.probability))
