"""Night: a simulated night of petals, from FITS files to score tables, as the pipeline runs it."""

import subprocess
import sys
from pathlib import Path

from outcrop import find_petals

from .results import Table
from .server import outcrop
from .timing import rate, seconds_of
from .workload import ROOT, Material

_SPECTRA_OF_A_PETAL = 500


def measure(material: Material) -> list[Table]:
    """Measure ``outcrop night`` with a server on the same machine."""
    petals = len(find_petals(material.sky))
    command = [str(Path(sys.executable).with_name("outcrop")), "night", str(material.sky)]
    command += ["--output", str(material.folder / "night")]
    with outcrop(
        material.bundle(material.sizes.reference), material.folder / "night.log"
    ) as server:
        command += ["--url", server.url]
        seconds = seconds_of(
            lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        )
    count = petals * _SPECTRA_OF_A_PETAL
    return [
        Table(
            f"A night of {petals} petals",
            ("petals", "spectra", "s", "spectra/s"),
            [(petals, count, round(seconds, 1), rate(count, seconds))],
            "`outcrop night` reads FITS files, has them scored through HTTP and writes the score "
            "tables and the summary, all on the same two cores.",
        )
    ]
