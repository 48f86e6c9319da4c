"""Explanations: why a spectrum stands out, as known causes that compete, and what is left over."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, overload

from .model import ModelIdentity

CAUSES: Final = (
    "wrong_redshift",
    "second_spectrum",
    "camera_calibration",
    "sky_residual",
    "cosmic_ray",
    "emission_line",
    "broad_line",
    "absorption",
    "other_class",
    "continuum",
    "rare",
    "unexplained",
)
"""The causes that compete; ``unexplained`` where none of the others leaves an inlier."""
INSTRUMENTAL: Final = ("camera_calibration", "sky_residual", "cosmic_ray")
"""The causes that lie in the instrument or the reduction, not in the sky."""
VERDICTS: Final = ("all exposures", "one exposure", "one night", "fading", "varying", "unknown")
"""In which exposures a segment is; ``varying`` where they differ without one of these patterns."""


@dataclass(frozen=True)
class Tag:
    """Something that lies where a segment lies.

    Attributes
    ----------
    name : str
        A line at the redshift, as ``Hα``; ``sky line``, ``camera join``, ``single pixel``, or
        ``camera b``.
    chance : float
        Probability that a segment of this width anywhere in its camera has this tag, 0 to 1: a tag
        with a large one says nothing.
    """

    name: str
    chance: float


@dataclass(frozen=True)
class Repeats:
    """In which of the single exposures a segment is.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`; ``unknown`` where there is one exposure, or too little signal in each.
    amplitudes : tuple of (int, float, float)
        EXPID, amplitude of the coadd's residual in that exposure (1 where it is the same) and its
        error, in the order of the EXPIDs.
    p_value : float
        Of amplitudes that are equal; NaN where there are fewer than two.
    significance : float
        Of the exposure that has most of it, above all others; NaN where there are none.
    expid, night : int
        Of the only exposure or night; −1 where it is in others too.
    sentence : str
    """

    verdict: str
    amplitudes: tuple[tuple[int, float, float], ...]
    p_value: float
    significance: float
    expid: int
    night: int
    sentence: str


@dataclass(frozen=True)
class Segment:
    """Neighbouring bins that the model does not explain.

    Attributes
    ----------
    rest, observed : (float, float)
        First and last wavelength, vacuum Å.
    significance : float
        |Σ residual/σ| / √n over its n good bins.
    sign : int
        1 where the flux lies above the robust reconstruction, −1 below.
    continuum_share : float
        Mean residual over the mean of the robust reconstruction; NaN where that is not positive.
    tags : tuple of Tag
    repeats : Repeats, optional
        Known only where the exposures lie beside the coadd, and never to the service.
    """

    rest: tuple[float, float]
    observed: tuple[float, float]
    significance: float
    sign: int
    continuum_share: float
    tags: tuple[Tag, ...] = ()
    repeats: Repeats | None = None


@dataclass(frozen=True)
class Evidence:
    """How well a cause explains a spectrum.

    Attributes
    ----------
    cause : str
        One of `CAUSES`.
    delta_chi2 : float
        χ² of the residual that it explains; larger is better.
    parameters : int
        That were fitted for it.
    probability : float
        Of this cause, given those that compete with it; all of a spectrum add up to 1.
    p_value : float
        Of what remains when this cause is taken off; NaN where there is none.
    z : float
        The redshift that it says, NaN where it says none.
    wavelengths : tuple of (float, float)
        Where it acts: first and last, observed frame, vacuum Å.
    sentence : str
    """

    cause: str
    delta_chi2: float
    parameters: int
    probability: float
    p_value: float
    z: float
    wavelengths: tuple[tuple[float, float], ...]
    sentence: str


@dataclass(frozen=True)
class Neighbour:
    """A spectrum of the training sample that is near in latent space.

    Attributes
    ----------
    targetid : int
    z : float
    spectype : str
        redrock's class.
    label : str
        From a label file; empty where there is none.
    distance : float
        In latent space.
    quantile : float
        Share of inliers whose own nearest neighbour is nearer, 0 to 1.
    """

    targetid: int
    z: float
    spectype: str
    label: str
    distance: float
    quantile: float


@dataclass(frozen=True)
class Explanation:
    """Why one spectrum stands out.

    Attributes
    ----------
    targetid : int
    status : int
        `Status` bits.
    p_value : float
        As in `Scores`.
    cause : str
        The most probable of `CAUSES`; empty where the spectrum cannot be scored.
    cause_probability : float
        NaN where there is no cause.
    p_explained : float
        p-value of what remains when the cause is taken off; NaN where there is none.
    z_best : float
        The redshift at which the spectrum is best explained; the given one where no other is
        better.
    p_best : float
        p-value at z_best.
    sentence : str
        What was found, to be checked by a person.
    place : (float, float)
        Coordinates on the map of the training sample, NaN where there is none.
    evidence : tuple of Evidence
        The most probable first.
    segments : tuple of Segment
        The most significant first.
    neighbours : tuple of Neighbour
        The nearest first.
    """

    targetid: int
    status: int
    p_value: float
    cause: str = ""
    cause_probability: float = math.nan
    p_explained: float = math.nan
    z_best: float = math.nan
    p_best: float = math.nan
    sentence: str = ""
    place: tuple[float, float] = (math.nan, math.nan)
    evidence: tuple[Evidence, ...] = ()
    segments: tuple[Segment, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True)
class Explanations:
    """One explanation per spectrum, in the order of the input.

    Attributes
    ----------
    model : ModelIdentity
        Of the model that explained.
    rows : tuple of Explanation
    """

    model: ModelIdentity
    rows: tuple[Explanation, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> "Explanations": ...
    def __getitem__(self, index: int | slice) -> "Explanation | Explanations":
        if isinstance(index, slice):
            return Explanations(self.model, self.rows[index])
        return self.rows[index]
