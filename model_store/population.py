"""Population: the spectra that a model is fitted on, by DESI's target bits."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

BGS_ANY = 1 << 60
"""Bit of DESI_TARGET, and of its columns in survey validation."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Population:
    """Spectra of which one of some target bits is set; by default all spectra.

    Attributes
    ----------
    name : str
        For people, as ``BGS``.
    desi_target : int or None
        Bits of DESI_TARGET; None where any will do.
    """

    name: str = Field(default="any", pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,31}$")
    desi_target: Annotated[int, Field(gt=0, lt=2**63)] | None = None

    def contains(self, desi_target: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which spectra (N,) belong to the population, by their DESI_TARGET (N,).

        -1, an unknown DESI_TARGET, has every bit and so belongs to each.

        Examples
        --------
        >>> import numpy as np
        >>> from model_store.population import BGS
        >>> BGS.contains(np.array([1 << 60, 1 << 61, 0, -1]))
        array([ True, False, False,  True])
        """
        if self.desi_target is None:
            return np.ones(len(desi_target), np.bool_)
        return (desi_target & self.desi_target) != 0


BGS = Population("BGS", BGS_ANY)
"""Targets of the Bright Galaxy Survey."""
