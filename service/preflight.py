"""Preflight: check in a short-lived process of its own that a model can be loaded.

A worker that fails while it starts is restarted again and again, with a traceback each time. So
the supervising process runs this check before it starts a worker. The memory that it takes is free
again afterwards, and a library that crashes on a bad file crashes only this process.
"""

import subprocess
import sys
from pathlib import Path

from model_store.bundle import Bundle, BundleError

_ROOT = Path(__file__).parents[1]


def load(path: Path) -> None:
    """Load everything that a bundle holds, as a worker does.

    Raises
    ------
    BundleError
        Names the file at fault, or the bundle where it is no single file.
    """
    from scoring.canary import Canary
    from scoring.drift import Drift
    from scoring.scorer import Scorer

    bundle = Bundle.open(path)
    try:
        Scorer(bundle, threads=1)
        Drift.from_arrays(bundle.arrays("drift.npz"))
        Canary.from_arrays(bundle.arrays("canary.npz"))
    except BundleError:
        raise
    except Exception as error:
        # Whatever the error is, a worker would fail with it too.
        raise BundleError(
            f"{path} does not hold what this software reads ({error!r}); use the release of "
            "Outcrop that wrote it, or train again"
        ) from error


def check(path: Path) -> None:
    """Load a bundle in a process of its own.

    Raises
    ------
    BundleError
        If the bundle cannot be loaded.
    """
    command = [sys.executable, "-m", "service.preflight", str(path.resolve())]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise BundleError(f"{path} crashes the process that loads it ({done.stderr.strip()!r})")
    if done.returncode > 0:
        raise BundleError(done.stderr.strip().splitlines()[-1])


if __name__ == "__main__":
    try:
        load(Path(sys.argv[1]))
    except BundleError as failure:
        sys.exit(str(failure).replace("\n", " "))
