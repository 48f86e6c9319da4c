"""Summary: the benchmark's numbers over all pairs of skies, as one table.

Each cell is the mean over the seeds and half the range between them. What is not measured yet is
left out of the mean, so that the summary can be written at any time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypedDict

from .comparison import ALL, MACRO
from .results import LabelledEvaluation
from .tables import name_of, ordered

CLASSES = ("GALAXY", "STAR", "QSO")
SNR_RANGES = ("S/N 1-5", *(f"S/N quartile {number}" for number in (1, 2, 3, 4)))
"""In the order of `Evaluation.calibration`."""
NEVER_FLAGGED = ("EXTRAPOLATED", "OUT_OF_POPULATION")

Numbers = Mapping[str, float | None]
"""Of one evaluation, by quantity; None where unknown."""


@dataclass(frozen=True)
class Setting:
    """What differs between the columns of the summary.

    Attributes
    ----------
    nuisances : float
        Their strength on the training and the test sky.
    contamination : float
        Share of injected anomalies among the training sky's targets.
    """

    nuisances: float
    contamination: float

    @property
    def name(self) -> str:
        """In words."""
        nuisances = f"nuisances {self.nuisances:g}" if self.nuisances else "no nuisances"
        sample = f"{100 * self.contamination:g} % anomalies" if self.contamination else "clean"
        return f"{nuisances}, {sample}"


Results = Mapping[Setting, Sequence[LabelledEvaluation]]
"""Of each setting, one evaluation for each seed that is done."""


def numbers(result: LabelledEvaluation) -> Numbers:
    """Return what is asked of a model on a sky, by quantity."""
    classes, recall = result.flagged_by_spectype, result.recall_at_1pct
    found: dict[str, float | None] = {
        "macro recall at 1 %": recall["p_value"][MACRO],
        "the same, pooled p-value": recall["p_value_pooled"][MACRO],
        "injected flagged by anomaly": result.injected_flagged[ALL].share,
    }

    # A class that does not occur has neither a share nor an interval.
    flagged = {name: classes[name] for name in CLASSES if name in classes}
    for name, row in (*flagged.items(), *zip(SNR_RANGES, result.calibration, strict=True)):
        found[f"inliers flagged, {name} (%)"] = _percent(row.share)
        found[f"{name} within its 99 % interval"] = row.within

    petals, left_out = result.flagged_by_petal, result.counts.left_out
    found["inliers flagged by petal, 90th percentile (%)"] = _percent(petals.p90)
    found["inliers flagged by petal, maximum (%)"] = _percent(petals.maximum)
    for bit in NEVER_FLAGGED:
        found[f"{bit} rows"] = left_out[bit].n
        found[f"{bit} rows flagged"] = left_out[bit].flagged

    night = result.false_discoveries
    return found | {
        "inliers with TOO_GOOD (%)": _percent(result.too_good.share),
        f"false discovery proportion at q = {100 * night.q_level:g} %": night.proportion,
        "injected among the discoveries": night.recall,
        "continuum of extreme_halpha, median χ²": result.extreme_halpha_continuum.median,
        "wmse of inliers, 99th percentile": result.clean.wmse_p99,
    }


def recalls(result: LabelledEvaluation) -> Numbers:
    """Return the macro recall of every score, and the p-value's recall of every kind."""
    scores = result.recall_at_1pct
    found = {f"macro recall, {name_of(one)}": scores[one][MACRO] for one in ordered(list(scores))}
    kinds = {f"recall, {kind}": scores["p_value"][kind] for kind in result.n_injected}
    return found | kinds


class Row(TypedDict):
    """A row of the JSON file; its values are those of the seeds that are done."""

    nuisances: float
    contamination: float
    quantity: str
    values: list[float | None]


def rows(results: Results) -> list[Row]:
    """Return the summary for the JSON file: a row for each setting and quantity."""
    return [
        Row(
            nuisances=setting.nuisances,
            contamination=setting.contamination,
            quantity=quantity,
            values=values,
        )
        for of in (numbers, recalls)
        for setting, evaluations in results.items()
        for quantity, values in _by_quantity(evaluations, of).items()
    ]


def markdown(results: Results, seeds: Sequence[int]) -> str:
    """Return the summary as Markdown: settings are columns, quantities rows."""
    done = [f"{len(evaluations)} ({setting.name})" for setting, evaluations in results.items()]
    return "\n\n".join(
        [
            "# Benchmark",
            f"Pairs of simulated skies, training seeds {', '.join(map(str, seeds))}: mean over the "
            "pairs, and half the range between them. **These numbers are not DESI performance.**",
            f"Pairs done: {', '.join(done)}.",
            _table(results, numbers),
            "Recall at 1 % false positives.",
            _table(results, recalls),
        ]
    )


def mean_and_half_range(values: Iterable[float | None]) -> str:
    """Return the mean of the known values and half their range, as text.

    Examples
    --------
    >>> from training.evaluation.summary import mean_and_half_range
    >>> mean_and_half_range([0.9, None, 0.92])
    '0.910 ± 0.010'
    >>> mean_and_half_range([])
    '–'
    """
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    half_range = (max(known) - min(known)) / 2
    return f"{fmean(known):.3f}" + (f" ± {half_range:.3f}" if len(known) > 1 else "")


def _table(results: Results, of: Callable[[LabelledEvaluation], Numbers]) -> str:
    columns = {setting: _by_quantity(found, of) for setting, found in results.items()}
    quantities = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = [["", *(setting.name for setting in columns)], ["---"] * (len(columns) + 1)]
    lines += [
        [name, *(mean_and_half_range(column.get(name, [])) for column in columns.values())]
        for name in quantities
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by_quantity(
    evaluations: Sequence[LabelledEvaluation], of: Callable[[LabelledEvaluation], Numbers]
) -> dict[str, list[float | None]]:
    each = [of(one) for one in evaluations]
    names = dict.fromkeys(name for found in each for name in found)
    return {name: [found.get(name) for found in each] for name in names}


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
