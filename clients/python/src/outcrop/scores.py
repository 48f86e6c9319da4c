"""Scores: the result for each spectrum, and the status bits that qualify it."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from . import notebook
from .columns import COLUMNS
from .errors import InputError
from .explanations import Explanation
from .index import Index, to_rows
from .model import ModelIdentity

if TYPE_CHECKING:
    from astropy.table import Table

    from .plot import Portrait


class Status(IntFlag):
    """Conditions that qualify the scores of a spectrum, one bit each.

    The first five, LOW_COVERAGE, NO_SPECTRUM, EXTRAPOLATED, OUT_OF_POPULATION and NOT_SCORED make
    it ineligible: its scores, where they can be computed, are reported but never flagged, ranked
    or counted.
    """

    NO_DATA = 1 << 0
    """No good pixel."""
    NO_REDSHIFT = 1 << 1
    """No redshift given, not finite, or ZWARN has the bit NODATA."""
    Z_OUT_OF_RANGE = 1 << 2
    """The redshift lies outside the model's range."""
    NOT_TARGET = 1 << 3
    """OBJTYPE is not TGT: a sky fiber, for instance."""
    BAD_FIBER = 1 << 4
    """COADD_FIBERSTATUS has more than the harmless bits."""
    LOW_SNR = 1 << 5
    """S/N below 5, the limit of the paper's sample."""
    LOW_COVERAGE = 1 << 6
    """Less than 0.9 of the rest-frame bins are good."""
    MISSING_CAMERA = 1 << 7
    """One of the three cameras is absent."""
    BAD_PIXELS = 1 << 8
    """Non-finite flux or ivar, or ivar < 0, in pixels that are not masked."""
    NO_SPECTRUM = 1 << 9
    """A redrock row without a row in the coadd."""
    DUPLICATE = 1 << 10
    """The TARGETID occurs more than once in the input."""
    IN_TRAINING = 1 << 11
    """The TARGETID belongs to the model's training sample."""
    EXTRAPOLATED = 1 << 12
    """The S/N lies outside the calibrated range."""
    OUT_OF_POPULATION = 1 << 13
    """The target bits are known, and none is of the population that the model was fitted on."""
    TOO_GOOD = 1 << 14
    """It fits better than its noise allows: its ivar is too small."""
    NOT_SCORED = 1 << 15
    """The model gave a score that is not finite; all are NaN."""

    def __str__(self) -> str:
        """Return the names of the bits that are set, ``none`` where there is none.

        Examples
        --------
        >>> from outcrop import Status
        >>> print(Status(33), Status(0), Status(1 << 30))
        NO_DATA|LOW_SNR none bit 30
        """
        number = int(self)
        bits = [bit for bit in range(number.bit_length()) if number >> bit & 1]
        names = {bit.value: str(bit.name) for bit in Status}
        return "|".join(names.get(1 << bit, f"bit {bit}") for bit in bits) or "none"

    def __format__(self, specification: str) -> str:
        return format(int(self), specification) if specification else str(self)


INELIGIBLE: Final = (
    Status.NO_DATA
    | Status.NO_REDSHIFT
    | Status.Z_OUT_OF_RANGE
    | Status.NOT_TARGET
    | Status.BAD_FIBER
    | Status.LOW_COVERAGE
    | Status.NO_SPECTRUM
    | Status.EXTRAPOLATED
    | Status.OUT_OF_POPULATION
    | Status.NOT_SCORED
)
MIN_SNR: Final = 1.0
"""Eligible spectra have at least this S/N."""

FLAGS: Final = ("wmse_anomaly", "nof_anomaly", "anomaly")
"""The fields of `Scores` that flag anomalies."""
ON_REQUEST: Final = ("reconstruction", "rest_flux", "rest_ivar")
"""The spectra-sized fields of `Scores`, present only where they were requested."""
_GIVEN: Final = ("model", "z", "rest_wave")
"""The fields of `Scores` that describe how it was scored."""


def eligible(status: NDArray[np.int32], snr: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which spectra are eligible: none of the `INELIGIBLE` bits, and S/N >= 1.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.scores import eligible
    >>> eligible(np.array([0, Status.NO_DATA, Status.LOW_SNR], np.int32), np.array([9.0, 9.0, 3.0]))
    array([ True, False,  True])
    """
    # NaN >= 1 is false, as it should be.
    return ((status & int(INELIGIBLE)) == 0) & (snr >= MIN_SNR)


def count_outside(
    status: NDArray[np.int32],
    snr: NDArray[np.floating],
    desi_target: NDArray[np.int64] | None,
) -> tuple[int, int]:
    """Return how many targets are outside the population, and how many eligible may be.

    The latter have an unknown DESI_TARGET, -1, and count as inside.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.scores import Status, count_outside
    >>> status = np.array([Status.OUT_OF_POPULATION, 0, 0], np.int32)
    >>> count_outside(status, np.array([9.0, 9.0, 9.0]), np.array([1 << 61, 1 << 60, -1]))
    (1, 1)
    """
    outside = np.count_nonzero(status & int(Status.OUT_OF_POPULATION))
    inside = eligible(status, snr)
    unknown = inside if desi_target is None else inside & (desi_target == -1)
    return int(outside), int(np.count_nonzero(unknown))


def count_status(status: NDArray[np.int32]) -> str:
    """Return how many spectra have each of the bits that occur.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop.scores import count_status
    >>> count_status(np.array([32, 33, 0]))
    '1 NO_DATA, 2 LOW_SNR'
    """
    counts = {bit.name: np.count_nonzero(status & int(bit)) for bit in Status}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "all clear"


@dataclass(frozen=True, eq=False)
class Scores:
    """One row per spectrum, in the order of the input.

    ``scores[:5]``, ``scores[mask]`` and ``scores[rows]`` are the chosen rows, in the order of the
    index; ``scores[0]`` is one.

    Attributes
    ----------
    model : ModelIdentity
        Identity of the model that gave these scores.
    targetid : (N,) int64
    status : (N,) int32
        `Status` bits.
    snr : (N,) float32
        Median over good rest-frame bins of flux·√ivar.
    coverage : (N,) float32
        Share of the rest-frame bins that are good, 0 to 1.
    norm : (N,) float32
        ‖flux‖ before normalisation, in the input's flux unit.
    latent : (N, L) float32
        Mean of the encoder's posterior.
    wmse : (N,) float32
        Weighted mean squared error (Nicolaou et al. 2025, Eq. 6); larger is more anomalous,
        and noise alone gives about 1 times the coverage.
    nof : (N,) float32
        Negative outlier factor; smaller is more anomalous, inliers have about −1.
    wmse_anomaly, nof_anomaly : (N,) bool
        The paper's two flags at the model's thresholds; eligible spectra with S/N >= 5 only.
    p_value : (N,) float64
        Probability that an inlier of like S/N, and of the same class where SPECTYPE is known,
        scores as anomalous, in (0, 1); smaller is more anomalous. NaN for ineligible spectra.
    anomaly : (N,) bool
        p_value below the model's level.
    p_value_pooled : (N,) float64
        The same as p_value, but among inliers of all classes: a star whose class is given as
        GALAXY is among galaxies in p_value, and among all here.
    reconstruction, rest_flux, rest_ivar : (N, M) float32, optional
        The robust reconstruction, the preprocessed spectrum and its inverse variance, on the
        model's rest-frame grid in the input's flux unit. Bins that the model cannot explain are
        left out of the robust reconstruction, so that they do not bend it; wmse is that of the
        plain one, the decoded latent times norm.
    z : (N,) float64, optional
        Redshift of the spectra as given.
    rest_wave : (M,) float64, optional
        Centres of the rest-frame bins, vacuum Å; present where reconstruction is.
    """

    model: ModelIdentity
    targetid: NDArray[np.int64]
    status: NDArray[np.int32]
    snr: NDArray[np.float32]
    coverage: NDArray[np.float32]
    norm: NDArray[np.float32]
    latent: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    wmse_anomaly: NDArray[np.bool_]
    nof_anomaly: NDArray[np.bool_]
    p_value: NDArray[np.float64]
    anomaly: NDArray[np.bool_]
    p_value_pooled: NDArray[np.float64]
    reconstruction: NDArray[np.float32] | None = None
    rest_flux: NDArray[np.float32] | None = None
    rest_ivar: NDArray[np.float32] | None = None
    z: NDArray[np.float64] | None = None
    rest_wave: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, column in self._by_row().items():
            if len(column) != len(self.targetid):
                raise ValueError(
                    f"{name} has {len(column)} rows, targetid has {len(self.targetid)}"
                )

    def __len__(self) -> int:
        return len(self.targetid)

    def __repr__(self) -> str:
        return (
            f"<Scores: {len(self)} spectra, {np.count_nonzero(self.eligible)} eligible, "
            f"{np.count_nonzero(self.anomaly)} anomalies"
            f"{'' if self.reconstruction is None else ', with reconstructions'}; "
            f"model {self.model}; status: {count_status(self.status)}>"
        )

    def _repr_html_(self) -> str:
        table: Any = self[: notebook.ROWS].to_table()
        names: list[str] = [name for name in table.colnames if name != "LATENT"]
        shown: dict[str, NDArray[Any]] = {name: np.asarray(table[name]) for name in names}
        shown["STATUS"] = np.array([str(Status(int(bits))) for bits in shown["STATUS"]], np.str_)
        return notebook.html_table(repr(self), shown)

    @property
    def eligible(self) -> NDArray[np.bool_]:
        """(N,) bool: the rows that thresholds, rankings and shares use."""
        return eligible(self.status, self.snr)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the scores that are present, by name; not z and rest_wave, which are given."""
        values: dict[str, Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in _GIVEN
        }
        return {name: value for name, value in values.items() if value is not None}

    def _by_row(self) -> dict[str, NDArray[Any]]:
        return self.columns() | ({} if self.z is None else {"z": self.z})

    def __getitem__(self, index: Index) -> "Scores":
        rows = to_rows(index, len(self))
        columns = {name: column[rows] for name, column in self._by_row().items()}
        return replace(self, **columns)

    def to_table(self) -> "Table":
        """Return the scores as an astropy Table with the columns of the score table.

        Returns
        -------
        Table
            Has units and descriptions; name, version and sha256 of the model are in its ``meta``.
            Z is a column where it is known; reconstructions are none.
        """
        from astropy.table import Column, Table
        from astropy.units import Unit

        known = self._by_row()
        columns: list[Any] = [
            Column(
                known[column.field],
                column.name,
                unit=None if column.unit is None else Unit(column.unit, format="fits"),
                description=column.description,
            )
            for column in COLUMNS
            if column.field in known
        ]
        model = self.model
        meta = {"MODEL": model.name, "MODELVER": model.version, "MODELSHA": model.sha256}
        return Table(columns, meta=meta)

    def plot(self, row: int, explanation: Explanation | None = None) -> "Portrait":
        """Draw a spectrum with its reconstruction and the residual.

        Parameters
        ----------
        row : int
            Of scores with reconstructions.
        explanation : Explanation, optional
            Of this spectrum: its cause is written above, and its segments are shaded.

        Returns
        -------
        Portrait
            A matplotlib figure: Jupyter shows it, and its ``savefig`` writes it.

        Raises
        ------
        InputError
            Where matplotlib is not installed, there is no reconstruction to draw, or the
            explanation is of another spectrum.
        """
        try:
            from .plot import DrawnSpectrum, Portrait
        except ImportError as error:
            raise InputError(
                f"plots need matplotlib ({error}); install it: pip install matplotlib"
            ) from error

        one = self[row]
        if (
            one.reconstruction is None
            or one.rest_flux is None
            or one.rest_ivar is None
            or one.rest_wave is None
        ):
            raise InputError("scores hold no reconstruction; score with reconstruction=True")
        status = Status(int(one.status[0]))
        if not np.isfinite(one.reconstruction).all():
            raise InputError(
                f"row {row}, TARGETID {one.targetid[0]}, has no reconstruction to draw: {status}"
            )

        if explanation is not None and explanation.targetid != one.targetid[0]:
            raise InputError(
                f"row {row} is TARGETID {one.targetid[0]}, the explanation is of "
                f"{explanation.targetid}; give that of this row"
            )

        z, p_value = math.nan if one.z is None else float(one.z[0]), float(one.p_value[0])
        title = (
            f"{one.targetid[0]}    {'no z' if math.isnan(z) else f'z {z:.4f}'}    "
            f"{'no p-value' if math.isnan(p_value) else f'p {p_value:.2g}'}"
        )
        subtitle = (
            f"wmse {one.wmse[0]:.3g}, NOF {one.nof[0]:.3g}, S/N {one.snr[0]:.3g}, "
            f"coverage {one.coverage[0]:.2f}; status: {status}"
        )
        images = one.rest_flux[0], one.rest_ivar[0], one.reconstruction[0]
        drawn = DrawnSpectrum(title, subtitle, one.rest_wave, *images, z)
        if explanation is not None:
            segments = tuple(segment.rest for segment in explanation.segments)
            sentence = explanation.sentence
            if explanation.cause not in ("", "unexplained"):
                named = f"{explanation.cause} {explanation.cause_probability:.2f}"
                sentence = f"{named}: {sentence}"
            drawn = replace(drawn, sentence=sentence, segments=segments)
        return Portrait(drawn)

    @staticmethod
    def concatenate(parts: "Sequence[Scores]") -> "Scores":
        """Join scores of consecutive chunks; all must have the same fields.

        Raises
        ------
        ModelChanged
            Where the scores are of different models.
        """
        model = parts[0].model
        for part in parts:
            model.check_same(part.model)

        columns = [part._by_row() for part in parts]
        joined = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
        return replace(parts[0], **joined)
