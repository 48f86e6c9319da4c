"""Inputs: the files that spectra were read from, and what their coadd says was observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fingerprint import FileFingerprint


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
    """

    files: tuple[FileFingerprint, ...] = ()
    cards: Mapping[str, str | int | float] = field(default_factory=dict[str, str | int | float])
