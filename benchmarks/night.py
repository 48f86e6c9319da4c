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
    """Measure ``outcrop night`` with a server on the same machine."""
    petals = len(find_petals(workload.sky))
    command = [str(Path(sys.executable).with_name("outcrop")), "night", str(workload.sky)]
    command += ["--output", str(workload.folder / "night")]
    bundle = workload.bundle(workload.sizes.reference_latents)

    with outcrop(bundle, workload.folder / "night.log") as server:
        command += ["--url", server.url]
        seconds = seconds_of(
            lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        )

    count = petals * _SPECTRA_PER_PETAL
    return [
        Target("a night, service included", count / seconds, 2500, "spectra/s"),
        ResultTable(
            f"A night of {petals} petals",
            ("petals", "spectra", "s", "spectra/s"),
            [(petals, count, round(seconds, 1), rate(count, seconds))],
            "`outcrop night` reads FITS files, scores them over HTTP and writes the score tables "
            "and the summary, all on the same two cores.",
        ),
    ]
