"""Measure everything, print the tables and write them as JSON."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from . import competitors, inprocess, night, release, scaling, scaling_of_engines, serving, stages
from .report import report
from .request_sizes import FULL, QUICK, RequestSizes
from .results import Cell, Results
from .workload import ROOT, Workload, fit_model, make_sky, new_folder, use_two_cores

STAGES = {
    "inprocess": inprocess.measure,
    "stages": stages.measure,
    "scaling": scaling.measure,
    "serving": serving.measure,
    "competitors": competitors.measure,
    "night": night.measure,
    "release": release.measure,
    "engines": scaling_of_engines.measure,
}
_PACKAGES = ("numpy", "numba", "onnxruntime", "tensorflow", "scikit-learn", "bentoml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help=f"{', '.join(STAGES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to check that everything runs"
    )
    parser.add_argument("--sky", type=Path, help="petals to use; default: simulated once and kept")
    parser.add_argument("--model", type=Path, help="bundle to use; default: fitted to the sky")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results" / "latest.json",
        help="JSON file to write",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.stages) - set(STAGES)
    if unknown:
        parser.error(
            f"unknown stage {', '.join(sorted(unknown))}; expected one of {', '.join(STAGES)}"
        )

    sizes = QUICK if options.quick else FULL
    results = Results(_machine(use_two_cores()))
    workload = _workload(options.sky, options.model, sizes)

    for name in options.stages or STAGES:
        print(f"{name} …", file=sys.stderr, flush=True)
        results.add(*STAGES[name](workload))
        results.write(options.output)

    print(report(results))
    return 0 if options.quick or all(target.met for target in results.targets) else 1


def _workload(sky: Path | None, model: Path | None, sizes: RequestSizes) -> Workload:
    folder = new_folder()
    sky = sky or make_sky(sizes.petals)
    return Workload(sky, model or fit_model(sky, sizes, folder / "model"), folder, sizes)


def _machine(cores: int) -> dict[str, Cell]:
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": cores,
        "load at start": round(os.getloadavg()[0], 2),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


if __name__ == "__main__":
    sys.exit(main())
