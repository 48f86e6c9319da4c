"""RestGrid: the rest-frame bins that a model is made for."""

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class RestGrid:
    """M rest-frame bins of equal width; by default those of Nicolaou et al. 2025.

    Attributes
    ----------
    first, last : float
        Outer edges, vacuum Å.
    bins : int
        M.
    """

    first: float = Field(default=3600.0, gt=0)
    last: float = Field(default=7556.0, gt=0)
    bins: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "RestGrid":
        if self.first >= self.last:
            raise ValueError(f"first = {self.first} is not below last = {self.last}")
        return self

    @property
    def edges(self) -> NDArray[np.float64]:
        """(M + 1,) float64: bin edges, vacuum Å."""
        return np.linspace(self.first, self.last, self.bins + 1)

    @property
    def wave(self) -> NDArray[np.float64]:
        """(M,) float64: bin centres, vacuum Å."""
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2
