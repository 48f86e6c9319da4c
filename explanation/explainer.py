"""Explainer: Spectra in, Explanations out; all steps of explaining in their order."""

import os

from model_store.bundle import Bundle
from outcrop import Spectra
from outcrop.explanations import Explanation, Explanations
from scoring.scorer import Scorer


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

    @staticmethod
    def open(path: str | os.PathLike[str]) -> "Explainer":
        """Open and verify the bundle at path, and make an explainer of it."""
        return Explainer(Bundle.open(path))

    def explain(self, spectra: Spectra) -> Explanations:
        """Explain N spectra, flagged or not; one explanation for each, in order.

        A spectrum that cannot be scored has an explanation without a cause.
        """
        scores = self.scorer.score(spectra)
        rows = zip(scores.targetid, scores.status, scores.p_value, strict=True)
        return Explanations(
            self.scorer.model.identity,
            tuple(Explanation(int(one), int(bits), float(p)) for one, bits, p in rows),
        )
