"""Report: reproduction.md, the results of the paper beside those that were found."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from outcrop.remote import is_remote

from ..plots.style import number, redshift
from ..templates import render
from .agreement import (
    FOUND_AGAIN,
    SNR_WITHIN,
    WMSE_WITHIN,
    Agreement,
    ComparedNumber,
    ComparedSpectrum,
    Found,
)
from .published import RELEASE
from .recipe_scores import RecipeScores
from .top import LISTED

TEMPLATE = Path(__file__).with_name("reproduction.md.jinja")
REPORT = "reproduction.md"
_VERDICTS = {True: "agrees", False: "**different**"}
_CUTS = {
    "rows": "rows of the plan's petals",
    "targets": "targets, not sky fibers",
    "with_data": "with data and a redshift",
    "good_fiber": "with a good fiber",
    "bgs_any": "of the Bright Galaxy Survey",
    "in_redshift_range": "in the range of redshifts",
    "covered": "with 90 % of their bins good",
    "snr": "S/N of at least 1",
    "unique": "the best spectrum of each target",
    "brighter": "S/N above 5",
}


def write_report(
    output: Path,
    recipes: Mapping[str, RecipeScores],
    agreement: Agreement,
    summary: str,
    root: str,
) -> Path:
    """Write the report into a folder and return its path.

    Parameters
    ----------
    recipes : mapping of str to RecipeScores
        By name; the paper's first.
    summary : str
        Of the scored plan.
    root : str
        Of the plan.
    """
    samples = [scores.sample for scores in recipes.values()]
    counts = [scores.counts() for scores in recipes.values()]

    text = render(
        TEMPLATE,
        names=list(recipes),
        simulated=any(sample.simulated for sample in samples),
        release=samples[0].release or "unknown",
        other_release=samples[0].release != RELEASE,
        damaged=samples[0].damaged,
        agree=agreement.counts(),
        counts=[(label, *(one.get(cut, "–") for one in counts)) for cut, label in _CUTS.items()],
        numbers=[_number_row(one) for one in agreement.numbers],
        outliers=[row for one in agreement.outliers for row in _rank_rows(one, list(recipes))],
        inliers=[_inlier_row(one) for one in agreement.inliers],
        found_again=f"{100 * FOUND_AGAIN:g} %",
        wmse_within=f"{100 * WMSE_WITHIN:g} %",
        snr_within=f"{100 * SNR_WITHIN:g} %",
        listed=LISTED,
        output=output,
        address=root if is_remote(root) else "",
        summary=summary.partition("\nthe most anomalous")[0],
    )

    path = output / REPORT
    path.write_text(text, encoding="utf-8")
    return path


def _number_row(one: ComparedNumber) -> Sequence[str]:
    paper = one.paper
    return (
        paper.label,
        paper.section,
        f"{number(paper.value)} ± {number(paper.tolerance)}",
        *(number(value) for value in one.found),
        _VERDICTS[one.agrees],
    )


def _rank_rows(one: ComparedSpectrum, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield a row for each recipe; the first has what the paper says, and the verdict."""
    paper = one.paper
    for place, (name, found) in enumerate(zip(names, one.found, strict=True)):
        first = (str(paper.targetid), paper.figure, paper.what, str(paper.rank))
        head = first if place == 0 else ("", "", "", "")
        verdict = _VERDICTS[one.agrees] if place == 0 else ""
        if found is None:
            yield (*head, name, "not in the sample", *[""] * 5, verdict)
        else:
            yield (*head, name, *_described(found), verdict)


def _described(found: Found) -> Sequence[str]:
    ranks = (
        f"{number(value)} ({found.rank[score] or '–'})"
        for score, value in (("wmse", found.wmse), ("nof", found.nof), ("p_value", found.p_value))
    )
    return (
        f"{found.spectype} {redshift(found.z)}",
        number(found.snr),
        *ranks,
        "yes" if found.trained_on else "no",
    )


def _inlier_row(one: ComparedSpectrum) -> Sequence[str]:
    paper, found = one.paper, one.found[0]
    stated = (("S/N", paper.snr), ("wmse", paper.wmse))
    said = ", ".join(f"{name} {number(value)}" for name, value in stated if value is not None)
    got = "not in the sample"
    if found is not None:
        what = f"{found.spectype} {redshift(found.z)}"
        got = f"{what}, S/N {number(found.snr)}, wmse {number(found.wmse)}"
    return (str(paper.targetid), paper.figure, paper.what, said, got, _VERDICTS[one.agrees])
