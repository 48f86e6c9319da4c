"""Slurm: write a batch script that runs a release on CPU nodes of NERSC's Perlmutter.

The arguments after ``--`` are those of ``run``, as they would be typed in this folder. The script
goes to standard output. Nodes and time follow from the plan and the rates at
which a process scores and a node reads.
"""

import argparse
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final, TypeAlias

from outcrop import InputError
from outcrop.plan import Plan
from outcrop.remote import is_remote

from . import run
from .journal import ENDED
from .plan.cost import CORES, Cost, measured_rate

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

# Of coadds whose rows are not counted in the plan.
_ROWS: Final = 500
_START: Final = 120  # s, until all processes score
_MARGIN: Final = 1.5
_STEP: Final = 600  # s, to which the time is rounded up

_EXAMPLE: Final = """example:
  python -m release slurm --account desi --image docker:desihub/outcrop-release:0.1.0 \\
      --rate 1500 -- plan.ecsv --model models/first --output outliers > outliers.sl
  sbatch outliers.sl

Submitted again after its time limit, or after anything else, it continues where it ended.
"""

_SCRIPT: Final = Template("""\
#!/bin/bash
$estimate
#SBATCH --job-name=outcrop
#SBATCH --account=$account
#SBATCH --qos=$qos
#SBATCH --constraint=cpu
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=$cores
#SBATCH --cpus-per-task=2
#SBATCH --time=$time
#SBATCH --chdir=$here
#SBATCH --output=outcrop-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
${directives}set -euo pipefail
export OMP_NUM_THREADS=1
mkdir -p $output

# A rank that is killed ends all of them, with a status above 128. What is scored is not scored
# again, and a petal that kills its rank each time is set apart before the last step. A run that
# ended by itself says so, since MPI may kill the other ranks where its status is not 0. The lock of
# a node that failed may be held for a while: status 75.
for _ in 1 2 3 4 5 6; do
    status=0
    rm -f $ended
    srun --kill-on-bad-exit=1 --cpu-bind=cores $container \\
        python -m mpi4py.futures -m release run \\
        $arguments --executor=mpi || status=$$?
    if [[ -e $ended ]] || ((status <= 128 && status != 75)); then
        break
    fi
    if ((status == 75)); then
        sleep 60
    fi
done
exit "$$status"
""")


@dataclass(frozen=True)
class Estimate:
    """What a plan takes on a number of nodes.

    Attributes
    ----------
    cost : Cost
    nodes : int
    """

    cost: Cost
    nodes: int

    @staticmethod
    def of(plan: Plan, nodes: int, rate: float, bandwidth: float) -> "Estimate":
        """Return the estimate of a plan, with the bytes a second that one node reads."""
        spectra = sum(petal.spectra if petal.spectra >= 0 else _ROWS for petal in plan.petals)
        return Estimate(Cost(spectra, rate, bandwidth * nodes), nodes)

    @property
    def processes(self) -> int:
        """Ranks that score; the first one submits."""
        return self.nodes * CORES - 1

    @property
    def seconds(self) -> int:
        """Time to ask for: that of starting, reading and scoring and a half more, rounded up."""
        hours = self.cost.core_hours / self.processes + (self.cost.transfer_hours or 0)
        return math.ceil(_MARGIN * (_START + 3600 * hours) / _STEP) * _STEP

    def __str__(self) -> str:
        return "\n".join(f"# {line}" for line in self.cost.lines() if not line.startswith(" "))


def estimate(plan: Plan, hours: float, rate: float, bandwidth: float) -> Estimate:
    """Return the estimate for the fewest nodes that need no more than some hours.

    Raises
    ------
    InputError
        Where a process for each petal would not be enough.
    """
    most = math.ceil((len(plan.petals) + 1) / CORES)
    for nodes in range(1, most + 1):
        found = Estimate.of(plan, nodes, rate, bandwidth)
        if found.seconds <= hours * 3600:
            return found

    least = _clock(Estimate.of(plan, most, rate, bandwidth).seconds)
    raise InputError(
        f"{len(plan.petals)} petals take {least} with a process for each of them, and --hours is "
        f"{hours:g}; give more"
    )


def script(
    arguments: Sequence[str],
    needed: Estimate,
    folders: Sequence[Path],
    *,
    image: str,
    account: str,
    qos: str = "regular",
    podman: bool = False,
) -> str:
    """Return the batch script of a run.

    Parameters
    ----------
    arguments : sequence of str
        Of ``python -m release run``, without the executor.
    needed : Estimate
    folders : sequence of Path
        That of the job, that of the tables, and others that processes must see.
    image, account, qos : str
    podman : bool
        Whether the image is run by podman-hpc, not by shifter.
    """
    here, output = folders[:2]
    # shifter does not run the image's entry point.
    container = "shifter /bin/sh /app/start-release.sh"
    directives = f"#SBATCH --image={image}\n#SBATCH --module=mpich\n"
    if podman:
        volumes = (f"--volume={folder}:{folder}" for folder in dict.fromkeys(folders))
        options = ("--rm", "--mpi", "--userns=keep-id", *volumes, f"--workdir={here}")
        container = shlex.join(["podman-hpc", "run", *options, image])
        directives = ""

    return _SCRIPT.substitute(
        estimate=needed,
        account=account,
        qos=qos,
        nodes=needed.nodes,
        cores=CORES,
        time=_clock(needed.seconds),
        here=shlex.quote(str(here)),
        output=shlex.quote(str(output)),
        ended=shlex.quote(str(output / ENDED)),
        directives=directives,
        container=container,
        arguments=shlex.join(arguments),
    )


def add_parser(commands: _Commands) -> None:
    """Add the command ``slurm``."""
    slurm = commands.add_parser(
        "slurm",
        help="write a batch script for NERSC's CPU nodes",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    slurm.add_argument("--account", required=True, help="project that is charged")
    slurm.add_argument(
        "--image", required=True, help="as shifterimg or podman-hpc names it; `make image-release`"
    )
    rate = slurm.add_mutually_exclusive_group(required=True)
    rate.add_argument(
        "--rate", type=_positive, metavar="N", help="spectra a second that a core scores"
    )
    rate.add_argument("--rate-of", type=Path, metavar="DIR", help="as in an earlier run's folder")

    slurm.add_argument(
        "--bandwidth",
        type=_positive,
        default=1000.0,
        metavar="MB/S",
        help="at which a node reads; default: 1000",
    )
    slurm.add_argument("--hours", type=_positive, default=4.0, help="longest time; default: 4")
    slurm.add_argument("--qos", default="regular", help="default: regular")
    slurm.add_argument(
        "--podman", action="store_true", help="run the image by podman-hpc, not by shifter"
    )
    slurm.add_argument(
        "arguments", nargs="+", metavar="-- PLAN ...", help="of `run`, without --executor"
    )
    slurm.set_defaults(run=_slurm)


def _slurm(options: argparse.Namespace) -> int:
    parsed = _parse_run(options.arguments)
    plan = Plan.read(parsed.plan, parsed.root)
    rate = options.rate or measured_rate(options.rate_of)
    needed = estimate(plan, options.hours, rate, options.bandwidth * 1e6)
    if not Path(parsed.model).is_dir():
        raise InputError(f"{parsed.model} is no bundle's folder; nodes see no model store")

    folders = [Path.cwd(), Path(parsed.output).absolute(), parsed.plan.absolute().parent]
    folders.append(Path(parsed.model).absolute())
    if not is_remote(plan.root):
        folders.append(Path(plan.root).absolute())
    print(
        script(
            options.arguments,
            needed,
            folders,
            image=options.image,
            account=options.account,
            qos=options.qos,
            podman=options.podman,
        ),
        end="",
    )
    return 0


def _parse_run(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what ``run`` makes of its arguments; wrong ones end the process as they do there."""
    parser = argparse.ArgumentParser(prog="python -m release")
    run.add_parser(parser.add_subparsers())
    return parser.parse_args(["run", *arguments, "--executor=mpi"])


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
