"""Damaged petals: a sample is read without them, by name, unless there are many.

Among the files of a release a few may be cut off. They must not end a fit of hours. If there are
many, the copy or the folder is wrong, and the sample would not be the one that was asked for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from astropy.io.fits import VerifyError

from outcrop import InputError, Petal

from . import TrainingError

TOLERATED: Final = 0.05
"""Share of the petals that may be damaged. One may be, however few there are."""


class DamagedPetal(TrainingError):  # noqa: N818 (named for what it is)
    """A petal that cannot be read; the message names the file and says why."""


@contextmanager
def reading(petal: Petal) -> Iterator[None]:
    """Raise `DamagedPetal` for any error of reading the files of a petal."""
    try:
        yield
    except InputError as error:
        raise DamagedPetal(str(error)) from error
    except (OSError, VerifyError) as error:
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise DamagedPetal(f"{petal.coadd} or its redrock file: {reason}") from error


def check_damaged(damaged: Sequence[str], petals: int) -> None:
    """Check that few of the petals are damaged.

    Parameters
    ----------
    damaged : sequence of str
        The message of each damaged petal.
    petals : int
        Number of all petals.

    Raises
    ------
    TrainingError
        If all of them are damaged, or more than one and more than `TOLERATED`.
    """
    count = len(damaged)
    if count and (count == petals or count > max(1, TOLERATED * petals)):
        raise TrainingError(
            f"{count} of {petals} petals are damaged, more than one and more than "
            f"{TOLERATED:.0%}: fetch them again or take them out of the folder; "
            f"the last one: {damaged[-1]}"
        )
