"""Published: the numbers and the spectra that Nicolaou et al. 2025 state."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

SOURCE: Final = Path(__file__).with_name("nicolaou2025.toml")
RELEASE: Final = "edr"
"""The release that the paper's sample is of."""
TOP: Final = 100
"""The paper looks at so many outliers by each score."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedNumber(_Entry):
    """A number of the paper, and how near another one must be to agree with it."""

    name: str
    label: str
    value: float
    within: Annotated[float, Field(gt=0)] | None = None
    """Absolute tolerance."""
    within_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Tolerance as a share of the value; either this or `within` is given."""
    section: str

    @property
    def tolerance(self) -> float:
        """Largest difference of a number that agrees."""
        return self.within or abs(self.value) * (self.within_share or 0.0)

    def agrees(self, found: float) -> bool:
        """Return whether a number agrees; NaN does not."""
        return abs(found - self.value) <= self.tolerance


class PublishedSpectrum(_Entry):
    """A spectrum whose TARGETID the paper gives."""

    targetid: int
    figure: str
    what: str
    rank: int | None = None
    """By wmse, 1 for the largest, where the paper shows it as an outlier."""
    wmse: float | None = None
    nof: float | None = None
    snr: float | None = None


class Published(_Entry):
    """All that the paper states."""

    number: tuple[PublishedNumber, ...]
    spectrum: tuple[PublishedSpectrum, ...]

    @property
    def outliers(self) -> tuple[PublishedSpectrum, ...]:
        """The spectra that the paper lists as outliers."""
        return tuple(one for one in self.spectrum if one.rank is not None)

    @property
    def inliers(self) -> tuple[PublishedSpectrum, ...]:
        """The others."""
        return tuple(one for one in self.spectrum if one.rank is None)


@cache
def published() -> Published:
    """Read what the paper states."""
    return Published.model_validate(tomllib.loads(SOURCE.read_text(encoding="utf-8")))
