"""Outcrop: find the DESI spectra that stand out.

Read a coadd with its redrock file, score the spectra with a service, write the score table::

    import outcrop

    spectra = outcrop.correct_noise(outcrop.read_spectra("coadd.fits", "redrock.fits"))
    with outcrop.Client("http://127.0.0.1:3000") as client:
        scores = client.score(spectra)
        outcrop.write_scores("outliers.fits", spectra, scores, client.model())
"""

from ._files import check_output
from ._version import __version__
from .client import AsyncClient, Client
from .desi import is_simulated, read_spectra
from .errors import (
    BadRequest,
    ConnectionFailed,
    FolderInUse,
    InputError,
    LabelsUnavailable,
    ModelChanged,
    OutcropError,
    RateLimited,
    ServerError,
    StatusError,
    Timeout,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
    WireError,
)
from .explanations import (
    CAUSES,
    INSTRUMENTAL,
    Evidence,
    Explanation,
    Explanations,
    Neighbour,
    Repeats,
    Segment,
    Tag,
)
from .flagged import explain_flagged
from .model import Model, ModelIdentity
from .noise import PetalNoise, correct_noise
from .petals import Petal, find_petals, require_petals
from .remote import RemoteCache, fetch, fetch_petal
from .repeats import with_repeats
from .scores import Scores, Status, eligible
from .spectra import WAVE, Band, Spectra
from .table import write_scores

__all__ = [
    "CAUSES",
    "INSTRUMENTAL",
    "WAVE",
    "AsyncClient",
    "BadRequest",
    "Band",
    "Client",
    "ConnectionFailed",
    "Evidence",
    "Explanation",
    "Explanations",
    "FolderInUse",
    "InputError",
    "LabelsUnavailable",
    "Model",
    "ModelChanged",
    "ModelIdentity",
    "Neighbour",
    "OutcropError",
    "Petal",
    "PetalNoise",
    "RateLimited",
    "RemoteCache",
    "Repeats",
    "Scores",
    "Segment",
    "ServerError",
    "Spectra",
    "Status",
    "StatusError",
    "Tag",
    "Timeout",
    "TooLarge",
    "Unauthorized",
    "UnsupportedMediaType",
    "WireError",
    "__version__",
    "check_output",
    "correct_noise",
    "eligible",
    "explain_flagged",
    "fetch",
    "fetch_petal",
    "find_petals",
    "is_simulated",
    "read_spectra",
    "require_petals",
    "with_repeats",
    "write_scores",
]
