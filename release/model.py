"""Release model: the model that scores a release, open in one process."""

import functools
from pathlib import Path

# Files need them: they are imported with the model, not in the midst of the first petal.
import astropy.io.fits
import astropy.table  # noqa: F401

from explanation.explainer import Explainer
from model_store.bundle import Bundle, BundleError
from outcrop import Scores, Spectra
from outcrop.desi import warn_if_simulated
from outcrop.explanations import Explanations
from scoring.canary import Canary
from scoring.scorer import Scorer


class ReleaseModel:
    """The model that scores a release, open in this process; it uses one thread.

    Parameters
    ----------
    bundle : Bundle

    Attributes
    ----------
    model : outcrop.Model

    Raises
    ------
    BundleError
        Where this machine does not reproduce the scores of the bundle's canary.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._scorer = Scorer(bundle, threads=1)
        found = Canary.from_arrays(bundle.arrays("canary.npz")).check(self._scorer)
        if found:
            raise BundleError(
                f"{bundle.path}: this machine does not reproduce the scores of the canary "
                f"({found}); check its libraries, memory and processor, and score on others"
            )
        self.model = self._scorer.model
        self._warned = False

    def warn_once(self, coadd: Path) -> bool:
        """Warn as `outcrop.desi.warn_if_simulated`, and return that, at the first call only.

        All petals of a release are simulated or none is, and it takes as long as reading a table.
        """
        first, self._warned = not self._warned, True
        return first and warn_if_simulated(self.model, coadd)

    def score(self, spectra: Spectra, /) -> Scores:
        """Score spectra; one row for each, in order."""
        return self._scorer.score(spectra)

    def explain(self, spectra: Spectra, /) -> Explanations:
        """Explain spectra; one explanation for each, in order."""
        return self._explainer.explain(spectra)

    @functools.cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self._bundle, self._scorer)
