"""Instrument: where a night's segments gather in the instrument rather than in the sky.

What the sky's objects have lies at a wavelength of the rest frame, in any fiber. So three things
are compared with what they are where segments are shuffled among spectra:

- *wavelengths*: the spectra with a segment at one observed wavelength, against the rate of segments
  at the rest wavelengths that lie there in spectra of other redshifts. Stars, and what another
  redshift or class explains, are left out: they have all their lines at one observed wavelength.
  So are segments that are wider than `WIDEST`.
- *fibers*: the spectra with segments in one fiber, against those of the same petal and tile: where
  its fibers are shuffled, each of its spectra has segments with the share of its petal.
- *petals and cameras*: the spectra with segments in one camera of a petal, against the other petals
  of the same tiles. Petals are shuffled as wholes, since an exposure of one petal may have many
  segments for a reason of its own: fewer than five tiles cannot show anything.

The probabilities are those of all shuffles, not of a sample of them, or for wavelengths the Poisson
tail of their mean, which is never smaller. Only flagged spectra are explained and have segments:
what is too weak to flag a spectrum is not seen.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .._fits import FitsFile
from ..scores import eligible
from ..spectra import CAMERAS, WAVE, camera_of
from .discoveries import q_values

if TYPE_CHECKING:
    from astropy.table import Table

WAVELENGTH: Final = "wavelength"
FIBER: Final = "fiber"
PETAL_CAMERA: Final = "petal_camera"

Q_INSTRUMENT: Final = 1e-3
"""Probability that a night without faults has one of a kind."""
LEAST: Final = 3
"""Spectra at least, where anything stands out."""
WIDEST: Final = 200.0
"""Å of the widest segment that counts at a wavelength; wider ones are of a camera."""
COLUMNS: Final = (
    *("KIND", "PETAL", "CAMERA", "FIBER", "WAVE_MIN", "WAVE_MAX", "NUMBER", "EXPECTED"),
    *("SIGNIFICANCE", "Q_VALUE", "SENTENCE"),
)
"""Of the table of places."""
_PRINTED: Final = 10
_OTHER_OBJECT: Final = ("wrong_redshift", "second_spectrum", "other_class")
_STEP: Final = 5e-4  # in ln(wavelength): 2 to 5 Å
_FIRST, _LAST = np.log(WAVE["brz"][[0, -1]])
_BINS: Final = int(np.ceil((_LAST - _FIRST) / _STEP))
_SMALLEST: Final = 1e-300
_TERMS: Final = 1000


@dataclass(frozen=True, eq=False)
class NightSegments:
    """The N eligible spectra of a night, and their K segments.

    Attributes
    ----------
    tile, petal, fiber : (N,) int64
        −1 where unknown.
    z : (N,) float64
    at_rest : (N,) bool
        Whether the segments lie at wavelengths of the rest frame: not where the spectrum is a
        star's, or of another object than was assumed.
    row : (K,) int64
        The spectrum of each segment.
    first, last : (K,) float64
        Observed wavelengths, vacuum Å.
    """

    tile: NDArray[np.int64]
    petal: NDArray[np.int64]
    fiber: NDArray[np.int64]
    z: NDArray[np.float64]
    at_rest: NDArray[np.bool_]
    row: NDArray[np.int64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    @staticmethod
    def read(table: Path) -> "NightSegments | None":
        """Read those of a score table; None where its spectra were not explained.

        Raises
        ------
        InputError
            Where the file cannot be read or lacks a column.
        """
        with FitsFile(table) as file:
            if "SEGMENTS" not in file:
                return None
            rows, segments = file.table("OUTLIERS"), file.table("SEGMENTS")
            z, cause = rows.floats("Z"), rows.strings("CAUSE")
            at_rest = (rows.strings("SPECTYPE") != "STAR") & ~np.isin(cause, _OTHER_OBJECT)
            counted = eligible(rows.integers("STATUS").astype(np.int32), rows.floats("SNR"))
            tile, petal, fiber = (
                rows.integers(name)[counted] for name in ("TILEID", "PETAL_LOC", "FIBER")
            )
            row = segments.integers("ROW")
            first, last = segments.floats("OBS_MIN"), segments.floats("OBS_MAX")

        kept = counted[row]
        place = np.cumsum(counted) - 1
        return NightSegments(
            tile,
            petal,
            fiber,
            z[counted],
            at_rest[counted],
            place[row[kept]],
            first[kept],
            last[kept],
        )

    @staticmethod
    def concatenate(parts: "Sequence[NightSegments]") -> "NightSegments":
        """Return those of several petals; at least one."""
        before = np.cumsum([0, *(len(part.z) for part in parts)])
        shifted = [replace(part, row=part.row + n) for part, n in zip(parts, before, strict=False)]
        names = ("tile", "petal", "fiber", "z", "at_rest", "row", "first", "last")
        return NightSegments(
            *(np.concatenate([getattr(part, name) for part in shifted]) for name in names)
        )


@dataclass(frozen=True)
class Place:
    """A place in the instrument where segments gather.

    Attributes
    ----------
    kind : str
        ``wavelength``, ``fiber`` or ``petal_camera``.
    number : int
        Spectra with a segment there; of a range of wavelengths, at its most significant one.
    expected : float
        How many there are if segments are shuffled.
    significance : float
        σ of a normal distribution with the same tail.
    q_value : float
        Adjusted for all places of its kind.
    petal, fiber : int
        −1 where the place is not of one.
    camera : str
    wave : (float, float)
        First and last observed wavelength, vacuum Å; NaN where the place has none.
    """

    kind: str
    number: int
    expected: float
    significance: float
    q_value: float
    petal: int = -1
    camera: str = ""
    fiber: int = -1
    wave: tuple[float, float] = (np.nan, np.nan)

    @property
    def name(self) -> str:
        """What it is."""
        if self.kind == FIBER:
            return f"fiber {self.fiber}"
        if self.kind == PETAL_CAMERA:
            return f"petal {self.petal}, camera {self.camera}"
        return f"{self.wave[0]:.0f}-{self.wave[1]:.0f} Å observed"

    @property
    def sentence(self) -> str:
        """What was found there."""
        return (
            f"{self.name}: {self.number} spectra have a segment, {self.expected:.2g} expected "
            f"({self.significance:.1f} σ)"
        )


@dataclass(frozen=True, eq=False)
class Tested:
    """All T places of a kind, whether they stand out or not.

    Attributes
    ----------
    label : (T,) or (T, 2) int64
        Bin of ln(wavelength), fiber, or petal and camera.
    number : (T,) int64
    expected, p_value : (T,) float64
    """

    label: NDArray[np.int64]
    number: NDArray[np.int64]
    expected: NDArray[np.float64]
    p_value: NDArray[np.float64]

    @property
    def q_value(self) -> NDArray[np.float64]:
        """(T,) float64: adjusted for all of them."""
        return q_values(self.p_value)

    @property
    def outstanding(self) -> NDArray[np.intp]:
        """The places that stand out."""
        return np.flatnonzero((self.q_value <= Q_INSTRUMENT) & (self.number >= LEAST))


@dataclass(frozen=True, eq=False)
class InstrumentReport:
    """What was tested in a night, and the places that stand out.

    Attributes
    ----------
    wavelengths, fibers, petal_cameras : Tested
    spectra : int
        With segments.
    """

    wavelengths: Tested
    fibers: Tested
    petal_cameras: Tested
    spectra: int

    @staticmethod
    def of(night: NightSegments) -> "InstrumentReport":
        """Test the segments of a night."""
        return InstrumentReport(
            _by_wavelength(night),
            _by_fiber(night),
            _by_petal_and_camera(night),
            len(np.unique(night.row)),
        )

    @property
    def outstanding(self) -> list[Place]:
        """The places that stand out: wavelengths, fibers, petals and cameras."""
        found = [*_ranges(self.wavelengths)]
        for kind, tested in ((FIBER, self.fibers), (PETAL_CAMERA, self.petal_cameras)):
            for one in tested.outstanding:
                place = _place(kind, tested, int(one))
                if kind == FIBER:
                    found.append(replace(place, fiber=int(tested.label[one])))
                else:
                    petal, camera = tested.label[one].tolist()
                    found.append(replace(place, petal=petal, camera=CAMERAS[camera]))
        return found

    @property
    def text(self) -> str:
        """What is to be printed of them."""
        places = sorted(self.outstanding, key=lambda place: -place.significance)
        gather = f"gather in {len(places)} of its parts" if places else "gather nowhere in it"
        lines = [f"instrument: segments of {self.spectra} spectra {gather}"]
        lines += [f"  {place.sentence}" for place in places[:_PRINTED]]
        if len(places) > _PRINTED:
            lines.append(f"  and {len(places) - _PRINTED} more (instrument.ecsv)")
        return "\n".join(lines)

    def table(self) -> "Table":
        """Return a table with one row for each place."""
        from astropy.table import Table

        rows = [
            (
                *(place.kind, place.petal, place.camera, place.fiber, *place.wave, place.number),
                *(place.expected, place.significance, place.q_value, place.sentence),
            )
            for place in self.outstanding
        ]
        types = ["U12", "i4", "U1", "i4", "f8", "f8", "i4", "f8", "f8", "f8", "U120"]
        table = Table(rows=rows or None, names=COLUMNS, dtype=types)
        for name in ("WAVE_MIN", "WAVE_MAX"):
            cast(Any, table)[name].unit = "Angstrom"
        return table


def wave_of(bins: NDArray[np.integer] | int) -> NDArray[np.float64]:
    """Return the observed wavelengths, Å, at which bins of ln(wavelength) begin."""
    return np.exp(_FIRST + _STEP * np.asarray(bins))


def _place(kind: str, tested: Tested, one: int) -> Place:
    p_value = max(float(tested.p_value[one]), _SMALLEST)
    return Place(
        kind,
        int(tested.number[one]),
        float(tested.expected[one]),
        -NormalDist().inv_cdf(p_value),
        float(tested.q_value[one]),
    )


def _ranges(tested: Tested) -> list[Place]:
    """Return the wavelengths that stand out, neighbouring ones as one range."""
    outstanding = tested.outstanding
    runs = np.split(outstanding, np.flatnonzero(np.diff(outstanding) > 1) + 1)
    found: list[Place] = []
    for run in runs:
        if len(run):
            most = run[np.argmin(tested.p_value[run])]
            first, last = tested.label[[run[0], run[-1]]]
            wave = (float(wave_of(first)), float(wave_of(last + 1)))
            found.append(replace(_place(WAVELENGTH, tested, int(most)), wave=wave))
    return found


def _by_wavelength(night: NightSegments) -> Tested:
    """Test the bins of observed wavelength."""
    used = night.at_rest[night.row] & (night.last - night.first <= WIDEST)
    row, first, last = night.row[used], night.first[used], night.last[used]
    spectra, row = np.unique(row, return_inverse=True)
    shift = np.rint(np.log1p(night.z[spectra]) / _STEP).astype(np.int64)

    # The bins that have a segment, each once for a spectrum
    start = np.floor((np.log(first) - _FIRST) / _STEP).astype(np.int64)
    end = np.floor((np.log(last) - _FIRST) / _STEP).astype(np.int64)
    length = np.maximum(end - start + 1, 0)
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    hits = np.column_stack([np.repeat(row, length), np.repeat(start, length) + within])
    hits = np.unique(hits[(hits[:, 1] >= 0) & (hits[:, 1] < _BINS)], axis=0)
    number = np.bincount(hits[:, 1], minlength=_BINS)

    # The rate at each rest wavelength among the spectra that cover it, then at each observed one
    least, most = int(shift.min(initial=0)), int(shift.max(initial=0))
    spectra_at = np.bincount(shift - least, minlength=most - least + 1)
    covering = np.convolve(np.ones(_BINS, np.int64), spectra_at[::-1])
    at_rest = np.bincount(hits[:, 1] - shift[hits[:, 0]] + most, minlength=len(covering))
    rate = np.divide(at_rest, covering, out=np.zeros(len(covering)), where=covering > 0)
    expected = np.convolve(rate, spectra_at, "valid")
    return Tested(np.arange(_BINS), number, expected, _poisson_tail(number, expected))


def _by_fiber(night: NightSegments) -> Tested:
    """Test the fibers."""
    has = np.zeros(len(night.z), np.bool_)
    has[night.row] = True
    known = night.fiber >= 0
    _, group = np.unique(np.column_stack([night.tile, night.petal]), axis=0, return_inverse=True)
    share = (np.bincount(group, has) / np.bincount(group))[group]

    fibers, place = np.unique(night.fiber[known], return_inverse=True)
    number = np.bincount(place, has[known]).astype(np.int64)
    expected = np.bincount(place, share[known]).astype(np.float64)
    order = np.argsort(place, kind="stable")
    chances = np.split(share[known][order], np.cumsum(np.bincount(place))[:-1])
    p_value = [
        float(_number_of(each)[count:].sum()) if count else 1.0
        for each, count in zip(chances, number, strict=False)
    ]
    return Tested(fibers, number, expected, np.array(p_value))


def _by_petal_and_camera(night: NightSegments) -> Tested:
    """Test each camera of each petal."""
    camera = camera_of((night.first + night.last) / 2)
    known = (night.petal >= 0) & (night.tile >= 0)
    tiles, tile = np.unique(night.tile[known], return_inverse=True)
    petals, petal = np.unique(night.petal[known], return_inverse=True)
    place = np.full(len(night.z), -1)
    place[known] = tile * len(petals) + petal
    present = np.bincount(place[known], minlength=len(tiles) * len(petals)) > 0
    present = present.reshape(len(tiles), len(petals))

    label: list[tuple[int, int]] = []
    number: list[int] = []
    expected: list[float] = []
    p_value: list[float] = []
    for one in range(len(CAMERAS)):
        rows = np.unique(night.row[camera == one])
        rows = rows[place[rows] >= 0]
        counts = np.bincount(place[rows], minlength=present.size).reshape(present.shape)
        for each in range(len(petals)):
            # The numbers that another petal of the same tile could have given
            others = [counts[t, present[t]] for t in np.flatnonzero(present[:, each])]
            total = int(counts[:, each].sum())
            label.append((int(petals[each]), one))
            number.append(total)
            expected.append(float(sum(own.mean() for own in others)))
            p_value.append(float(_sum_of(others)[total:].sum()) if total else 1.0)
    return Tested(
        np.array(label, np.int64).reshape(-1, 2),
        np.array(number, np.int64),
        np.array(expected),
        np.array(p_value),
    )


def _number_of(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution of how many of independent events happen."""
    found = np.ones(1)
    for chance in chances:
        found = np.convolve(found, [1 - chance, chance])
    return found


def _sum_of(numbers: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return the distribution of the sum of one number drawn from each."""
    found = np.ones(1)
    for each in numbers:
        found = np.convolve(found, np.bincount(each) / len(each))
    return found


def _poisson_tail(number: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of at least these numbers; 1 where no more than expected."""
    above = np.flatnonzero(number > expected)
    counts = number[above, None] + np.arange(_TERMS)
    logs = np.log(np.arange(1, int(counts.max(initial=0)) + 1))
    log_factorial = np.concatenate([[0.0], np.cumsum(logs)])
    mean = np.maximum(expected[above, None], _SMALLEST)
    p_value = np.ones(len(number))
    p_value[above] = np.exp(counts * np.log(mean) - mean - log_factorial[counts]).sum(axis=1)
    return np.minimum(p_value, 1.0)
