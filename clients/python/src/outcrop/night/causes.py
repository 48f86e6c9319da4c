"""Causes: how many spectra have each cause, and whether one of the instrument dominates."""

from collections import Counter
from collections.abc import Iterable, Mapping

from .._constants import FAULT_FLAGGED
from ..explanations import CAUSES, INSTRUMENTAL


def count_causes(causes: Iterable[str]) -> dict[str, int]:
    """Return how many spectra have each cause, the most frequent first.

    Parameters
    ----------
    causes : iterable of str
        Of each spectrum; empty where it was not explained, which is not counted.

    Examples
    --------
    >>> from outcrop.night.causes import count_causes
    >>> count_causes(["rare", "", "sky_residual", "sky_residual"])
    {'sky_residual': 2, 'rare': 1}
    """
    counts = Counter(cause for cause in causes if cause)
    known = {cause: place for place, cause in enumerate(CAUSES)}
    return dict(sorted(counts.items(), key=lambda each: (-each[1], known.get(each[0], len(known)))))


def describe_causes(counts: Mapping[str, int]) -> str:
    """Return the counts in one line.

    Examples
    --------
    >>> from outcrop.night.causes import describe_causes
    >>> describe_causes({"sky_residual": 2, "rare": 1})
    '2 sky_residual, 1 rare'
    """
    return ", ".join(f"{count} {cause}" for cause, count in counts.items())


def dominant(counts: Mapping[str, int]) -> str:
    """Return the instrumental cause of more than half of a petal's spectra; empty if there is none.

    It has to be that of at least 5 spectra.

    Examples
    --------
    >>> from outcrop.night.causes import dominant
    >>> dominant({"sky_residual": 6, "rare": 5}), dominant({"sky_residual": 5, "rare": 5})
    ('sky_residual', '')
    """
    for cause in INSTRUMENTAL:
        count = counts.get(cause, 0)
        if count >= FAULT_FLAGGED and 2 * count > sum(counts.values()):
            return cause
    return ""
