"""Night: a simulated night of petals, from FITS files to score tables, as the pipeline runs it."""

import subprocess
import sys
from pathlib import Path

from outcrop import find_petals

from .results import ResultTable, Target
from .server import outcrop
from .timing import rate, seconds_of
from .workload import ROOT, Workload

_SPECTRA_PER_PETAL = 500


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure ``outcrop night`` with a server on the same machine; it can explain what it flags."""
    count = len(find_petals(workload.sky)) * _SPECTRA_PER_PETAL
    command = [str(Path(sys.executable).with_name("outcrop")), "night", str(workload.sky)]
    bundle = workload.bundle(workload.sizes.reference_latents)

    with outcrop(bundle, workload.folder / "night.log") as server:
        command += ["--url", server.url, "--output"]
        scores = _seconds_of([*command, str(workload.folder / "night"), "--no-explain"])
        explained = _seconds_of([*command, str(workload.folder / "explained-night")])

    return [
        Target("a night, service included", count / scores, 2500, "spectra/s"),
        ResultTable(
            f"A night of {count:,} spectra",
            ("written", "s", "spectra/s"),
            [
                ("scores", round(scores, 1), rate(count, scores)),
                ("scores and explanations", round(explained, 1), rate(count, explained)),
            ],
            "`outcrop night` reads FITS files, scores them over HTTP and writes the score tables "
            "and the summary, all on the same two cores. It explains what is flagged, unless with "
            "`--no-explain`.",
        ),
    ]


def _seconds_of(command: list[str]) -> float:
    return seconds_of(
        lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    )
