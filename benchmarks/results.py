"""Results: what a run of the benchmarks found, kept as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

Cell = str | float | int


@dataclass(frozen=True)
class Target:
    """A ratio or a time that is wanted, and what was measured.

    Attributes
    ----------
    what : str
    value : float
    wanted : float
    unit : str
        Stands behind both numbers.
    at_most : bool
        Whether the value may not be larger than what is wanted; otherwise not smaller.
    """

    what: str
    value: float
    wanted: float
    unit: str
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.wanted if self.at_most else self.value >= self.wanted


@dataclass(frozen=True)
class Table:
    """Measured numbers.

    Attributes
    ----------
    title : str
    columns : sequence of str
    rows : sequence of sequences
        One cell for each column.
    note : str
        How to read it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass
class Results:
    """All of a run.

    Attributes
    ----------
    machine : dict
        Where and with what it was measured.
    """

    machine: dict[str, Cell]
    targets: list[Target] = field(default_factory=list[Target])
    tables: list[Table] = field(default_factory=list[Table])

    def add(self, *parts: Target | Table) -> None:
        """Append what a stage found."""
        for part in parts:
            if isinstance(part, Target):
                self.targets.append(part)
            else:
                self.tables.append(part)

    def write(self, path: Path) -> None:
        """Write JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @staticmethod
    def read(path: Path) -> "Results":
        """Read what `write` wrote."""
        content = json.loads(path.read_text())
        return Results(
            content["machine"],
            [Target(**target) for target in content["targets"]],
            [Table(**table) for table in content["tables"]],
        )
