"""Report: results as Markdown, ratios first.

``python -m benchmarks.report benchmarks/results/latest.json > docs/benchmarks.md`` writes the
documentation.
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

measures everything below in one run, prints it and writes `benchmarks/results/latest.json`. A run
takes about a quarter of an hour and uses two cores; nothing else should run at the same time.
`uv run python -m benchmarks --quick` takes a minute or two and checks that everything runs; its
numbers mean nothing. Stages can be run alone: `uv run python -m benchmarks inprocess`.

The spectra are from a simulated sky, the model has the default recipe's networks, and its reference
sample is simulated latents. Functions that are compared run in turn within one run; numbers are
medians. Times depend on the machine, ratios less so.
"""


def documentation(results: Results) -> str:
    """Return docs/benchmarks.md."""
    return f"{_INTRODUCTION}\n{report(results)}"


def report(results: Results) -> str:
    """Return targets and tables."""
    targets = [
        (
            target.name,
            f"{target.value:.3g} {target.unit}",
            f"at {'most' if target.at_most else 'least'} {target.limit:g} {target.unit}",
            "yes" if target.met else "**no**",
        )
        for target in results.targets
    ]

    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    parts = [
        "## Targets",
        _table(("", "measured", "target", "met"), targets),
        f"Machine: {machine}.",
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


def _print_documentation(path: Path) -> None:
    print(documentation(Results.read(path)), end="")  # noqa: T201 (this is the program's output)


if __name__ == "__main__":
    _print_documentation(Path(sys.argv[1]))
