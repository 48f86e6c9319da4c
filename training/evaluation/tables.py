"""Evaluation table: what `evaluate` measured, as text for people.

Scores are rows and injected kinds are columns, then what the model's own p-value achieves by kind
and by S/N, then what can be told without knowing the truth, and a summary of a few lines.
"""

import re
from collections.abc import Sequence
from typing import Any

from .comparison import ALL, MACRO, RECALL, STRENGTH

NAMES = {
    "p_value": "p-value, as served",
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
"""Scores in the field's words, in the order in which they are told."""
CALIBRATED = "_calibrated"

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
    """Return scores in the order in which they are told, each followed by its calibrated form."""
    base = [name for name in NAMES if name in scores]
    base += [n for n in scores if n not in base and not n.endswith(CALIBRATED)]
    return [n for one in base for n in (one, one + CALIBRATED) if n in scores]


def table(result: dict[str, Any]) -> str:
    """Return the whole report of `evaluate` as text."""
    parts = [f"{result['model']['name']} {result['model']['version']} on {result['folder']}"]
    parts += _recall(result) if result["truth"] else []
    parts += _without_truth(result)
    parts += _summary(result)
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


def _between(bounds: Sequence[float | None] | None, digits: int = 2) -> str:
    if bounds is None or None in bounds:
        return "–"
    return f"{_share(bounds[0], digits)}-{_share(bounds[1], digits)}"


def _range(row: dict[str, Any]) -> str:
    if row["snr_max"] is None:
        return f"S/N > {row['snr_min']:.3g}"
    return f"S/N {row['snr_min']:.3g}-{row['snr_max']:.3g}"


def _recall(result: dict[str, Any]) -> list[str]:
    kinds = list(result["n_injected"])
    control = result["control"]
    columns = [MACRO, *kinds, ALL]
    scores = ordered(list(result[RECALL]))
    rows = [
        [name_of(score)]
        + [_share(result[RECALL][score].get(kind)) for kind in columns]
        + [_share(control["flagged_share"][score])]
        for score in scores
    ]
    counts = [str(result["n_injected"][kind]) for kind in kinds]
    rows.append(["injected, eligible", "", *counts, str(sum(map(int, counts))), str(control["n"])])
    left_out = [str(result["injected"][kind]["ineligible"]) for kind in (*kinds, control["kind"])]
    rows.append(["injected, not eligible", "", *left_out[:-1], "", left_out[-1]])
    ours = "p_value"
    by_kind = [
        [kind.replace("_", " "), str(result["n_injected"].get(kind, ""))]
        + [_share(result[RECALL][ours][kind]), _between(result[f"{RECALL}_interval"][ours][kind])]
        + [
            _share(result[metric][ours][kind], digits)
            for metric, digits in (
                ("auroc", 3),
                ("auprc_at_1pct_prevalence", 2),
                ("precision_at_100", 2),
            )
        ]
        + [_half(result, ours, kind)]
        for kind in (*kinds, MACRO, ALL)
    ]
    by_snr = [
        [kind.replace("_", " ")]
        + [
            f"{_share(part[RECALL][ours].get(kind))}"
            + (f" ({part['n_injected'][kind]})" if kind in part["n_injected"] else "")
            for part in result["by_snr"]
        ]
        for kind in (*kinds, MACRO)
    ]
    return [
        "Recall at 1 % false positives, by injected kind. 'by S/N' is calibrated as the p-value's\n"
        f"own parts are. {control['kind']} is a control: the share flagged, which is no recall.\n\n"
        + aligned(["score", *columns, control["kind"]], rows),
        "The p-value by kind, with 95 % intervals; average precision at 1 % prevalence; the\n"
        "injected strength at which half is found, < and > where it lies beyond those injected.\n\n"
        + aligned(_BY_KIND, by_kind),
        "Recall of the p-value at 1 % false positives, by S/N (injected).\n\n"
        + aligned(["kind", *(_range(part) for part in result["by_snr"])], by_snr),
    ]


def _half(result: dict[str, Any], score: str, kind: str) -> str:
    if kind not in result[STRENGTH][score]:
        return "–"
    value = result[STRENGTH][score][kind]
    if value:
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    recall = result[RECALL][score][kind]
    return "–" if recall is None else ("< weakest" if recall > 0.5 else "> strongest")


def _without_truth(result: dict[str, Any]) -> list[str]:
    whose = "inlier" if result["truth"] else "eligible"
    calibration = [
        [
            _range(row),
            str(row["n"]),
            str(row["flagged"]),
            _share(row["share"], 4),
            f"{row['flagged_min']}-{row['flagged_max']}",
            {True: "yes", False: "NO", None: "–"}[row["within"]],
        ]
        for row in result["calibration"]
    ]
    classes = [
        [name or "unclassified"]
        + [str(share["n"]), _share(share["share"], 4), _between(share["interval"], 4)]
        + [_share(result["wmse_by_spectype"][name][key]) for key in ("mean", "median")]
        + [_share(result["wmse_by_spectype"][name]["paper_mean"])]
        for name, share in result["flagged_by_spectype"].items()
    ]
    level = f"{100 * result['p_level']:g} %"
    return [
        f"Flagged at p < {level} among {whose} spectra, and what 99 % of faultless calibrations\n"
        "of this size would flag.\n\n"
        + aligned(["range", "n", "flagged", "share", "expected", "within"], calibration),
        f"By redrock's class, {whose} spectra: flagged share, and wmse at S/N > 5.\n\n"
        + aligned(
            ["class", "n", "flagged", "95 %", "mean_wmse", "median_wmse", "paper's_mean"], classes
        ),
    ]


def _summary(result: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if result["truth"]:
        clean, recall = result["clean"], result[RECALL]
        lines.append(
            f"inliers with S/N > 5: wmse median {clean['wmse_median']:.3f}, "
            f"99th percentile {clean['wmse_p99']:.2f} ({clean['n']} spectra)"
        )
        lines.append(
            f"p-value: macro recall {_share(recall['p_value'][MACRO], 3)} "
            f"({_between(result[f'{RECALL}_interval']['p_value'][MACRO], 3)})"
        )
        if missed := result["missed_ratio"]:
            lines.append(
                f"it misses {_share(missed['ratio'])} times ({_between(missed['interval'])}) "
                f"what {name_of(missed['score'])} misses"
            )
        lines += [
            f"{row['kind'].replace('_', ' ')}: {name_of(row['score'])} wins, "
            f"{row['recall']:.2f} against {row['recall_of_p_value']:.2f} (by chance: "
            f"{row['chance']:.2g})"
            for row in result["simpler_and_better"]
        ] or ["no simpler score finds more of any kind"]
    cost = result["reconstruction_probability"]
    lines.append(
        f"reconstruction probability, {cost['samples']} draws: {cost['seconds_per_1000']:.2f} s "
        f"per 1000 spectra, wmse {cost['seconds_per_1000_wmse']:.3f} s"
    )
    lines += result["notes"]
    return ["Summary\n" + "\n".join(f"- {line}" for line in lines)]
