"""Review: what the page asks for, from the night, its coadds, the model and the labels."""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from explanation.interest import Ranking, ScoredColumns, cause_probabilities
from explanation.lines import ABSORPTION, EMISSION, FAINT, INFRARED_ABSORPTION
from outcrop import CAUSES, OutcropError, Scores, Spectra
from outcrop.fingerprint import FileFingerprint
from outcrop.label import FIELDS, Label, LabelledSpectrum
from outcrop.labels import LabelChange, LabelStore
from outcrop.spectra import WAVE

from .arrays import DTYPES
from .coadds import Coadds
from .mask import BITS, mask_bits
from .night import CAUSE_NAMES, SPECTYPES, ReviewNight
from .reconstruction import ReviewModel
from .refusal import Refusal

_CATEGORIES: Final = {"spectype": SPECTYPES, "cause": CAUSE_NAMES}
_LINES: Final = (
    *(("emission", True, EMISSION), ("emission", False, FAINT)),
    *(("absorption", True, ABSORPTION), ("absorption", False, INFRARED_ABSORPTION)),
)
"""Kind, whether they are major, and lines."""
_BY_COLUMN: Final = {"q": "q_value", "p_explained": "p_explained"}
_LEARNED: Final = ("interest", "expected_improvement", "blend")
_NEAREST: Final = 5
"""Spectra of the night that are shown as similar to one."""
_REST: Final = ("rest_wave", "rest_flux", "rest_ivar", "model")


@dataclass(frozen=True)
class Links:
    """Addresses of other viewers, with {targetid}, {ra} and {dec}; empty for none."""

    spectrum: str
    image: str


class Review:
    """The review of a night.

    Parameters
    ----------
    night : ReviewNight
    coadds : Coadds
    labels : LabelStore
    open_model : function
        Opens the model, in a thread of its own: the page is there before.
    links : Links

    Attributes
    ----------
    night : ReviewNight
    model : future of ReviewModel
    """

    def __init__(
        self,
        night: ReviewNight,
        coadds: Coadds,
        labels: LabelStore,
        open_model: Callable[[], ReviewModel],
        links: Links,
    ) -> None:
        self.night = night
        self._coadds = coadds
        self._labels = labels
        self._links = links

        targetid = night.columns["targetid"]
        self._by_targetid = np.argsort(targetid, kind="stable")
        self._ascending = targetid[self._by_targetid]
        # They take seconds, the last one minutes, for a whole night; each needs those before it.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="review")
        self._ended = threading.Event()
        self.model = self._pool.submit(open_model)
        self._places = self._pool.submit(self._find_places)
        self._ranking = self._pool.submit(self._make_ranking)
        self._pool.submit(coadds.prepare, self._ended)

    def close(self) -> None:
        """End the threads."""
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)

    def coming(self) -> list[str]:
        """Return what is not there yet: requests for it wait."""
        parts = {"model": self.model, "map": self._places, "interest": self._ranking}
        return [name for name, part in parts.items() if not part.done()]

    def describe(self, scanner: str) -> dict[str, Any]:
        """Return what the page needs to begin with, as JSON."""
        types = {name: DTYPES[array.dtype.name] for name, array in self.night.columns.items()}
        return {
            "model": str(self.night.model),
            "folder": os.fspath(self.night.folder),
            "rows": len(self.night),
            "identity": self.night.identity,
            "columns": [
                {"name": name, "dtype": dtype, **_meaning(name)}
                for name, dtype in {**types, "label": "i4"}.items()
            ],
            "causes": list(CAUSES),
            "orders": ["anomaly", *_LEARNED, *_BY_COLUMN],
            "lines": [
                {"name": line.name, "wave": line.wave, "kind": kind, "major": major}
                for kind, major, group in _LINES
                for line in group
            ],
            "mask_bits": list(BITS),
            "links": asdict(self._links),
            "scanner": scanner,
        }

    def columns(self, scanner: str) -> dict[str, NDArray[Any]]:
        """Return the columns of all rows, with the interest that a scanner gave; −1 for none."""
        return self.night.columns | {"label": self._interest(scanner)}

    def map(self) -> dict[str, NDArray[np.float32]]:
        """Return the places of all rows on the map; OutcropError where there is none."""
        places = self._places.result()
        return {"map_x": places[:, 0], "map_y": places[:, 1]}

    def order(self, name: str, scanner: str) -> NDArray[np.int32]:
        """Return all rows in an order; Refusal where there is no such order."""
        if name == "anomaly":
            return np.arange(len(self.night), dtype=np.int32)
        if name in _BY_COLUMN:
            return self.night.ordered_by(_BY_COLUMN[name])
        if name not in _LEARNED:
            raise Refusal(404, f"there is no order {name[:50]!r}")

        interest = self._interest(scanner)
        labelled = np.flatnonzero(interest >= 0)
        given = dict(zip(labelled.tolist(), interest[labelled].tolist(), strict=True))
        return self._ranking.result().order(name, given).astype(np.int32)

    def spectrum(self, row: int, scanner: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and description of a spectrum.

        Raises
        ------
        Refusal
            Where there is no such row.
        OutcropError
            Where its files changed or cannot be read.
        """
        table, at = self.night.place(self._checked(row))
        spectrum = self._coadds.read(row)
        notice = ""
        try:
            rest = table.images(at) or self._rest(spectrum)
        except OutcropError as error:
            rest, notice = {name: np.zeros(0, np.float32) for name in _REST}, str(error)

        columns = self.night.columns
        shown = ("z", "p_value", "q_value", "p_explained", "z_best", "cause_prob")
        values = {name: columns[name][row].item() for name in shown}
        meta = {
            "targetid": str(columns["targetid"][row]),
            **values,
            "cause": CAUSE_NAMES[columns["cause"][row]],
            **{"ra": float(self.night.ra[row]), "dec": float(self.night.dec[row])},
            **{"coadd": table.inputs[0], "notice": notice},
            **table.details(at),
            **self._neighbours(row),
            "candidates": self._coadds.candidates(row),
            "labels": [_change(one) for one in self._labels.history(self._targetid(row))],
        }
        return _observed(spectrum) | rest, meta

    def neighbours(self, row: int, scanner: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return what the model draws of a row's neighbours, who is near in the night, and votes.

        The arrays are rest_wave (M,) and the drawings one after the other, flux (K M,), normalised;
        their order is that of the neighbours in the description of the spectrum. The votes are by
        the labels of a scanner as they are now.
        """
        model, latent = self.model.result(), self.night.latent[self._checked(row)]
        wave, flux = model.neighbours_drawn(latent, self._targetid(row))
        # Rows without a p-value, which are last, are sky or say nothing.
        scored = int(np.isfinite(self.night.columns["p_value"]).sum())
        near = model.nearest(latent, self.night.latent[:scored], _NEAREST + 1).tolist()
        others = [one for one in near if one != row][:_NEAREST]

        labels = self._labels.current(scanner)
        latents = np.full((len(labels), len(latent)), np.nan, np.float32)
        for number, label in enumerate(labels):
            for own in self._rows(label.targetid)[:1]:
                latents[number] = self.night.latent[own]
        votes = model.votes(latent, self._targetid(row), labels, latents)
        said = {"night": others, "votes": [asdict(one) for one in votes]}
        return {"rest_wave": wave, "flux": flux.reshape(-1)}, said

    def exposures(self, row: int) -> tuple[dict[str, NDArray[Any]], list[dict[str, int]]]:
        """Return the exposures of a row one after the other, and which they are.

        The arrays are wave (W,), flux and ivar (M W,); all empty where there are no exposures.
        """
        found = self._coadds.exposures(self._checked(row))
        if found is None or not len(found):
            return {name: np.zeros(0, np.float32) for name in ("wave", "flux", "ivar")}, []

        from scoring.coadd import coadd

        spectra = Spectra(found.bands, z=np.full(len(found), np.nan), targetid=found.targetid)
        flux, ivar, _ = coadd(spectra)
        wave = WAVE["brz"].astype(np.float32)
        which = [
            {"expid": expid, "night": night}
            for expid, night in zip(found.expid.tolist(), found.night.tolist(), strict=True)
        ]
        return {"wave": wave, "flux": flux.reshape(-1), "ivar": ivar.reshape(-1)}, which

    def spectrum_at(self, row: int, z: float) -> dict[str, NDArray[Any]]:
        """Return rest frame and model of a spectrum at another redshift."""
        if not -0.5 < z < 10:
            raise Refusal(400, f"z is {z}; expected a redshift above -0.5 and below 10")
        spectrum = self._coadds.read(self._checked(row))
        return self._rest(replace(spectrum, z=np.array([z])))

    def label(self, scanner: str, content: Mapping[str, Any]) -> int:
        """Keep what a scanner says of a row; return the id of the change."""
        row = self._checked(content.get("row"))
        fields = {name: content[name] for name in content if name != "row"}
        return self._labels.record(scanner, self._targetid(row), fields, self._labelled(row))

    def undo(self, scanner: str) -> dict[str, Any]:
        """Take back the last change of a scanner; return which row it was of, −1 for none."""
        change = self._labels.undo(scanner)
        if change is None:
            return {"id": None, "row": -1}
        rows = self._rows(change.targetid)
        return {"id": change.id, "row": rows[0] if rows else -1}

    def labels(self, scanner: str) -> list[dict[str, Any]]:
        """Return what a scanner says now of the rows of this night."""
        return [
            {"row": row, **_said(label)}
            for label in self._labels.current(scanner)
            for row in self._rows(label.targetid)
        ]

    def _checked(self, row: object) -> int:
        if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < len(self.night):
            raise Refusal(404, f"there is no row {row!r:.50}; there are {len(self.night)}")
        return row

    def _targetid(self, row: int) -> int:
        return int(self.night.columns["targetid"][row])

    def _rows(self, targetid: int) -> list[int]:
        """Return the rows of a target, the one with the smallest p-value first."""
        first, end = (
            int(np.searchsorted(self._ascending, targetid, side)) for side in ("left", "right")
        )
        return self._by_targetid[first:end].tolist()

    def _interest(self, scanner: str) -> NDArray[np.int32]:
        found = np.full(len(self.night), -1, np.int32)
        for label in self._labels.current(scanner):
            if label.interest is not None:
                found[self._rows(label.targetid)] = label.interest
        return found

    def _labelled(self, row: int) -> LabelledSpectrum:
        """Return which spectrum a label is of."""
        table, at = self.night.place(row)
        cards, columns = table.cards, self.night.columns
        name = str(cards.get("INFIL000", ""))
        size, mtime = (int(cards.get(card, -1)) for card in ("INSIZ000", "INMTI000"))
        return LabelledSpectrum(
            tileid=int(columns["tileid"][row]),
            coadd=FileFingerprint(name, size, mtime),
            redrock_spectype=str(table.columns["SPECTYPE"][at]),
            redrock_z=float(columns["z"][row]),
        )

    def _rest(self, spectrum: Spectra) -> dict[str, NDArray[Any]]:
        scores: Scores = self.model.result().reconstruct(spectrum)
        given = scores.rest_wave, scores.rest_flux, scores.rest_ivar, scores.reconstruction
        arrays = [np.asarray(one, np.float32).reshape(-1) for one in given]
        return dict(zip(_REST, arrays, strict=True))

    def _neighbours(self, row: int) -> dict[str, Any]:
        """Return the neighbours of a row, or why there are none."""
        model, latent = self.model.result(), self.night.latent[row]
        try:
            found = model.neighbours(latent, self._targetid(row))
        except OutcropError as error:
            return {"neighbours": [], "no_neighbours": str(error)}
        return {"neighbours": found, "no_neighbours": ""}

    def _find_places(self) -> NDArray[np.float32]:
        return self.model.result().places(self.night.latent)

    def _make_ranking(self) -> Ranking:
        night, columns = self.night, self.night.columns
        scale = self.model.result().scale(night.latent)
        scored = ScoredColumns(
            latent=night.latent,
            wmse=night.wmse,
            nof=night.nof,
            **{name: columns[name] for name in ("p_value", "z", "z_best")},
            spectype=np.array(SPECTYPES)[columns["spectype"]],
            flagged=columns["flagged"].astype(np.bool_),
            causes=cause_probabilities(len(night), *night.cause_rows()),
        )
        return Ranking(scored, scale)


def _meaning(name: str) -> dict[str, Any]:
    """Return whether a column holds values, or numbers of categories, and which these are."""
    if name in _CATEGORIES:
        return {"of": "category", "categories": list(_CATEGORIES[name])}
    return {"of": "value"}


def _observed(spectrum: Spectra) -> dict[str, NDArray[Any]]:
    """Return the cameras of a spectrum on one grid.

    mask is 1 where a pixel is not used; mask_bits says why, and is 0 where its ivar is.
    """
    # numba takes a second to import: the page does not wait for it.
    from scoring.coadd import coadd

    flux, ivar, _ = coadd(spectrum)
    wave = WAVE["brz"].astype(np.float32)
    mask = (ivar[0] == 0).astype(np.uint8)
    bits = mask_bits(spectrum)
    return {"wave": wave, "flux": flux[0], "ivar": ivar[0], "mask": mask, "mask_bits": bits}


def _said(label: Label) -> dict[str, Any]:
    return {name: getattr(label, name) for name in FIELDS}


def _change(change: LabelChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "time": change.time.isoformat(),
        "scanner": change.scanner,
        "undoes": change.undoes,
        **change.fields,
    }
