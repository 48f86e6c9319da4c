"""Trial: whether a model can be loaded, found out in a short-lived process of its own.

A worker that fails while it starts is made anew, again and again, and says so in a traceback each
time. So the supervising process has the model loaded once before it makes one; what that takes in
memory, and a library that ends its process over a bad file, are gone with the trial.
"""

import subprocess
import sys
from pathlib import Path

from model_store.bundle import Bundle, BundleError

_ROOT = Path(__file__).parents[1]


def load(path: Path) -> None:
    """Make everything that a bundle holds, as a worker does.

    Raises
    ------
    BundleError
        Naming the file, or the bundle where it is not one file's fault.
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
        # Whatever it is, a worker would fail on it too.
        raise BundleError(
            f"{path} does not hold what this software reads ({error!r}); use the release of "
            "Outcrop that wrote it, or train again"
        ) from error


def run(path: Path) -> None:
    """Load a bundle in a process of its own.

    Raises
    ------
    BundleError
        If that fails.
    """
    command = [sys.executable, "-m", "service.preflight", str(path.resolve())]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise BundleError(f"{path} ends the process that loads it ({done.stderr.strip()!r})")
    if done.returncode > 0:
        raise BundleError(done.stderr.strip().splitlines()[-1])


if __name__ == "__main__":
    try:
        load(Path(sys.argv[1]))
    except BundleError as failure:
        sys.exit(str(failure).replace("\n", " "))
