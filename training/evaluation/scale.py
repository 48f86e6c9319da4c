"""Scale: time and memory of a fit to as many spectra as Nicolaou et al. 2025 train on.

Petals of a clean simulated sky are made, and a plan of them, from which the recipe draws its sample
and is fitted in a process of its own. What is there from an earlier run is used again, but the fit
is repeated. The exit status says whether it was within its bounds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from outcrop import find_petals
from outcrop.plan import Plan, PlannedPetal

from ..sky.petals import simulate

SPECTRA = 208_000
PETALS = 500
"""Petals of a clean sky with that many spectra to train on and to calibrate with."""
MINUTES, GIGABYTES = 30.0, 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.scale", description=__doc__
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, required=True)
    parser.add_argument("--config", metavar="NAME_OR_TOML", default="default")
    parser.add_argument("--petals", metavar="N", type=int, default=PETALS)
    options = parser.parse_args(arguments)

    folder: Path = options.folder
    sky, bundle = folder / f"sky-{options.petals}", folder / f"model-{time.time():.0f}"
    if not (sky / "truth.csv").exists():
        simulate(sky, petals=options.petals, seed=1, nuisances=0.0)

    plan = folder / f"plan-{options.petals}.ecsv"
    write_plan(sky, plan)

    # The first time the petals are read, too.
    started = time.monotonic()
    command = (sys.executable, "-m", "training", "fit", plan, "--output", bundle)
    environment = os.environ | {"OUTCROP_CACHE": str(folder / "cache")}
    done = subprocess.run([*map(str, command), "--config", options.config], env=environment)
    if done.returncode:
        return done.returncode

    minutes = (time.monotonic() - started) / 60
    # Of the largest child, in kilobytes.
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    counts = json.loads((bundle / "manifest.json").read_text())["sample"]["counts"]
    tqdm.write(
        f"{counts['unique']} spectra, {counts['training']} trained on: {minutes:.1f} minutes "
        f"(at most {MINUTES:g} for {SPECTRA}), {gigabytes:.2f} GB (at most {GIGABYTES:g})"
    )
    return int(minutes > MINUTES or gigabytes > GIGABYTES)


def write_plan(sky: Path, path: Path) -> None:
    """Write a plan of all petals of a simulated sky, in place of an earlier one."""
    petals = [
        PlannedPetal(
            petal.coadd.relative_to(sky).as_posix(),
            petal.redrock.relative_to(sky).as_posix(),
            size=petal.coadd.stat().st_size,
        )
        for petal in find_petals(sky)
    ]
    Plan(str(sky.absolute()), tuple(petals)).write(path, overwrite=True)


if __name__ == "__main__":
    sys.exit(main())
