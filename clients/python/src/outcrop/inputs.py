"""Inputs: the files that spectra were read from, what was observed, and its noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .fingerprint import FileFingerprint

NoiseCards: TypeAlias = Mapping[str, float | int | bool]
"""NOISE_B, NOISE_R, NOISE_Z, OFFSET_B, OFFSET_Z, NSKY, SKYCORR of a petal; empty if unmeasured."""


@dataclass(frozen=True)
class Inputs:
    """The origin of some spectra, which the primary header of their score table keeps.

    Attributes
    ----------
    files : tuple of FileFingerprint
        The coadd and, where there is one, the redrock file, as they were before they were read.
    cards : mapping
        Those that the coadd has of SPECPROD, SURVEY, PROGRAM, FAPRGRM, TILEID, PETAL, NIGHT,
        HEALPIX, HPXPIXEL, HPXNSIDE and HPXNEST.
    noise : NoiseCards
        Those that `correct_noise` added.
    """

    files: tuple[FileFingerprint, ...] = ()
    cards: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float])
    noise: NoiseCards = field(default_factory=dict[str, float | int | bool])
