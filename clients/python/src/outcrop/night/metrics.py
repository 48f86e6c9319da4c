"""Night metrics: a night for Prometheus, as a file for node_exporter's textfile collector.

They are of the newest of DESI's nights among the petals: the series do not grow with the tree, and
an alert ends with the next night. Where no petal has a night, as in a healpix tree, they are of all
petals. The night of a petal is in the name of its coadd, where a cumulative one has its last.

Needs prometheus_client, which is imported only with this module.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .._files import write_atomically
from ..inputs import NoiseCards
from ..model import Model
from ..noise import LEAST_FIBERS
from .faults import KINDS
from .summary import FAILED, SCORED, UNPAIRED, WAITING, Entry

METRICS: Final = "metrics.prom"

STATES: Final = (SCORED, FAILED, WAITING, UNPAIRED)
CORRECTED: Final = "corrected"
FEW_FIBERS: Final = "few_sky_fibers"
IMPLAUSIBLE: Final = "implausible"
OFF: Final = "off"
CORRECTIONS: Final = (CORRECTED, FEW_FIBERS, IMPLAUSIBLE, OFF)
"""Whether the noise of a petal was corrected, and why not."""
STATISTICS: Final = {"smallest": min, "median": median, "largest": max}

FAMILIES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "outcrop_night_petals": (("state",), "Petals, by state."),
    "outcrop_night_set_apart_petals": (
        (),
        "Petals of which spectra are set apart: they look faulty, and are no discoveries.",
    ),
    "outcrop_night_faulty_petals": (
        ("reason",),
        "Petals of which spectra are set apart, by reason; a petal may have several.",
    ),
    "outcrop_night_noise_petals": (
        ("correction",),
        "Scored petals, by whether their noise was corrected by their sky fibers, or why not.",
    ),
    "outcrop_night_noise_variance_ratio": (
        ("camera", "statistic"),
        "Variance of the noise over the reported one, over petals with enough sky fibers.",
    ),
    "outcrop_night_camera_offset_ratio": (
        ("camera", "statistic"),
        "Relative offset of the flux from that in camera r, over the same petals; 0 where it was "
        "not measured.",
    ),
    "outcrop_night_spectra": ((), "Rows of the score tables."),
    "outcrop_night_eligible_spectra": ((), "Eligible spectra."),
    "outcrop_night_flagged_spectra": ((), "Eligible spectra with the flag anomaly."),
    "outcrop_night_discovered_spectra": (
        (),
        "Discoveries: q-value of at most 10 %, among all petals of the summary.",
    ),
    "outcrop_night_flagged_ratio": ((), "Share of the eligible spectra with the flag anomaly."),
    "outcrop_night_p_level_ratio": ((), "The share of inliers that the model flags."),
    "outcrop_night_written_timestamp_seconds": (
        (),
        "When the summary was written, seconds since 1970.",
    ),
    "outcrop_night_model_info": (("name", "version", "sha256"), "1 for the model of the scores."),
}
"""Labels, after `night`, and meaning of each gauge."""

_NIGHT: Final = re.compile(r"-(?:thru)?(20\d{6})\.fits(?:\.gz)?$")
_Samples = Iterable[tuple[tuple[str, ...], float]]


class NightMetrics(Collector):
    """The gauges of a night; a collector of prometheus_client.

    Parameters
    ----------
    entries : sequence of Entry
        Of a summary that was written.
    model : Model

    Attributes
    ----------
    night : str
        YYYYMMDD; empty where unknown.
    """

    def __init__(self, entries: Sequence[Entry], model: Model) -> None:
        self.night = max((night_of(entry.coadd) for entry in entries), default="")
        self._entries = [entry for entry in entries if night_of(entry.coadd) == self.night]
        self._scored = [entry for entry in self._entries if entry.state == SCORED]
        self._model = model
        self._made = time.time()

    def write(self, folder: Path) -> Path:
        """Write the file, completely or not at all; InputError where it cannot be."""
        registry = CollectorRegistry()
        registry.register(self)
        path = folder / METRICS
        write_atomically(path, generate_latest(registry), overwrite=True)
        return path

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges, each with its samples."""
        samples = self._samples()
        for name, (labels, meaning) in FAMILIES.items():
            family = GaugeMetricFamily(name, meaning, labels=["night", *labels])
            for values, value in samples[name]:
                family.add_metric([self.night, *values], value)
            yield family

    def _samples(self) -> dict[str, _Samples]:
        entries, scored, model = self._entries, self._scored, self._model
        states = [entry.state for entry in entries]
        corrections = [_correction(entry.noise) for entry in scored]
        eligible = sum(entry.eligible for entry in scored)
        flagged = sum(entry.flagged for entry in scored)

        samples: dict[str, _Samples] = {
            "petals": [((state,), states.count(state)) for state in STATES],
            "set_apart_petals": _one(sum(bool(entry.faults) for entry in scored)),
            "faulty_petals": [
                ((kind,), sum(kind in entry.faults for entry in scored)) for kind in KINDS
            ],
            "noise_petals": [((name,), corrections.count(name)) for name in CORRECTIONS],
            "noise_variance_ratio": self._spread("NOISE", "brz"),
            "camera_offset_ratio": self._spread("OFFSET", "bz"),
            "spectra": _one(sum(entry.rows for entry in scored)),
            "eligible_spectra": _one(eligible),
            "flagged_spectra": _one(flagged),
            "discovered_spectra": _one(sum(entry.discoveries for entry in scored)),
            "flagged_ratio": _one(flagged / eligible) if eligible else (),
            "p_level_ratio": _one(model.p_level),
            "written_timestamp_seconds": _one(self._made),
            "model_info": [((model.name, model.version, model.sha256), 1)],
        }
        return {f"outcrop_night_{name}": each for name, each in samples.items()}

    def _spread(self, card: str, cameras: str) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield smallest, median and largest value of a card of each camera."""
        measured = [e.noise for e in self._scored if e.noise.get("NSKY", 0) >= LEAST_FIBERS]
        for camera in cameras:
            name = f"{card}_{camera.upper()}"
            values = [float(noise[name]) for noise in measured if name in noise]
            for statistic, of in STATISTICS.items():
                if values:
                    yield (camera, statistic), of(values)


def night_of(coadd: Path) -> str:
    """Return the night, YYYYMMDD, in the name of a coadd; empty where there is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from outcrop.night.metrics import night_of
    >>> night_of(Path("coadd-4-80613-thru20210324.fits"))
    '20210324'
    """
    found = _NIGHT.search(coadd.name)
    return found[1] if found else ""


def _one(value: float) -> _Samples:
    return [((), value)]


def _correction(noise: NoiseCards) -> str:
    if "SKYCORR" not in noise:
        return OFF
    if noise["SKYCORR"]:
        return CORRECTED
    return FEW_FIBERS if noise["NSKY"] < LEAST_FIBERS else IMPLAUSIBLE
