"""The command ``release plan``."""

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from outcrop import InputError
from outcrop.plan import Plan, PlannedPetal
from outcrop.remote import is_remote

from .catalogue import Catalogue
from .cost import Cost, measured_rate
from .files import FoundPetals, ask_server, find_files, find_tree
from .selection import PlanSelection, read_targetids

_SHOWN: Final = 3
_EXAMPLE: Final = """example:
  python -m release plan --zcatalog zall-pix-iron.fits --output dr1-bright.ecsv \\
      --root https://data.desi.lbl.gov/public/dr1/spectro/redux/iron \\
      --survey main --program bright --rate 1500 --bandwidth 50
  python -m release plan --tree redux/iron/tiles/cumulative --output tiles.ecsv --rate-of outliers

A coadd is planned where one of its spectra is selected; all of its spectra are scored.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m release``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "plan",
        help="list the coadds that are to be scored or trained on, and what that takes",
        description="List the coadds of a release that are to be scored, or trained on, in a "
        "plan; say how many spectra they have, and how long it takes.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--zcatalog",
        metavar="FILE",
        type=Path,
        help="redshift catalogue of the release: zall-pix-*.fits, or zall-tilecumulative-*.fits",
    )
    source.add_argument("--tree", metavar="DIR", type=Path, help="folder of coadds, in any layout")
    parser.add_argument(
        "--root",
        metavar="ROOT",
        help="folder or address (https://, s3://) of the release; default: that of --tree",
    )
    parser.add_argument("--output", "-o", metavar="PLAN", type=Path, required=True, help=".ecsv")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier plan")

    chosen = parser.add_argument_group("selection")
    chosen.add_argument("--survey", nargs="+", default=[], help="main, sv3 ...")
    chosen.add_argument("--program", nargs="+", default=[], help="bright, dark ...")
    chosen.add_argument(
        "--z-range", nargs=2, type=float, metavar=("A", "B"), help="redshift > A and < B"
    )
    chosen.add_argument("--spectype", nargs="+", default=[], help="GALAXY, QSO, STAR")
    chosen.add_argument(
        "--targetids",
        metavar="FILE",
        type=Path,
        help="TARGETIDs: one on each line, or CSV with such a column, as of a SPARCL selection",
    )

    cost = parser.add_argument_group("cost")
    cost.add_argument("--rate", type=float, metavar="N", help="spectra a second that a core scores")
    cost.add_argument("--rate-of", type=Path, metavar="DIR", help="as in an earlier run's folder")
    cost.add_argument("--bandwidth", type=float, metavar="MB/S", help="at which coadds are fetched")
    cost.add_argument(
        "--ask-server",
        action="store_true",
        help="ask the server of ROOT whether each file is there and how large it is; "
        "by default it is asked for nothing",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    _check(options)
    Plan.check_name(options.output, options.overwrite)
    selection = _selection(options)
    rate = options.rate if options.rate_of is None else measured_rate(options.rate_of)
    source: Path = options.tree or options.zcatalog
    root = str(source if options.root is None else options.root)
    if not is_remote(root):
        root = str(Path(root).absolute())
    # A wrong root is an error before a catalogue is read for minutes.
    Plan(root, ())

    if options.tree is not None:
        found = find_tree(source, selection)
    else:
        found = _of_catalogue(source, root, selection, options.ask_server)
    print(f"{source}: {found.selected:,} spectra selected, in {found.coadds:,} coadds")

    # What is missing is written before the plan, which is never there without it.
    missing = [*found.missing, *(f"{one}\tno such TARGETID" for one in selection.not_found)]
    _write_missing(options.output, sorted(missing))
    if not found.petals:
        raise InputError(f"no plan is made of {source}: no coadd is selected and exists")
    plan = Plan(root, tuple(found.petals), _meta(source, options, found, len(missing)))
    plan.write(options.output, options.overwrite)

    print(f"{options.output}: {_sums(plan.petals)}")
    kinds = sorted({_kind(petal) for petal in plan.petals})
    if len(kinds) > 1:
        print(
            f"warning: the plan mixes coadds of {' and '.join(kinds)}, which have the same spectra "
            "in a release of DESI; plan one layout, as --tree redux/iron/tiles/cumulative"
        )
    if rate is not None:
        bandwidth = None if options.bandwidth is None else options.bandwidth * 1e6
        spectra = sum(petal.spectra for petal in plan.petals)
        print("\n".join(Cost(spectra, rate, bandwidth).lines()))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise InputError where options do not go together."""
    if options.root is None and options.zcatalog is not None:
        raise InputError("--zcatalog needs --root: the folder or address of the release")
    remote = options.root is not None and is_remote(options.root)
    if options.ask_server and (options.tree is not None or not remote):
        raise InputError("--ask-server needs --zcatalog and a --root that is an address")
    if options.rate is not None and options.rate_of is not None:
        raise InputError("both --rate and --rate-of are given; give the one or the other")
    if options.bandwidth is not None and options.rate is None and options.rate_of is None:
        raise InputError("--bandwidth needs --rate or --rate-of")
    for name in ("rate", "bandwidth"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} is {value}; expected a number above 0")
    if options.z_range is not None and not options.z_range[0] < options.z_range[1]:
        raise InputError(f"--z-range is {options.z_range}; expected the smaller redshift first")


def _selection(options: argparse.Namespace) -> PlanSelection:
    ids = None if options.targetids is None else read_targetids(options.targetids)
    return PlanSelection(
        surveys=tuple(options.survey),
        programs=tuple(options.program),
        spectypes=tuple(options.spectype),
        z_range=None if options.z_range is None else tuple(options.z_range),
        targetids=ids,
        found=None if ids is None else np.zeros(len(ids), np.bool_),
    )


def _of_catalogue(path: Path, root: str, selection: PlanSelection, ask: bool) -> FoundPetals:
    """Return the selected coadds of a catalogue, as far as they are there."""
    petals, selected = Catalogue(path).petals(selection)
    if not is_remote(root):
        found = find_files(Path(root), petals)
    elif ask:
        found = ask_server(root, petals)
    else:
        found = FoundPetals(petals)
    found.selected, found.coadds = selected, len(petals)
    return found


def _write_missing(output: Path, missing: Sequence[str]) -> None:
    """Write a file of all that is missing, and print the first; remove an earlier one."""
    path = output.with_suffix(".missing.txt")
    if not missing:
        path.unlink(missing_ok=True)
        return
    text = "".join(f"{line}\n" for line in missing)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    print(f"missing, so not planned: {len(missing):,}; all are in {path}:")
    for line in missing[:_SHOWN]:
        print("  " + line.replace("\t", ": "))


def _meta(
    source: Path, options: argparse.Namespace, found: FoundPetals, missing: int
) -> dict[str, Any]:
    """Return what the header of the plan says of how it was made."""
    selection = {
        name: list(value) if isinstance(value, list) else str(value)
        for name in ("survey", "program", "z_range", "spectype", "targetids")
        if (value := getattr(options, name))
    }
    counts = {
        name: {"coadds": len(petals), "spectra": sum(petal.spectra for petal in petals)}
        for name, petals in _by_program(found.petals).items()
    }
    return {
        "source": source.name,
        "selection": selection,
        "selected": found.selected,
        "missing": missing,
        "counts": counts,
    }


def _by_program(petals: Sequence[PlannedPetal]) -> dict[str, list[PlannedPetal]]:
    found: dict[str, list[PlannedPetal]] = defaultdict(list)
    for petal in petals:
        program = f"{petal.survey or 'unknown'}/{petal.program or 'unknown'}"
        found[f"{_kind(petal)} {program}"].append(petal)
    return dict(sorted(found.items()))


def _kind(petal: PlannedPetal) -> str:
    kinds = {"healpix": petal.healpix, "uniqpix": petal.uniqpix, "tiles": petal.tileid}
    return next((kind for kind, number in kinds.items() if number >= 0), "other")


def _sums(petals: Sequence[PlannedPetal]) -> str:
    """Return the counts of coadds, spectra and bytes, in all and by survey and program."""

    def line(name: str, some: Sequence[PlannedPetal]) -> str:
        sizes = [petal.size for petal in some if petal.size >= 0]
        size = f"{sum(sizes) / 1e9:,.4g} GB" if sizes else "of unknown size"
        spectra = sum(petal.spectra for petal in some)
        return f"{name}{len(some):,} coadds, {spectra:,} spectra, {size}"

    parts = [line(f"  {name}: ", some) for name, some in _by_program(petals).items()]
    return "\n".join([line("", petals), *parts])
