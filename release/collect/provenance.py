"""Provenance: what made a catalogue, as header cards and as metadata of Parquet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from outcrop import ModelIdentity

_CARDS: Final = {
    "SPECPROD": "spectroscopic production",
    "VERSION": "of this catalogue",
    "DATE": "UTC when it was written",
    "NOTE": "",
    "MODEL": "model of the scores",
    "MODELVER": "its version",
    "MODELSHA": "sha256 of its manifest",
    "SAMPLE": "its training sample",
    "POPULATN": "targets it is fitted on",
    "WMSETHR": "WMSE_ANOMALY above",
    "NOFTHR": "NOF_ANOMALY below",
    "PLEVEL": "ANOMALY where P_VALUE is below",
    "PFINEST": "P_VALUE is extrapolated below",
    "ZMIN": "redshift range of the model",
    "ZMAX": "redshift range of the model",
    "FDRBASIS": "what the smallest Q_VALUEs rest on",
    "FDRTESTS": "targets that were tested for Q_VALUE",
    "PRIMRULE": "what PRIMARY rests on",
    "ZCATALOG": "file that DESINAME and PRIMARY come from",
}
_LONGEST_COMMENTED: Final = 30


@dataclass(frozen=True)
class Provenance:
    """What made a catalogue.

    Attributes
    ----------
    model : ModelIdentity
    outcrop : str
        Version that scored; several, separated by commas, where there were.
    cards : mapping
        All that a header says, by keyword, in order.
    """

    model: ModelIdentity
    outcrop: str
    cards: Mapping[str, Any]

    @staticmethod
    def of(
        model: ModelIdentity, outcrop: str, scores: Mapping[str, Any], **known: Any
    ) -> "Provenance":
        """Return the provenance, given the header of a score table and further cards."""
        values = {**scores, **known}
        cards = {key: values[key] for key in _CARDS if values.get(key) not in (None, "")}
        # desiutil.depend's convention.
        packages = {
            key: scores[key] for key in sorted(scores) if key.startswith(("DEPNAM", "DEPVER"))
        }
        number = len(packages) // 2
        packages |= {f"DEPNAM{number:02d}": "outcrop", f"DEPVER{number:02d}": outcrop}
        return Provenance(model, outcrop, cards | packages)

    def header_cards(self) -> Iterator[tuple[str, Any, str]]:
        """Yield keyword, value and comment of each card."""
        for key, value in self.cards.items():
            long = isinstance(value, str) and len(value) > _LONGEST_COMMENTED
            yield key, value, "" if long else _CARDS.get(key, "")

    def metadata(self) -> dict[str, str]:
        """Return the same as texts, as Parquet keeps them."""
        return {f"outcrop.{key.lower()}": str(value) for key, value in self.cards.items()}
