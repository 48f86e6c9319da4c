"""Preflight: check in a short-lived process of its own that a model can be loaded and scores.

A worker that fails while it starts is restarted again and again, with a traceback each time. So
the supervising process runs this check before it starts a worker. The memory that it takes is free
again afterwards, and a library that crashes on a bad file crashes only this process.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from signal import Signals

from model_store.bundle import Bundle, BundleError

_ROOT = Path(__file__).parents[1]
_CACHE = "NUMBA_CACHE_DIR"
_BUNDLE_ERROR, _OTHER_ERROR = 1, 2


def load(path: Path) -> None:
    """Load everything that a bundle holds, and score and explain flat spectra, as a worker does.

    Raises
    ------
    BundleError
        Names the file at fault, or the bundle where it is no single file.
    """
    from explanation.explainer import Explainer
    from scoring.canary import Canary
    from scoring.drift import Drift
    from scoring.scorer import Scorer

    from .warm_up import warm_up

    bundle = Bundle.open(path)
    scorer = Scorer(bundle, threads=1)
    Drift.from_arrays(bundle.arrays("drift.npz"))
    Canary.from_arrays(bundle.arrays("canary.npz"))
    warm_up(Explainer(bundle, scorer))


def check(path: Path) -> None:
    """Load a bundle in a process of its own.

    Raises
    ------
    BundleError
        If the bundle cannot be loaded or does not score, or numba's cache is damaged.
    """
    tried = _load_apart(path)
    if tried.returncode == 0:
        return
    said = tried.stderr.strip().rpartition("\n")[2]
    if tried.returncode == _BUNDLE_ERROR:
        raise BundleError(said)

    failure = said if tried.returncode > 0 else f"died of {Signals(-tried.returncode).name}"
    with tempfile.TemporaryDirectory() as empty:
        if _load_apart(path, **{_CACHE: empty}).returncode == 0:
            cache = os.environ.get(_CACHE, f"the folders __pycache__ of {_ROOT}")
            raise BundleError(f"numba's cache in {cache} is damaged ({failure}); remove it")
    raise BundleError(
        f"{path} does not hold what this software reads ({failure}); use the release of Outcrop "
        "that wrote it, or train again"
    )


def _load_apart(path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.preflight", str(path.resolve())],
        cwd=_ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def _main(path: Path) -> int:
    try:
        load(path)
    except BundleError as error:
        sys.stderr.write(str(error).replace("\n", " "))
        return _BUNDLE_ERROR
    except Exception as error:  # noqa: BLE001 (whatever it is, a worker would fail with it too)
        sys.stderr.write(repr(error))
        return _OTHER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
