"""After the warm-up no request waits for compilation."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In a process of its own, because other tests compile too.
SCRIPT = """
import sys
from numba.core.dispatcher import Dispatcher
from explanation.explainer import Explainer
from service.warm_up import warm_up
from tests.service.helpers import make_spectra

def compiled():
    return {
        f"{name}.{key}": len(value.signatures)
        for name, module in list(sys.modules.items())
        if name.startswith(("explanation", "scoring"))
        for key, value in vars(module).items()
        if isinstance(value, Dispatcher)
    }

explainer = Explainer.open(sys.argv[1])
warm_up(explainer)
before = compiled()
for names in (("brz",), ("b", "r", "z")):
    spectra = make_spectra(8, names)
    for band in spectra.bands.values():
        band.flux[1::2, 300:500] *= 1.5
        band.flux[2, 700] = 1000
    explainer.scorer.score(spectra, reconstruction=True)
    explainer.explain(spectra)
assert any(name.startswith("explanation") for name in before)
assert compiled() == before, compiled().items() - before.items()
"""


@pytest.mark.long
def test_the_first_request_compiles_nothing(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, bundle],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
