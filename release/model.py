"""Release model: the model that scores a release, open in one process."""

import functools

from explanation.explainer import Explainer
from model_store.bundle import Bundle
from outcrop import Scores, Spectra
from outcrop.explanations import Explanations
from scoring.scorer import Scorer


class ReleaseModel:
    """The model that scores a release, open in this process; it uses one thread.

    Attributes
    ----------
    model : outcrop.Model
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._scorer = Scorer(bundle, threads=1)
        self.model = self._scorer.model

    def score(self, spectra: Spectra, /) -> Scores:
        """Score spectra; one row for each, in order."""
        return self._scorer.score(spectra)

    def explain(self, spectra: Spectra, /) -> Explanations:
        """Explain spectra; one explanation for each, in order."""
        return self._explainer.explain(spectra)

    @functools.cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self._bundle, self._scorer)
