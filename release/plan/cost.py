"""Cost: how long a plan takes to fetch and to score.

The arithmetic is that of a release on paper::

    core-hours     = spectra / rate / 3600              rate: spectra a second, of one core
    hours          = core-hours / cores
    transfer hours = bytes / bandwidth / 3600           whatever the number of nodes

The bytes are those that are read of coadds, flux, ivar and mask: resolution matrices are left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outcrop import InputError
from outcrop.spectra import WAVE

from ..journal import SCORED, read_events

BYTES_A_SPECTRUM: Final = 12 * sum(len(WAVE[camera]) for camera in "brz")
"""Of flux, ivar and mask, four bytes each."""
CORES: Final = 128
"""Of a node, as NERSC's Perlmutter has them."""
NODES: Final = (1, 10)


@dataclass(frozen=True)
class Cost:
    """What it takes to score spectra.

    Attributes
    ----------
    spectra : int
    rate : float
        Spectra a second and core, reading and writing included.
    bandwidth : float, optional
        Bytes a second at which coadds are fetched from afar, by all nodes together.
    """

    spectra: int
    rate: float
    bandwidth: float | None = None

    @property
    def core_hours(self) -> float:
        """Time to score on one core, in hours."""
        return self.spectra / self.rate / 3600

    @property
    def size(self) -> int:
        """Bytes that are read of the coadds."""
        return self.spectra * BYTES_A_SPECTRUM

    def hours(self, nodes: int, cores: int = CORES) -> float:
        """Time to score on nodes of so many cores, all as fast as the one."""
        return self.core_hours / (nodes * cores)

    @property
    def transfer_hours(self) -> float | None:
        """Time to fetch the coadds, in hours; None where the bandwidth is not known."""
        return None if self.bandwidth is None else self.size / self.bandwidth / 3600

    def lines(self) -> list[str]:
        """Return the arithmetic in words."""
        lines = [
            f"score: {self.spectra:,} spectra / {self.rate:,.4g} spectra/s a core = "
            f"{_duration(self.core_hours)} of one core ({self.core_hours:.3g} core-hours)"
        ]
        lines += [
            f"  {nodes} node{'s' * (nodes > 1)} of {CORES} cores: {_duration(self.hours(nodes))}"
            for nodes in NODES
        ]
        if self.bandwidth is not None and self.transfer_hours is not None:
            lines.append(
                f"fetch: {self.spectra:,} spectra x {BYTES_A_SPECTRUM:,} B = "
                f"{self.size / 1e9:,.4g} GB / {self.bandwidth / 1e6:,.4g} MB/s = "
                f"{_duration(self.transfer_hours)}"
            )
        return lines


def measured_rate(output: Path) -> float:
    """Return the rate of an earlier run: spectra a second of each process, from its journal.

    Raises
    ------
    InputError
        Where nothing was scored there.
    """
    scored = [event for event in read_events(output) if event.state == SCORED]
    spectra, seconds = sum(one.spectra for one in scored), sum(one.seconds for one in scored)
    if not spectra or seconds <= 0:
        raise InputError(
            f"{output} has no journal of scored spectra; name the --output of a run, or give --rate"
        )
    return spectra / seconds


def _duration(hours: float) -> str:
    for unit, length in (("h", 1.0), ("min", 60.0)):
        if hours * length >= 1:
            return f"{hours * length:.3g} {unit}"
    return f"{hours * 3600:.2g} s"
