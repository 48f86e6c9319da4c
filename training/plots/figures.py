"""Figures: the figures of Nicolaou et al. 2025, Section 5, for any model and any petals.

Every figure shows eligible spectra only. Where a figure cannot be drawn, for instance of a class
without spectra, the page says why.
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
from .sample import PlotSample
from .sources import read_score_table, score_petals


@dataclass(frozen=True)
class Drawing:
    """A figure to draw: file name without suffix, heading, caption and the drawing function.

    If `draw` is None there is nothing to draw, and the caption says why.
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
    """Draw the figures of a model and the petals it scores; `index.html` shows them all.

    Parameters
    ----------
    bundle : path-like
        Folder of the model.
    folder : path-like
        Searched for pairs of coadd and redrock files, and for truth.csv.
    output : path-like
        Folder for the figures; created if it does not exist.
    scores : path-like, optional
        A score table with reconstructions, written by the same model. Its spectra are drawn
        instead of those of all petals, and are not scored again.

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
        score_petals(
            scorer,
            Path(folder),
            corrected=opened.manifest.configuration["sample"]["noise_correction"],
        )
        if scores is None
        else read_score_table(scorer, Path(folder), Path(scores))
    )
    return draw_figures(opened, scorer, sample, output)


def draw_figures(
    bundle: Bundle, scorer: Scorer, sample: PlotSample, output: str | os.PathLike[str]
) -> list[Path]:
    """Draw the figures of a sample that was scored; otherwise as `figures`.

    Parameters
    ----------
    bundle : Bundle
    scorer : Scorer
        Of the same bundle.
    sample : PlotSample
    output : path-like
        Folder for the figures; created if it does not exist.
    """
    reference, axes = scorer.density.latents, scorer.density.axes
    target = Path(output)
    target.mkdir(parents=True, exist_ok=True)
    pictures = _draw(_drawings(bundle, scorer, sample, reference, axes), target)

    table = responses.responses(scorer.vae, reference, scorer.model.wave)
    written = responses.write_table(target, table)
    index = page.write_page(
        target / "index.html",
        f"Model {scorer.model.name} {scorer.model.version} on {len(sample)} spectra",
        _notes(scorer, sample),
        sample.most_anomalous("p_value", outliers.TOP),
        pictures,
        [
            *_medians(sample.bright),
            page.PageTable(
                "Response of spectral features to the latents",
                responses.EXPLANATION + " (The paper's Table 1.)",
                responses.table_rows(table),
            ),
        ],
    )
    return [index, *(p.path for p in pictures if p.path is not None), *written]


def _drawings(
    bundle: Bundle,
    scorer: Scorer,
    sample: PlotSample,
    reference: NDArray[np.float32],
    axes: NDArray[np.int64],
) -> list[Drawing]:
    """Return all figures in the order of the page.

    Parameters
    ----------
    reference : (R, L) float32
        Training latents.
    axes : (D,) int64
        The latents that NOF is computed from.
    """
    wave = scorer.model.wave

    return [
        *_outliers(wave, sample),
        *_scores(bundle, wave, sample.bright),
        *_classes(wave, sample),
        _corner(sample, axes, scorer.model.latents),
        *_tracks(wave, sample),
        Drawing(
            "traversal",
            "Latent space",
            "Latent traversal: spectra decoded along one latent at a time, the others at their "
            "median, as differences from the spectrum of the median (the paper's Fig. 20).",
            lambda: traversal.draw_traversal(wave, traversal.traverse(scorer.vae, reference)),
        ),
    ]


def _draw(drawings: list[Drawing], folder: Path) -> list[page.Picture]:
    """Draw and save the figures one by one."""
    pictures: list[page.Picture] = []
    with mpl.rc_context(style.RC):
        for drawing in tqdm(drawings, desc="draw", unit="picture"):
            path = None
            if drawing.draw is not None:
                path = style.save(drawing.draw(), folder / f"{drawing.name}.png")
            pictures.append(page.Picture(path, drawing.heading, drawing.caption))
    return pictures


def _notes(scorer: Scorer, sample: PlotSample) -> list[str]:
    notes = [
        f"Training sample of the model: {scorer.model.sample}. Of the {len(sample)} eligible "
        f"spectra here, {np.count_nonzero(sample.anomaly)} have a p_value below "
        f"{scorer.model.p_level:g} and are flagged as anomalies. A p_value is that among inliers "
        "of like S/N and class.",
        "Panels show the robust reconstruction, which an anomaly does not bend; wmse and NOF are "
        "those of the plain one.",
    ]
    if scorer.model.finest_p is not None:
        notes[0] += f" Below {scorer.model.finest_p:.2g} it is extrapolated."
    if scorer.model.simulated or any(sample.kind):
        notes.append(
            "The training sample or the spectra on this page come from a simulated sky: nothing "
            "here measures performance on DESI. Positions on a simulated sky are simulated too."
        )
    return notes


def _outliers(wave: NDArray[np.float64], sample: PlotSample) -> Iterator[Drawing]:
    top = sample.most_anomalous("p_value", outliers.TOP)
    yield _gallery(
        "top_outliers", wave, top, "the smallest p_value", "Outcrop always ranks by p_value."
    )
    for row in range(len(top)):
        yield Drawing(
            f"top_outliers_{row + 1:02d}",
            "The smallest p_values, one by one",
            f"{row + 1}: TARGETID {top.targetid[row]}.",
            lambda row=row: outliers.outlier_page(wave, top, row, row + 1),
        )


def _gallery(
    name: str, wave: NDArray[np.float64], top: PlotSample, ranking: str, more: str
) -> Drawing:
    title = f"The {len(top)} spectra with {ranking}" if len(top) > 1 else f"By {ranking}"
    return Drawing(
        name,
        "The most anomalous spectra",
        f"{title}. {more} Arrows point to flux beyond the panel; insets show the highest peak.",
        lambda: outliers.gallery(wave, top, title),
    )


def _scores(bundle: Bundle, wave: NDArray[np.float64], bright: PlotSample) -> Iterator[Drawing]:
    if len(bright) == 0:
        yield Drawing("scores", "Scores", "No spectrum has an S/N of at least 5.", None)
        return

    for score, gallery, histogram in (("wmse", 10, 9), ("nof", 12, 11)):
        label = histograms.SCORE_LABELS[score]
        yield _gallery(
            f"top_{score}",
            wave,
            bright.most_anomalous(score, outliers.TOP),
            f"the most anomalous {label.partition(' (')[0]}",
            f"As the paper's Fig. {gallery}: S/N of at least 5, not conditioned on S/N or class.",
        )
        yield Drawing(
            f"histogram_{score}",
            "Scores",
            f"{label[0].upper()}{label[1:]} of the spectra with S/N of at least 5 "
            f"(the paper's Fig. {histogram}). Thresholds: as served, from spectra that were not "
            "trained on; of the training set; and in the paper.",
            lambda score=score: histograms.histogram(bright, bundle.manifest, score),
        )

    yield Drawing(
        "top100",
        "Scores",
        "wmse and NOF against S/N, with the 100 most anomalous by each. Raw wmse favours bright "
        "spectra and raw NOF faint ones, which is why the p_value is conditioned on S/N; and stars "
        "and quasars, which is why it is conditioned on the class.",
        lambda: histograms.top_hundred(bright),
    )


def _classes(wave: NDArray[np.float64], sample: PlotSample) -> Iterator[Drawing]:
    for name, (title, _) in classes.CLASSES.items():
        chosen = sample.rows(classes.members(sample, wave, name))
        if len(chosen) == 0:
            caption = f"There are no {title} that are not flagged as anomalies."
            yield Drawing(f"reconstructions_{name}", "Reconstructions", caption, None)
            continue

        yield Drawing(
            f"reconstructions_{name}",
            "Reconstructions",
            f"Typical {title}, and the regions of their main lines (the paper's Figs 2 to 8).",
            lambda chosen=chosen, name=name: classes.reconstructions(wave, chosen, name),
        )


def _corner(sample: PlotSample, axes: NDArray[np.int64], size: int) -> Drawing:
    if len(sample) < histograms.FEWEST:
        caption = f"No corner plot of {len(sample)} spectra; {histograms.FEWEST} are needed."
        return Drawing("latents", "Latent space", caption, None)
    return Drawing(
        "latents",
        "Latent space",
        f"Corner plot of the {len(axes)} latent dimensions used by NOF, of {size}: many galaxies "
        "as a density, quasars and stars as points. The classes were not used in training (the "
        "paper's Fig. 13).",
        lambda: latents.corner(sample, axes),
    )


def _tracks(wave: NDArray[np.float64], sample: PlotSample) -> Iterator[Drawing]:
    for name, spec in tracks.TRACKS.items():
        chosen = tracks.track_members(sample, spec)
        ends = tracks.track_ends(chosen, wave, spec)
        if ends is None:
            yield Drawing(
                f"track_{name}",
                "Latent space",
                f"No track of {name}: {len(chosen)} inliers with S/N of at least 5, "
                f"and {tracks.MIN_MEMBERS} are needed.",
                None,
            )
            continue

        found = tracks.track(chosen.latent, *ends)
        yield Drawing(
            f"track_{name}",
            "Latent space",
            f"Track through the latent space of {name}, from the median of the {spec.ends[0]} "
            f"twentieth to that of the {spec.ends[1]}. Grey: the spectrum nearest to each step. "
            "Coloured: the stack of its neighbours (the paper's Figs 14 to 19).",
            lambda chosen=chosen, spec=spec, found=found: track_page.draw_track(
                wave, chosen, spec, found
            ),
        )


def _medians(bright: PlotSample) -> list[page.PageTable]:
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
    return [page.PageTable("Medians of the 100 most anomalous", caption, rows)]
