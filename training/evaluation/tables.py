"""Tables: the results of `evaluate` as text for people.

Scores are rows and injected kinds are columns; then the model's own p-value by kind and by S/N;
then what needs no truth; then a summary of a few lines.
"""

import re
from collections.abc import Sequence

from .comparison import ALL, MACRO
from .results import (
    ContinuumError,
    DetectionMetrics,
    Evaluation,
    FalseDiscoveries,
    FlaggedInRange,
    Interval,
    LabelledEvaluation,
    SnrMetrics,
)

NAMES = {
    "p_value": "p-value, as served",
    "p_value_pooled": "pooled p-value",
    "wmse": "weighted MSE",
    "nof": "negative outlier factor",
    "expected_wmse": "expected weighted MSE",
    "reconstruction_probability": "reconstruction probability",
    "pca10": "PCA-10 χ²",
    "pca50": "PCA-50 χ²",
    "isolation_forest": "isolation forest, PCA-10",
    "lof": "local outlier factor, PCA-10",
    "paper_wmse": "paper's VAE: weighted MSE",
    "paper_nof": "paper's VAE: NOF",
    "largest_bin": "largest single-bin residual",
    "join_step": "step where cameras join",
}
"""Scores in the field's words, in the order of the tables' rows."""
CALIBRATED = "_calibrated"
"""Ends the names of scores that are calibrated as the p-value's own parts are."""

_OURS = "p_value"

_BY_KIND = (
    "kind",
    "n",
    "recall",
    "interval",
    "AUROC",
    "average_precision",
    "precision_at 100",
    "strength_at half",
)

Row = Sequence[str]


def name_of(score: str) -> str:
    """Return a score's name in the field's words."""
    base = score.removesuffix(CALIBRATED)
    # A bundle may hold fewer eigenspectra than 10.
    own = re.sub(r"^pca(\d+)$", r"PCA-\1 χ²", base)
    return NAMES.get(base, own) + (", by S/N" if score.endswith(CALIBRATED) else "")


def ordered(scores: Sequence[str]) -> list[str]:
    """Return scores in the order of `NAMES`, each followed by its calibrated form."""
    base = [name for name in NAMES if name in scores]
    base += [n for n in scores if n not in base and not n.endswith(CALIBRATED)]
    return [n for one in base for n in (one, one + CALIBRATED) if n in scores]


def table(result: Evaluation) -> str:
    """Return the whole report of `evaluate` as text."""
    parts = [f"{result.model.name} {result.model.version} on {result.folder}"]
    if isinstance(result, LabelledEvaluation):
        parts += [_by_score(result), _by_kind(result), _by_snr(result)]
    parts += [_flagged(result), _by_class(result), _left_out(result), _summary(result)]
    return "\n\n".join(parts) + "\n"


def aligned(head: Row, rows: Sequence[Row]) -> str:
    """Return rows of cells as text, the first column to the left, the others to the right.

    Underscores in the head break its lines, so that long names do not widen a column.

    Examples
    --------
    >>> from training.evaluation.tables import aligned
    >>> print(aligned(["score", "bad_sky"], [["wmse", "0.5"]]))
           bad
    score  sky
    ----------
    wmse   0.5
    """
    lines = [cell.split("_") for cell in head]
    height = max(map(len, lines))
    top = [
        [([""] * (height - len(cell)) + cell)[level] for cell in lines] for level in range(height)
    ]
    grid = [*top, *map(list, rows)]

    widths = [max(len(line[i]) for line in grid) for i in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in grid
    ]
    text.insert(height, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(text)


def _share(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _between(bounds: Interval, digits: int = 2) -> str:
    if None in bounds:
        return "–"
    return f"{_share(bounds[0], digits)}-{_share(bounds[1], digits)}"


def _range(row: FlaggedInRange | SnrMetrics) -> str:
    if row.snr_max is None:
        return f"S/N > {row.snr_min:.3g}"
    return f"S/N {row.snr_min:.3g}-{row.snr_max:.3g}"


def _spaced(kind: str) -> str:
    return kind.replace("_", " ")


def _by_score(result: LabelledEvaluation) -> str:
    kinds, control = list(result.n_injected), result.control
    columns = [MACRO, *kinds, ALL]
    recall = result.recall_at_1pct
    rows = [
        [name_of(score)]
        + [_share(recall[score][kind]) for kind in columns]
        + [_share(control.flagged_share[score])]
        for score in ordered(list(recall))
    ]

    counts = list(result.n_injected.values())
    numbers = [str(number) for number in (*counts, sum(counts), control.n)]
    rows.append(["injected, eligible", "", *numbers])
    left_out = [str(result.injected[kind].ineligible) for kind in (*kinds, control.kind)]
    rows.append(["injected, not eligible", "", *left_out[:-1], "", left_out[-1]])

    return (
        "Recall at 1 % false positives, by injected kind. 'by S/N' is calibrated as the p-value's\n"
        f"own parts are. {control.kind} is a control: the share flagged, which is no recall.\n\n"
        + aligned(["score", *columns, control.kind], rows)
    )


def _by_kind(result: LabelledEvaluation) -> str:
    rows = [
        [
            _spaced(kind),
            str(result.n_injected.get(kind, "")),
            _share(result.recall_at_1pct[_OURS][kind]),
            _between(result.recall_at_1pct_interval[_OURS][kind]),
            _share(result.auroc[_OURS][kind], 3),
            _share(result.auprc_at_1pct_prevalence[_OURS][kind]),
            _share(result.precision_at_100[_OURS][kind]),
            _half(result, kind),
        ]
        for kind in (*result.n_injected, MACRO, ALL)
    ]
    return (
        "The p-value by kind, with 95 % intervals; average precision at 1 % prevalence; the\n"
        "injected strength at which half is found, < and > where it lies beyond those injected.\n\n"
        + aligned(_BY_KIND, rows)
    )


def _half(result: DetectionMetrics, kind: str) -> str:
    strengths = result.strength_at_half_recall[_OURS]
    if kind not in strengths:
        return "–"
    if value := strengths[kind]:
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    recall = result.recall_at_1pct[_OURS][kind]
    return "–" if recall is None else ("< weakest" if recall > 0.5 else "> strongest")


def _by_snr(result: LabelledEvaluation) -> str:
    def cell(part: SnrMetrics, kind: str) -> str:
        recall = _share(part.recall_at_1pct[_OURS][kind])
        return recall if kind == MACRO else f"{recall} ({part.n_injected[kind]})"

    rows = [
        [_spaced(kind), *(cell(part, kind) for part in result.by_snr)]
        for kind in (*result.n_injected, MACRO)
    ]
    head = ["kind", *(_range(part) for part in result.by_snr)]
    return "Recall of the p-value at 1 % false positives, by S/N (injected).\n\n" + aligned(
        head, rows
    )


def _flagged(result: Evaluation) -> str:
    by_class = result.flagged_by_spectype
    named = [(_range(row), row) for row in result.calibration]
    named += [(name or "unclassified", row) for name, row in by_class.items()]
    rows = [
        [
            name,
            str(row.n),
            str(row.flagged),
            _share(row.share, 4),
            f"{row.flagged_min}-{row.flagged_max}",
            {True: "yes", False: "NO", None: "–"}[row.within],
            "–" if row.n_calibration is None else str(row.n_calibration),
        ]
        for name, row in named
    ]
    return (
        f"Flagged at p < {100 * result.p_level:g} % among {_whose(result)}, by S/N and by class, "
        "and the number that\n99 % of faultless calibrations of this size would flag.\n\n"
        + aligned(["", "n", "flagged", "share", "expected", "within", "calibration"], rows)
    )


def _by_class(result: Evaluation) -> str:
    rows = [
        [
            name or "unclassified",
            str(error.n),
            _share(error.mean),
            _share(error.median),
            _share(error.paper_mean),
        ]
        for name, error in result.wmse_by_spectype.items()
    ]
    head = ["class", "n", "mean", "median", "paper's_mean"]
    return f"Weighted MSE by redrock's class, {_whose(result)} with S/N > 5.\n\n" + aligned(
        head, rows
    )


def _left_out(result: Evaluation) -> str:
    rows = [
        [name, str(row.n), str(row.flagged)]
        for name, row in result.counts.left_out.items()
        if row.n
    ]
    return (
        f"Of {result.counts.rows} spectra {result.counts.eligible} are eligible. The others by "
        "status bit, some by several.\n\n" + aligned(["bit", "n", "flagged"], rows)
    )


def _whose(result: Evaluation) -> str:
    return "inliers" if result.truth else "eligible spectra"


def _summary(result: Evaluation) -> str:
    lines = _detection_summary(result) if isinstance(result, LabelledEvaluation) else []
    petals, too_good = result.flagged_by_petal, result.too_good
    lines += [
        f"flagged {_whose(result)}, petal by petal: median {_percent(petals.median)}, 90th "
        f"percentile {_percent(petals.p90)}, maximum {_percent(petals.maximum)} "
        f"({petals.petals} petals)",
        f"{_whose(result)} that fit better than their noise allows: {too_good.flagged} of "
        f"{too_good.n}",
    ]
    cost = result.reconstruction_probability
    lines.append(
        f"reconstruction probability, {cost.samples} draws: {cost.seconds_per_1000:.2f} s "
        f"per 1000 spectra, wmse {cost.seconds_per_1000_wmse:.3f} s"
    )
    lines += result.notes
    return "Summary\n" + "\n".join(f"- {line}" for line in lines)


def _detection_summary(result: LabelledEvaluation) -> list[str]:
    clean, flagged = result.clean, result.injected_flagged[ALL]
    lines = [
        f"inliers with S/N > 5: wmse median {clean.wmse_median:.3f}, "
        f"99th percentile {clean.wmse_p99:.2f} ({clean.n} spectra)",
        *_continuum(result.extreme_halpha_continuum),
        f"p-value: macro recall {_share(result.recall_at_1pct[_OURS][MACRO], 3)} "
        f"({_between(result.recall_at_1pct_interval[_OURS][MACRO], 3)})",
        f"injected spectra flagged by anomaly: {_share(flagged.share, 3)} "
        f"({_between(flagged.interval, 3)}), {flagged.flagged} of {flagged.n}",
        _discovered(result.false_discoveries),
    ]

    if missed := result.missed_ratio:
        lines.append(
            f"the p-value misses {_share(missed.ratio)} times ({_between(missed.interval)}) "
            f"what {name_of(missed.score)} misses"
        )
    better = [
        f"{_spaced(row.kind)}: {name_of(row.score)} finds more, {row.recall:.2f} against "
        f"{row.recall_of_p_value:.2f} (by chance: {row.chance:.2g})"
        for row in result.simpler_and_better
    ]
    return lines + (better or ["no baseline finds more of any kind"])


def _discovered(night: FalseDiscoveries) -> str:
    return (
        f"{night.discoveries:.0f} discoveries at q <= {night.q_level:g} in a night with "
        f"{night.injected:.0f} injected: false discovery proportion {_share(night.proportion, 3)} "
        f"± {_share(night.standard_error, 3)} (mean of {night.nights} nights), "
        f"recall {_share(night.recall)}"
    )


def _continuum(error: ContinuumError) -> list[str]:
    if error.n == 0:
        return []
    return [
        "extreme halpha: reduced χ² of the robust reconstruction beside the line "
        f"median {_share(error.median, 3)}, 90th percentile {_share(error.p90)} "
        f"({error.n} spectra)"
    ]
