"""Page: results as Markdown, ratios first.

``python -m benchmarks.report benchmarks/results/latest.json > docs/benchmarks.md`` writes the page
of the documentation.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from .results import Cell, Results

_INTRODUCTION = """# Benchmarks

<!-- Written by `python -m benchmarks.report benchmarks/results/latest.json`. -->

```sh
make bench
```

measures everything below anew in one run, prints it and writes `benchmarks/results/latest.json`. It
takes about a quarter of an hour on two cores, which it keeps to; nothing else should run
meanwhile. `uv run python -m benchmarks --quick` tries the machinery in a minute or two with sizes
too small to mean anything. Names of stages, for instance `uv run python -m benchmarks inprocess`,
run those alone.

Spectra come from a simulated sky, the model has the default recipe's networks, and its reference
sample is simulated latents. Functions that are compared take turns in the same run; numbers are
medians. Times depend on the machine, ratios less so.
"""


def page(results: Results) -> str:
    """Return the page of the documentation."""
    return f"{_INTRODUCTION}\n{report(results)}"


def report(results: Results) -> str:
    """Return targets and tables."""
    targets = [
        (
            target.what,
            f"{target.value:.3g} {target.unit}",
            f"at {'most' if target.at_most else 'least'} {target.wanted:g} {target.unit}",
            "yes" if target.holds else "**no**",
        )
        for target in results.targets
    ]
    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    parts = [
        "## Targets",
        _table(("", "measured", "wanted", "holds"), targets),
        f"Measured with: {machine}.",
    ]
    for table in results.tables:
        parts += [f"## {table.title}", _table(table.columns, table.rows)]
        parts += [table.note] * bool(table.note)
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    lines = [columns, ["---" if not column else "---:" for column in columns], *rows]
    return "\n".join("| " + " | ".join(map(_text, line)) + " |" for line in lines)


def _text(cell: Cell) -> str:
    return (
        f"{cell:,}" if isinstance(cell, int) else f"{cell:g}" if isinstance(cell, float) else cell
    )


def _print_page(path: Path) -> None:
    print(page(Results.read(path)), end="")  # noqa: T201 (this is the program's output)


if __name__ == "__main__":
    _print_page(Path(sys.argv[1]))
