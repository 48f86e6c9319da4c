"""The image's build compiles everything that reading, scoring and explaining need."""

import os
import subprocess
import sys
from pathlib import Path

from outcrop.desi import Petal

ROOT = Path(__file__).parents[2]
_EXPLAIN = """
import sys
from explanation.explainer import Explainer
from outcrop import read_spectra
from outcrop.flagged import explain_flagged
from service.interfaces.number_lists import read_floats
read_floats(b"[-1.5e1, null]", 2, "flux")
explainer = Explainer.open(sys.argv[1])
spectra = read_spectra(*sys.argv[2:])
explain_flagged(explainer.explain, spectra, explainer.scorer.score(spectra))
"""


def compiled(cache: Path) -> set[str]:
    return {file.name for file in cache.glob("*/*.nbc")}


def test_a_real_petal_needs_nothing_compiled_after_the_build(
    bundle: Path, petal: Petal, tmp_path: Path
) -> None:
    variables = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NUMBA_CPU_FEATURES": "+avx2,+fma",
        "PYTHONPATH": str(ROOT),
    }

    def run(*arguments: str | Path) -> None:
        command = [sys.executable, *map(str, arguments)]
        subprocess.run(command, cwd=ROOT, env=variables, check=True)

    run("deploy/compile.py")
    before = compiled(tmp_path)
    assert before
    run("-c", _EXPLAIN, bundle, petal.coadd, petal.redrock)
    assert compiled(tmp_path) == before
