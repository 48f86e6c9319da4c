"""Figures: the pictures of Nicolaou et al. 2025, Section 5, for any model and any petals.

Every picture shows eligible spectra only. What cannot be drawn, a class without spectra for
instance, is named on the page that shows the rest.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from model_store.bundle import Bundle
from scoring.scorer import Scorer

from . import (
    classes,
    histograms,
    latents,
    outliers,
    page,
    responses,
    style,
    track_page,
    tracks,
    traversal,
)
from .sample import Sample
from .sources import read_sample, score_sample


@dataclass(frozen=True)
class Drawing:
    """A picture to be: file name without its ending, heading and caption, and what draws it.

    Without `draw` there is nothing to draw, and the caption says why.
    """

    name: str
    heading: str
    caption: str
    draw: Callable[[], Figure] | None


def figures(
    bundle: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    scores: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Draw what a model makes of petals; `index.html` shows it all.

    Parameters
    ----------
    bundle : path-like
        Folder of the model.
    folder : path-like
        Searched for pairs of coadd and redrock files, and for truth.csv.
    output : path-like
        Folder for the pictures; made if need be.
    scores : path-like, optional
        A score table with reconstructions, written by the same model: its spectra are drawn as
        they were scored, instead of all petals.

    Returns
    -------
    list of Path
        All files written, `index.html` first.

    Raises
    ------
    TrainingError, BundleError, outcrop.errors.InputError
        For anything the user can put right.
    """
    opened = Bundle.open(bundle)
    scorer = Scorer(opened)
    sample = (
        score_sample(scorer, Path(folder))
        if scores is None
        else read_sample(scorer, Path(folder), Path(scores))
    )
    reference, axes = scorer.density.latents, scorer.density.axes
    wave = scorer.model.wave
    target = Path(output)
    target.mkdir(parents=True, exist_ok=True)
    bright = sample.bright
    drawings = [
        *_outliers(wave, sample),
        *_scores(opened, wave, bright),
        *_classes(wave, sample),
        Drawing(
            "latents",
            "The latent space",
            f"All pairs of the {len(axes)} latent dimensions that span the space of NOF, of "
            f"{scorer.model.latents}: galaxies as a density, quasars and stars as points. "
            "The model has never seen the classes (the paper's Fig. 13).",
            lambda: latents.corner(sample, axes),
        ),
        *_tracks(wave, sample),
        Drawing(
            "traversal",
            "The latent space",
            "What the decoder makes of one latent at a time, the others at their median "
            "(the paper's Fig. 20).",
            lambda: traversal.draw_traversal(wave, traversal.traverse(scorer.vae, reference)),
        ),
    ]
    pictures: list[page.Picture] = []
    with mpl.rc_context(style.RC):
        for drawing in tqdm(drawings, desc="draw", unit="picture"):
            path = None
            if drawing.draw is not None:
                path = style.save(drawing.draw(), target / f"{drawing.name}.png")
            pictures.append(page.Picture(path, drawing.heading, drawing.caption))
    table = responses.responses(scorer.vae, reference, wave)
    written = responses.write_table(target, table)
    index = page.write_page(
        target / "index.html",
        f"What the model {scorer.model.name} {scorer.model.version} makes of {len(sample)} spectra",
        _notes(scorer, sample),
        sample.most_anomalous("p_value", outliers.TOP),
        pictures,
        [
            *_medians(bright),
            page.Table(
                "What each latent does",
                responses.EXPLANATION + " (The paper's Table 1.)",
                responses.table_rows(table),
            ),
        ],
    )
    return [index, *(p.path for p in pictures if p.path is not None), *written]


def _notes(scorer: Scorer, sample: Sample) -> list[str]:
    notes = [
        f"Training sample of the model: {scorer.model.sample}. Of the {len(sample)} eligible "
        f"spectra here, {np.count_nonzero(sample.anomaly)} have a p_value below "
        f"{scorer.model.p_level:g} and are flagged as anomalies."
    ]
    if scorer.model.simulated or any(sample.kind):
        notes.append(
            "A simulated sky took part in this, in training or here: nothing on this page tells how "
            "the model performs on DESI. Positions on a simulated sky are simulated too."
        )
    return notes


def _outliers(wave: NDArray[np.float64], sample: Sample) -> Iterator[Drawing]:
    top = sample.most_anomalous("p_value", outliers.TOP)
    yield _gallery(
        "top_outliers", wave, top, "the smallest p_value", "Every ranking of Outcrop is this one."
    )
    for row in range(len(top)):
        yield Drawing(
            f"top_outliers_{row + 1:02d}",
            "The smallest p_values, one by one",
            f"{row + 1}: TARGETID {top.targetid[row]}.",
            lambda row=row: outliers.portrait(wave, top, row, row + 1),
        )


def _gallery(name: str, wave: NDArray[np.float64], top: Sample, what: str, more: str) -> Drawing:
    title = f"The {len(top)} spectra with {what}"
    return Drawing(
        name,
        "The most anomalous spectra",
        f"{title}. {more} Arrows point to flux beyond the panel, the farthest with its value.",
        lambda: outliers.gallery(wave, top, title),
    )


def _scores(bundle: Bundle, wave: NDArray[np.float64], bright: Sample) -> Iterator[Drawing]:
    if len(bright) == 0:
        yield Drawing("scores", "The scores", "No spectrum has an S/N of at least 5.", None)
        return
    for score, gallery, histogram in (("wmse", 10, 9), ("nof", 12, 11)):
        label = histograms.SCORE_LABELS[score]
        yield _gallery(
            f"top_{score}",
            wave,
            bright.most_anomalous(score, outliers.TOP),
            f"the most anomalous {label.partition(' (')[0]}",
            f"As the paper's Fig. {gallery}: S/N of at least 5, not conditioned on S/N.",
        )
        yield Drawing(
            f"histogram_{score}",
            "The scores",
            f"{label[0].upper()}{label[1:]} of the spectra with S/N of at least 5 "
            f"(the paper's Fig. {histogram}). Thresholds: as served, from spectra that were not "
            "trained on; the training set's own; and the paper's.",
            lambda score=score: histograms.histogram(bright, bundle.manifest, score),
        )
    yield Drawing(
        "top100",
        "The scores",
        "Either score against S/N, with the 100 most anomalous by it. Raw wmse prefers bright spectra "
        "and raw NOF faint ones, which is why the p_value is conditioned on S/N.",
        lambda: histograms.top_hundred(bright),
    )


def _classes(wave: NDArray[np.float64], sample: Sample) -> Iterator[Drawing]:
    for name, (title, _) in classes.CLASSES.items():
        rows = classes.members(sample, wave, name)
        chosen = sample.rows(rows)
        yield Drawing(
            f"reconstructions_{name}",
            "Reconstructions",
            f"Typical {title}, and the regions of their main lines (the paper's Figs 2 to 8)."
            if len(rows)
            else f"There are no {title} that are not flagged as anomalies.",
            (lambda chosen=chosen, name=name: classes.reconstructions(wave, chosen, name))
            if len(rows)
            else None,
        )


def _tracks(wave: NDArray[np.float64], sample: Sample) -> Iterator[Drawing]:
    for name, course in tracks.COURSES.items():
        chosen = tracks.followed(sample, course)
        ends = tracks.course_ends(chosen, wave, course)
        yield Drawing(
            f"track_{name}",
            "The latent space",
            f"A track through the latents of ordinary {name}, from the median of the "
            f"{course.ends[0]} to that of the {course.ends[1]} twentieth. Grey: the spectrum "
            "nearest to each step. Coloured: the stack of its neighbours "
            "(the paper's Figs 14 to 19)."
            if ends
            else f"No track of {name}: {len(chosen)} inliers with S/N of at least 5, "
            f"and {tracks.MIN_MEMBERS} are needed.",
            (
                lambda chosen=chosen, course=course, ends=ends: track_page.draw_track(
                    wave, chosen, course, tracks.track(chosen.latent, *ends)
                )
            )
            if ends
            else None,
        )


def _medians(bright: Sample) -> list[page.Table]:
    if len(bright) == 0:
        return []
    rows = [["most anomalous by", "", "median wmse", "median NOF", "median S/N"]]
    for by, values in histograms.top_medians(bright).items():
        paper = histograms.PAPER_TOP[by]
        names = ("wmse", "nof", "snr")
        rows += [
            [histograms.SHORT[by], "here", *(style.number(values[name]) for name in names)],
            ["", "in the paper", *(style.number(paper[n]) if n in paper else "" for n in names)],
        ]
    caption = f"Of the {len(bright)} spectra with S/N of at least 5."
    return [page.Table("Medians of the most anomalous 100", caption, rows)]
