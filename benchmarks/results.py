"""Results: the numbers of one run of the benchmarks, kept as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

Cell = str | float | int


@dataclass(frozen=True)
class Target:
    """A measured ratio or time, and its limit.

    Attributes
    ----------
    name : str
    value : float
        As measured.
    limit : float
    unit : str
        Of value and limit.
    at_most : bool
        Whether the limit is the largest allowed value; otherwise it is the smallest.
    """

    name: str
    value: float
    limit: float
    unit: str
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class ResultTable:
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
    """All targets and tables of a run.

    Attributes
    ----------
    machine : dict
        Machine, date and package versions of the run.
    """

    machine: dict[str, Cell]
    targets: list[Target] = field(default_factory=list[Target])
    tables: list[ResultTable] = field(default_factory=list[ResultTable])

    def add(self, *parts: Target | ResultTable) -> None:
        """Append the targets and tables of a stage."""
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
        """Read a file that `write` wrote."""
        content = json.loads(path.read_text())
        return Results(
            content["machine"],
            [Target(**target) for target in content["targets"]],
            [ResultTable(**table) for table in content["tables"]],
        )
