"""Report: loss curves, score histograms and example reconstructions of a fit.

It is written beside the bundle. The histograms follow Figs 9 and 11 of Nicolaou et al. 2025.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from explanation.reference import Reference
from model_store.bundle import Manifest
from scoring.calibration import Calibration

from ..plots.histograms import (
    FEWEST,
    PAPER_THRESHOLDS,
    SCORE_LABELS,
    draw_rug,
    legend_above,
)
from ..plots.latent_map import draw_map
from ..plots.outliers import gallery
from ..plots.sample import PlotSample, RestSpectra
from ..plots.style import BLACK, BLUE, PAGE, PALE, RC, VERMILION, number, save
from ..templates import render
from .card import class_rows
from .dataset import RestSample
from .fit import Epoch
from .scored import Scored, classwise_wmse

TEMPLATE = Path(__file__).with_name("report.md.jinja")


def write_report(
    folder: Path,
    manifest: Manifest,
    history: Sequence[Epoch],
    training: Scored,
    held_out: Scored,
    examples: PlotSample,
    reference: Reference,
    damaged: Sequence[str],
) -> None:
    """Write report.md, report.json and their figures into a folder; replace earlier ones.

    Parameters
    ----------
    training, held_out : Scored
        Spectra that were trained on, and spectra of similar S/N that were not.
    examples : PlotSample
        Spectra to draw with their reconstructions.
    reference : Reference
        Spectra to draw on the map.
    damaged : sequence of str
        For each petal that was left out, what is wrong with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classes = classwise_wmse(held_out)

    content = {
        "version": manifest.version,
        "sample": manifest.sample.label,
        "counts": manifest.sample.counts,
        "damaged_petals": list(damaged),
        "wmse": classes,
        "thresholds": manifest.thresholds.model_dump(),
        "paper_thresholds": manifest.paper_thresholds.model_dump(),
        "history": [asdict(epoch) for epoch in history],
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    text = _markdown(manifest, history, classes, damaged)
    (folder / "report.md").write_text(text, encoding="utf-8")

    with mpl.rc_context(RC):
        save(_losses(history), folder / "losses.png")
        for score in ("wmse", "nof"):
            save(_histogram(training, held_out, manifest, score), folder / f"{score}.png")
        title = "Typical spectra that were not trained on"
        save(gallery(manifest.grid.wave, examples, title), folder / "reconstructions.png")
        save(draw_map(reference.place, reference.spectype), folder / "map.png")


def typical(scored: Scored) -> NDArray[np.intp]:
    """Return the rows of two galaxies, a star and a quasar: bright, wmse closest to the median."""
    chosen = [np.zeros(0, np.intp)]
    for name, count in (("GALAXY", 2), ("STAR", 1), ("QSO", 1)):
        members = np.flatnonzero(scored.rows["spectype"] == name)
        if len(members):
            snr = scored.rows["snr"][members]
            bright = members[snr >= np.median(snr)]
            distance = np.abs(scored.wmse[bright] - np.median(scored.wmse[bright]))
            chosen.append(bright[np.argsort(distance, kind="stable")[:count]])
    return np.sort(np.concatenate(chosen))


def to_draw(
    chosen: Scored,
    sample: RestSample,
    decoded: NDArray[np.float32],
    prepared: NDArray[np.float32],
    calibration: Calibration,
) -> PlotSample:
    """Return spectra and their reconstructions in physical units.

    Parameters
    ----------
    chosen : Scored
        Scores of n spectra.
    decoded, prepared : (n, M) float32
        Their reconstructions and the spectra themselves, normalised as for the encoder.
    """
    rows = chosen.rows
    spectra = RestSpectra(*sample.take(chosen.index), decoded)

    # The norm is that of the infilled spectrum; the good bins are enough to recover it.
    good = spectra.ivar > 0
    norm = np.linalg.norm(spectra.flux * good, axis=1) / np.linalg.norm(prepared * good, axis=1)

    return PlotSample(
        targetid=rows["targetid"],
        z=rows["z"],
        ra=np.full(len(rows), np.nan),
        dec=np.full(len(rows), np.nan),
        spectype=rows["spectype"],
        kind=np.full(len(rows), ""),
        snr=rows["snr"],
        wmse=chosen.wmse,
        nof=chosen.nof,
        norm=norm,
        p_value=chosen.p_value(calibration),
        anomaly=np.zeros(len(rows), np.bool_),
        latent=chosen.latent,
        spectrum_row=np.arange(len(rows)),
        spectra=replace(spectra, model=decoded * norm[:, None]),
    )


def _losses(history: Sequence[Epoch]) -> Figure:
    figure = Figure(figsize=(PAGE, 3.2), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    labels = ("loss − lowest loss + 1 / nats", "mean weighted MSE")
    for axes, name, label in zip(figure.subplots(1, 2), ("loss", "wmse"), labels, strict=True):
        training = np.array([getattr(epoch, name) for epoch in history])
        validation = np.array([getattr(epoch, f"validation_{name}") for epoch in history])

        # The loss contains the constant of the likelihood, so it may be negative.
        zero = 0.0
        if name == "loss":
            zero = min(training.min(), validation.min()) - 1
            axes.set_yscale("log")

        axes.plot(epochs, training - zero, color=BLUE, label="training")
        axes.plot(epochs, validation - zero, "--", color=VERMILION, label="validation")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(label)
        axes.legend()

    return figure


def _histogram(training: Scored, held_out: Scored, manifest: Manifest, score: str) -> Figure:
    figure = Figure(figsize=(PAGE, 4), layout="constrained")
    axes = figure.subplots()

    # nof is negative: its magnitude goes on the logarithmic axis, its sign on the tick labels.
    sign = -1 if score == "nof" else 1
    trained, others = (
        np.maximum(sign * getattr(scored, score), 1e-3) for scored in (training, held_out)
    )
    both = np.concatenate([trained, others])
    edges = np.geomspace(both.min(), both.max() * 1.001, 80)

    axes.hist(trained, edges, color=PALE, label=f"training, {len(trained)}")
    label = f"not trained on, {len(others)}"
    if len(others) >= FEWEST:
        axes.hist(others, edges, histtype="step", color=BLUE, linewidth=1.2, label=label)
    else:
        draw_rug(axes, others, BLUE, label, 0)
    for thresholds, name, colour, line in (
        (manifest.thresholds, "served", BLACK, "-"),
        (manifest.paper_thresholds, "of the training set, as in the paper", VERMILION, "--"),
    ):
        value = getattr(thresholds, score)
        axes.axvline(
            sign * value, color=colour, linestyle=line, label=f"threshold {name}: {number(value)}"
        )

    axes.set_yscale("log")
    axes.set_xscale("log")
    formatter = FuncFormatter(
        lambda value, _: number(sign * value) if f"{value:e}"[0] in "125" else ""
    )
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(formatter)
    axes.set_xlabel(SCORE_LABELS[score])
    axes.set_ylabel("spectra per bin")
    legend_above(axes, 2)
    return figure


def _markdown(
    manifest: Manifest,
    history: Sequence[Epoch],
    classes: Mapping[str, Mapping[str, float]],
    damaged: Sequence[str],
) -> str:
    rows = [
        ("served, from the calibration split", manifest.thresholds),
        ("of the training set, as in the paper", manifest.paper_thresholds),
    ]
    thresholds = [(name, f"{values.wmse:.3f}", f"{values.nof:.3f}") for name, values in rows]
    paper = ("in the paper", *(str(PAPER_THRESHOLDS[score]) for score in ("wmse", "nof")))

    return render(
        TEMPLATE,
        manifest=manifest,
        epochs=len(history),
        validation_loss=history[-1].validation_loss,
        classes=class_rows(classes),
        thresholds=[*thresholds, paper],
        damaged=damaged,
    )
