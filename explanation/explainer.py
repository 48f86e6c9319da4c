"""Explainer: Spectra in, Explanations out; all steps of explaining in their order."""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle
from outcrop import Spectra, Status
from outcrop.explanations import Evidence, Explanation, Explanations, Segment
from outcrop.scores import MIN_SNR
from scoring.coadd import coadd
from scoring.resample import fill_row
from scoring.robust import robust_reconstruction
from scoring.scorer import Scorer

from .case import Case, Reconstructor
from .competition import UNEXPLAINED, Candidates, Weights
from .hypotheses.camera_calibration import CameraCalibration
from .hypotheses.continuum import Continuum
from .hypotheses.cosmic_ray import CosmicRay
from .hypotheses.lines import Absorption, BroadLine, EmissionLine, StellarEmission
from .hypotheses.other_class import OtherClass
from .hypotheses.proposal import Hypothesis, Proposal
from .hypotheses.redshifts import OtherRedshift
from .hypotheses.second_spectrum import SecondSpectrum
from .hypotheses.sky_lines import SkyLines
from .hypotheses.sky_residual import SkyResidual
from .neighbours import Neighbours
from .redshift import RedshiftScan
from .rescoring import Rescoring
from .rest_frame import resample_at
from .segments import SegmentScan
from .tags import tagged

_TEMPLATES = 16
_WIDE = (CameraCalibration.cause, BroadLine.cause)
"""Causes that act on more bins than the robust reconstruction leaves out."""
_UNEXPLAINED = "None of the known causes explains it"
_INLIER = "It is an inlier: there is nothing to explain"
_NO_P_VALUE = "It has no p-value: whether there is something to explain is unknown"
_RARE = "The model reconstructs it, but few spectra are like it"


class Explainer:
    """Explain spectra with the model of a bundle.

    Parameters
    ----------
    bundle : Bundle
    scorer : Scorer, optional
        Of the same bundle; default: a new one.
    labels : mapping, optional
        Label of each TARGETID that has one, for neighbours.
    """

    def __init__(
        self,
        bundle: Bundle,
        scorer: Scorer | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        self.scorer = scorer or Scorer(bundle)
        arrays = bundle.arrays("explanation.npz")
        self._neighbours = Neighbours(self.scorer.density, arrays, labels)
        preprocessor = self.scorer.preprocessor
        self._scan = SegmentScan.from_arrays(arrays, preprocessor.grid)
        self._edges, self._wave = preprocessor.grid.edges, preprocessor.grid.wave
        self._reconstruct = Reconstructor(self.scorer)
        self._rescore = Rescoring(self.scorer, self._reconstruct)

        redshift_range = preprocessor.redshift_range
        self._redshift = OtherRedshift(RedshiftScan(self._edges, redshift_range), self._edges)
        self._hypotheses: tuple[Hypothesis, ...] = (
            CameraCalibration(),
            Continuum(),
            CosmicRay(),
            EmissionLine(),
            BroadLine(),
            StellarEmission(),
            Absorption(),
            SkyResidual(),
            SkyLines(),
            SecondSpectrum(self._templates(), self._wave, redshift_range),
            OtherClass(self._edges, redshift_range),
        )
        self._pool = ThreadPoolExecutor(self.scorer.threads, thread_name_prefix="explain")

    @staticmethod
    def open(path: str | os.PathLike[str]) -> "Explainer":
        """Open and verify the bundle at path, and make an explainer of it."""
        return Explainer(Bundle.open(path))

    def explain(self, spectra: Spectra) -> Explanations:
        """Explain N spectra, flagged or not; one explanation for each, in order.

        A spectrum that cannot be scored, has a S/N below 1, or is of no target, as a sky fiber, has
        an explanation without a cause.
        """
        scores = self.scorer.score(spectra)
        possible = np.isfinite(scores.wmse) & (scores.snr >= MIN_SNR)
        possible &= (scores.status & int(Status.NOT_TARGET)) == 0

        def explain(row: int) -> Explanation:
            known = int(scores.targetid[row]), int(scores.status[row]), float(scores.p_value[row])
            if not possible[row]:
                return Explanation(*known)
            # Pixels may be any float32: what is not finite explains nothing.
            with np.errstate(over="ignore", invalid="ignore"):
                return self._explanation(self.case(spectra[row]), *known)

        rows = zip(
            self._pool.map(explain, range(len(spectra))),
            self._neighbours.of(scores.latent, scores.targetid),
            self._neighbours.place(scores.latent).tolist(),
            strict=True,
        )
        return Explanations(
            self.scorer.model.identity,
            tuple(replace(one, neighbours=near, place=(x, y)) for one, near, (x, y) in rows),
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

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
            np.zeros(0) if spectrum.z_candidates is None else spectrum.z_candidates[0],
            flux[0],
            ivar[0],
            self._edges,
            prepared.flux[0],
            prepared.ivar[0],
            float(prepared.norm[0]),
            decoded[0],
            robust.reconstruction[0],
        )

    def competitors(self, case: Case) -> tuple[list[Proposal], Candidates]:
        """Return the best proposal of each cause, and what competes: those, or also ``rare``."""
        found = [self._fit(one, case) for one in self._hypotheses]
        proposals = [one for one in found if one is not None]
        proposals += self._redshift.fit(case, self._reconstruct)
        candidates = self._rescore(case, proposals)

        best: dict[str, int] = {}
        for k, cause in enumerate(candidates.cause):
            gain = candidates.penalised[k]
            if not np.isfinite(gain):
                continue
            if cause not in best or gain > candidates.penalised[best[cause]]:
                best[cause] = k
        chosen = sorted(best.values())
        return [proposals[k] for k in chosen if k < len(proposals)], candidates.choose(chosen)

    def _fit(self, hypothesis: Hypothesis, case: Case) -> Proposal | None:
        try:
            return hypothesis.fit(case, self._reconstruct)
        except np.linalg.LinAlgError:
            # Pixels may be any float32: a fit that they are too large or too small for fails.
            return None

    def _explanation(self, case: Case, targetid: int, status: int, p_value: float) -> Explanation:
        proposals, candidates = self.competitors(case)
        flagged = p_value < self.scorer.model.p_level
        otherwise = _UNEXPLAINED if flagged else _NO_P_VALUE if math.isnan(p_value) else _INLIER
        evidence = _evidence(proposals, candidates, p_value, otherwise)

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
            _sentence(cause, proposals),
            evidence=evidence,
            segments=self._segments(case, _proposal_of(cause, proposals)),
        )

    def _segments(self, case: Case, taken_off: Proposal | None) -> tuple[Segment, ...]:
        """Return the segments of a spectrum with their tags.

        They lie off the robust reconstruction. What is wide bends it, too: then they lie off the
        reconstruction of what is left without the cause.
        """
        model = case.robust
        if taken_off is not None and taken_off.cause in _WIDE:
            left = self._reconstruct(taken_off.flux[None], taken_off.ivar[None])
            model = left.model[0].astype(np.float32)
        found = self._scan.segments(case.flux, case.ivar, model, case.z, case.snr)
        return tagged(found, self._scan.grid, case.z, case.pixel_flux, case.pixel_ivar)

    def _templates(self) -> NDArray[np.float32]:
        """Return reconstructions (T, M) from all over the reference sample."""
        latents = self.scorer.density.latents
        axis = np.argsort(latents[:, int(np.argmax(latents.std(axis=0)))], kind="stable")
        chosen = axis[np.linspace(0, len(axis) - 1, _TEMPLATES).astype(np.intp)]
        return self.scorer.vae.decode(latents[chosen])


def _proposal_of(cause: Evidence, proposals: Sequence[Proposal]) -> Proposal | None:
    return next((one for one in proposals if one.cause == cause.cause), None)


def _sentence(cause: Evidence, proposals: Sequence[Proposal]) -> str:
    """Return the sentence of the most probable cause; where it was taken off, with what is left."""
    if _proposal_of(cause, proposals) is None:
        return cause.sentence
    return f"{cause.sentence}. What is left has p = {cause.p_value:.2g}"


def _evidence(
    proposals: Sequence[Proposal], candidates: Candidates, p_value: float, otherwise: str
) -> tuple[Evidence, ...]:
    """Return the evidence for each cause, the most probable first; otherwise is a sentence."""
    probability = Weights.committed().probabilities(candidates)
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
    for k in range(len(proposals), len(candidates.cause)):
        p_rare, p_rest = float(probability[k]), float(candidates.p_value[k])
        evidence.append(Evidence("rare", 0.0, 0, p_rare, p_rest, math.nan, (), _RARE))

    rest = float(probability[-1])
    evidence.append(Evidence(UNEXPLAINED, 0.0, 0, rest, p_value, math.nan, (), otherwise))
    return tuple(sorted(evidence, key=lambda one: -one.probability))
