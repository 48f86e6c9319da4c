"""Comparison picture: the ranks in two catalogues, and what entered or left the top list.

Needs matplotlib, which is imported only with this module.
"""

import io
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from .comparison import A, B, CatalogueComparison

# Okabe & Ito's colours, told apart with any colour vision; the markers differ too.
_NEW, _LOST, _BOTH = "#D55E00", "#0072B2", "#000000"
_SIZE: Final = (8.0, 7.0)  # inches
_DPI: Final = 150
_BINS: Final = 60


class ComparisonPicture(Figure):
    """The rank of each target in B against that in A.

    Parameters
    ----------
    comparison : CatalogueComparison
    """

    def __init__(self, comparison: CatalogueComparison) -> None:
        super().__init__(figsize=_SIZE, dpi=_DPI, layout="constrained")
        axes: Axes = self.subplots()
        ranks_a, ranks_b, top = comparison.ranks(A), comparison.ranks(B), comparison.top
        largest = float(max(ranks_a.max(), ranks_b.max(), top))
        edges = np.geomspace(1, largest + 1, _BINS)
        in_a, in_b = ranks_a <= top, ranks_b <= top
        others = ~(in_a | in_b)
        if others.any():
            counts, _, _ = np.histogram2d(ranks_a[others], ranks_b[others], bins=(edges, edges))
            shown = np.ma.masked_equal(counts.T, 0)
            # One target is light grey, not white.
            norm = LogNorm(0.3, max(shown.max(), 2.0))
            image = axes.pcolormesh(edges, edges, shown, cmap="Greys", norm=norm)
            self.colorbar(image, ax=axes, label="other targets").ax.set_ylim(1, norm.vmax)

        groups = (
            ("in both top lists", in_a & in_b, "o", _BOTH, len(ranks_a[in_a & in_b])),
            ("new: in that of B only", ~in_a & in_b, "^", _NEW, len(comparison.entered(B))),
            ("lost: in that of A only", in_a & ~in_b, "s", _LOST, len(comparison.entered(A))),
        )
        for name, rows, marker, color, number in groups:
            alone = number - int(np.count_nonzero(rows))
            label = f"{name}: {number:,}" + (f" ({alone:,} not in the other)" if alone else "")
            axes.plot(ranks_a[rows], ranks_b[rows], marker, color=color, markersize=5, label=label)

        axes.plot([1, largest], [1, largest], color="#666666", linewidth=0.8)
        for line in (axes.axvline, axes.axhline):
            line(top, color="#666666", linestyle=":", linewidth=1)
        axes.set(xscale="log", yscale="log", xlim=(0.8, 1.3 * largest), ylim=(0.8, 1.3 * largest))
        axes.set_xlabel(f"rank in A: {comparison.rankings[A].name}")
        axes.set_ylabel(f"rank in B: {comparison.rankings[B].name}")
        title = f"{len(ranks_a):,} targets in both, Spearman's {comparison.spearman():.3f}"
        axes.set_title(f"{title}; dotted: top {top:,}")
        self.legend(loc="outside lower center", frameon=False)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()
