"""Memory: peak resident memory of a process, and of scoring one petal without a server."""

import subprocess
import sys
from pathlib import Path

from outcrop import Petal, read_spectra
from scoring.scorer import Scorer

_ROOT = Path(__file__).parents[1]


def peak_bytes(process: int | str) -> int:
    """Return the peak resident memory of a process, by its id; 0 if it has none."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def in_process_bytes(bundle: Path, petal: Petal) -> int:
    """Return the peak resident memory of a process that only scores a petal."""
    command = [sys.executable, "-m", "benchmarks.memory", bundle, petal.coadd, petal.redrock]
    done = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


if __name__ == "__main__":
    Scorer.open(sys.argv[1]).score(read_spectra(sys.argv[2], sys.argv[3]))
    print(peak_bytes("self"))  # noqa: T201 (this is the program's output)
