"""Columns: name, FITS format, unit and description of each column of a score table's HDUs."""

from dataclasses import dataclass
from typing import Final

from .explanations import CAUSES

# Spelt as in DESI's own files.
FLUX_UNIT: Final = "10**-17 erg/(s cm2 Angstrom)"
IVAR_UNIT: Final = "10**+34 (s2 cm4 Angstrom2) / erg2"


@dataclass(frozen=True)
class Column:
    """A column of a score table.

    Attributes
    ----------
    name : str
    format : str
        FITS format of one value; strings may be longer, and LATENT has a value for each latent.
    description : str
    unit : str, optional
    field : str
        Of `Scores`, or of `Spectra` where `unknown` is given, or of `Explanation`. Default: the
        name in lower case.
    unknown : int, float or str, optional
        Value of every row where the spectra do not have the field.
    """

    name: str
    format: str
    description: str
    unit: str | None = None
    field: str = ""
    unknown: int | float | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.name.lower())


_NAN: Final = float("nan")

COLUMNS: Final = (
    Column("TARGETID", "K", "DESI target"),
    Column("Z", "D", "redshift as given", unknown=_NAN),
    Column("ZWARN", "K", "redrock's warning bits", unknown=0),
    Column("SPECTYPE", "6A", "redrock's class", unknown=""),
    Column("STATUS", "J", "status bits"),
    Column("SNR", "E", "median of flux sqrt(ivar), rest-frame bins"),
    Column("COVERAGE", "E", "share of good bins"),
    Column("NORM", "E", "norm of the flux before normalisation", FLUX_UNIT),
    Column("LATENT", "E", "posterior mean"),
    Column("WMSE", "E", "weighted MSE; larger is more anomalous"),
    Column("NOF", "E", "outlier factor; smaller is more anomalous"),
    Column("WMSE_ANOMALY", "L", "WMSE above WMSETHR"),
    Column("NOF_ANOMALY", "L", "NOF below NOFTHR"),
    Column("P_VALUE", "D", "smaller is more anomalous; rank by it"),
    Column("ANOMALY", "L", "P_VALUE below PLEVEL"),
    Column("P_VALUE_POOLED", "D", "P_VALUE among inliers of all classes"),
    Column("TARGET_RA", "D", "right ascension, J2000", "deg", "ra", _NAN),
    Column("TARGET_DEC", "D", "declination, J2000", "deg", "dec", _NAN),
    Column("TILEID", "J", "DESI tile; -1 if unknown", unknown=-1),
    Column("PETAL_LOC", "J", "petal, 0 to 9; -1 if unknown", field="petal", unknown=-1),
    Column("FIBER", "J", "fiber; -1 if unknown", unknown=-1),
    Column("ZERR", "D", "redrock's error of the redshift", unknown=_NAN),
    Column("DELTACHI2", "D", "redrock's chi2 to the next best fit", unknown=_NAN),
    Column("SUBTYPE", "20A", "redrock's subclass", unknown=""),
    Column("DESI_TARGET", "K", "target bits, or SV's; -1 if unknown", unknown=-1),
    Column("BGS_TARGET", "K", "target bits, or SV's; -1 if unknown", unknown=-1),
    Column("MWS_TARGET", "K", "target bits, or SV's; -1 if unknown", unknown=-1),
)
"""The columns of OUTLIERS, in order."""

_CAUSE: Final = f"{max(len(cause) for cause in CAUSES)}A"

EXPLANATION_COLUMNS: Final = (
    Column("CAUSE", _CAUSE, "most probable; empty if not explained"),
    Column("CAUSE_PROB", "E", "its probability", field="cause_probability"),
    Column("P_EXPLAINED", "D", "p-value without the cause"),
    Column("Z_BEST", "D", "redshift that explains it best"),
    Column("P_BEST", "D", "p-value at Z_BEST"),
    Column("SENTENCE", "1A", "what was found"),
)
"""The columns that follow in OUTLIERS where spectra are explained: fields of `Explanation`."""

EVIDENCE_COLUMNS: Final = (
    Column("TARGETID", "K", "DESI target"),
    Column("ROW", "J", "of OUTLIERS; the first is 0"),
    Column("CAUSE", _CAUSE, "the most probable of a row first"),
    Column("DELTA_CHI2", "D", "chi2 of the residual it explains"),
    Column("PARAMETERS", "J", "fitted for it"),
    Column("PROBABILITY", "D", "of this cause; of a row they add up to 1"),
    Column("P_VALUE", "D", "of what remains without it"),
    Column("Z", "D", "redshift that it says; NaN if none"),
    Column("WAVE_MIN", "D", "where it begins, observed, vacuum", "Angstrom"),
    Column("WAVE_MAX", "D", "where it ends, observed, vacuum", "Angstrom"),
    Column("SENTENCE", "1A", "what was found"),
)
"""The columns of EXPLANATIONS, in order; a row for each `Evidence`."""

SEGMENT_COLUMNS: Final = (
    Column("TARGETID", "K", "DESI target"),
    Column("ROW", "J", "of OUTLIERS; the first is 0"),
    Column("REST_MIN", "D", "first wavelength, rest frame, vacuum", "Angstrom"),
    Column("REST_MAX", "D", "last wavelength, rest frame, vacuum", "Angstrom"),
    Column("OBS_MIN", "D", "first wavelength, observed, vacuum", "Angstrom"),
    Column("OBS_MAX", "D", "last wavelength, observed, vacuum", "Angstrom"),
    Column("SIGNIFICANCE", "E", "sum of residual/sigma over sqrt(bins)"),
    Column("SIGN", "I", "1 above the reconstruction, -1 below"),
    Column("CONTINUUM_SHARE", "E", "residual over reconstruction"),
    Column("TAGS", "1A", "what lies there, with its CHANCE"),
    Column("CHANCE", "E", "of the first tag; NaN if none"),
    Column("REPEATS", "16A", "in which exposures; empty if none there"),
    Column("EXPID", "J", "of the only exposure; -1 if in others"),
)
"""The columns of SEGMENTS, in order; a row for each `Segment`."""
