"""Flagged rows: how many of the eligible ones are flagged, beside what chance gives.

Inliers are flagged at the model's level. Where far more are, the model does not know such spectra,
most often because it was calibrated on coadds of another kind.
"""

from dataclasses import dataclass
from typing import Final

from outcrop._constants import FAULT_FLAGGED

_RATIO: Final = 3.0
_REMEDY: Final = (
    "the model does not know such spectra, most often because their noise is not corrected, as in "
    "healpix coadds; calibrate it on the same kind (python -m training calibrate BUNDLE PLAN "
    "--output BUNDLE2), or score the kind of coadds that it is calibrated on"
)


@dataclass(frozen=True)
class FlaggedRows:
    """How many rows of a release are flagged.

    Attributes
    ----------
    flagged : int
        Of the eligible rows.
    eligible : int
    level : float
        Share of the inliers that the model flags.

    Examples
    --------
    >>> from release.flagged_rows import FlaggedRows
    >>> FlaggedRows(12, 1000, 0.01).text()
    '12 of 1,000 eligible rows are flagged, 10 are expected by chance'
    """

    flagged: int
    eligible: int
    level: float

    @property
    def expected(self) -> float:
        """How many are flagged if all are inliers."""
        return self.level * self.eligible

    @property
    def too_many(self) -> bool:
        """Whether there are more than 3 times as many, and at least 5."""
        return self.flagged >= FAULT_FLAGGED and self.flagged > _RATIO * self.expected

    def text(self) -> str:
        """Return the counts in a line, with a second one that warns where there are too many."""
        expected = f"{self.expected:,.0f}" if self.expected >= 10 else f"{self.expected:.2g}"
        counts = (
            f"{self.flagged:,} of {self.eligible:,} eligible rows are flagged, {expected} are "
            "expected by chance"
        )
        return f"{counts}\n{self.warning}" if self.too_many else counts

    @property
    def warning(self) -> str:
        """What it means that there are too many, and the remedy."""
        return f"warning: that is {self.flagged / self.expected:.3g} times as many: {_REMEDY}"
