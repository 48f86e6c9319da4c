"""Bundle: a model as a folder of files, described by a manifest that holds their checksums.

README.md beside this module is the normative description. Opening a bundle reads every file
once and compares its sha256 with the manifest's. Only the bytes that were checked are used
afterwards. No file of a bundle may contain a pickle.
"""

import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .grid import RestGrid
from .population import Population

MANIFEST = "manifest.json"
FILES = (
    "encoder.onnx",
    "decoder.onnx",
    "eigenspectra.npz",
    "density.npz",
    "galaxies.npz",
    "training_targetids.npz",
    "calibration.npz",
    "explanation.npz",
    "drift.npz",
    "canary.npz",
)
FORMAT_VERSION = 9
"""The version that is written and read."""


class BundleError(ValueError):
    """A bundle cannot be read or written; the message names the file and the remedy."""


# Plain names only: a manifest must not refer to files outside its folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _ManifestSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Thresholds(_ManifestSection):
    """Spectra with a larger wmse, or a smaller nof, are flagged."""

    wmse: float
    nof: float


class SampleEntry(_ManifestSection):
    """A sample of spectra that parts of the model were made from."""

    kind: Literal["simulated", "desi"]
    release: str | None = None
    tiles: tuple[str, ...]
    """Tiles and healpixels, sorted."""
    counts: dict[str, int]
    """Rows left after each cut, in the order of the cuts."""

    @property
    def label(self) -> str:
        """``simulated``, ``desi``, or ``desi`` with its release."""
        return " ".join(filter(None, (self.kind, self.release)))


class FileEntry(_ManifestSection):
    """One file of the bundle."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(_ManifestSection):
    """manifest.json: what scoring needs to know of a model, and its provenance."""

    format_version: Literal[9] = FORMAT_VERSION
    name: str = Field(default="outcrop", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    created: datetime
    sample: SampleEntry
    """The sample of the networks, the eigenspectra and the density."""
    calibration: SampleEntry
    """The sample of the thresholds, the calibration, the drift reference and the canary."""
    calibrated_from: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """sha256 of the bundle whose networks were recalibrated; None in a bundle as trained."""
    configuration: dict[str, Any]
    grid: RestGrid
    redshift_range: tuple[float, float]
    population: Population = Population()
    """Of both samples; spectra outside it are scored, but never flagged."""
    latents: int = Field(gt=0)
    neighbours: int = Field(gt=0)
    thresholds: Thresholds
    paper_thresholds: Thresholds
    p_level: float = Field(gt=0, lt=1)
    finest_p: float | None = Field(default=None, gt=0, lt=1)
    """The smallest p_value that is a rank in the calibration sample, not an extrapolation."""
    code: str
    """Version of Outcrop that trained the model."""
    packages: dict[str, str]
    files: dict[FileName, FileEntry] = Field(default_factory=dict)

    @property
    def noise_correction(self) -> bool | None:
        """Whether the noise of the sample was corrected; None where the recipe does not tell."""
        sample = self.configuration.get("sample")
        value = sample.get("noise_correction") if isinstance(sample, dict) else None
        return value if isinstance(value, bool) else None


Content = bytes | Mapping[str, NDArray[np.generic]]
"""Content of a file: bytes, or the arrays of an .npz file."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, eq=False)
class Bundle:
    """An opened, verified bundle.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    sha256 : str
        sha256 of manifest.json. It identifies the whole model.
    """

    path: Path
    manifest: Manifest
    sha256: str
    _contents: Mapping[str, bytes]

    @staticmethod
    def open(path: str | os.PathLike[str]) -> "Bundle":
        """Read and verify every file.

        Raises
        ------
        BundleError
            If a file is missing, unreadable, not a regular file, of an unknown format version, or
            differs from the manifest. The message names the file.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise BundleError(f"{folder} is not a folder; expected a bundle written by training")

        raw = _read(folder / MANIFEST)
        manifest = _parse_manifest(folder / MANIFEST, raw)

        contents: dict[str, bytes] = {}
        for name, entry in manifest.files.items():
            contents[name] = _read(folder / name, entry.bytes)
            found = _sha256(contents[name])
            if found != entry.sha256:
                raise BundleError(
                    f"{folder / name} has sha256 {found[:12]}…, the manifest says "
                    f"{entry.sha256[:12]}…: the file is damaged or belongs to another model; "
                    "copy the bundle again"
                )

        return Bundle(folder, manifest, _sha256(raw), contents | {MANIFEST: raw})

    def bytes(self, name: str) -> bytes:
        """Return the verified content of one file."""
        return self._contents[name]

    def copy_to(self, folder: Path) -> None:
        """Write the manifest and the files that it lists, as verified, into a new folder."""
        folder.mkdir()
        for name, content in self._contents.items():
            _write(folder / name, content)

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of one verified .npz file.

        Raises
        ------
        BundleError
            If the file is not an .npz file, or contains a pickle.
        """
        try:
            with np.load(io.BytesIO(self._contents[name]), allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except Exception as error:
            raise BundleError(
                f"{self.path / name} cannot be read as arrays ({error}); train again"
            ) from error


def _open_at_once(path: str, flags: int) -> int:
    # Without this flag, a named pipe is opened when something writes to it.
    return os.open(path, flags | os.O_NONBLOCK)


def _read(path: Path, size: int | None = None) -> bytes:
    """Return the content of a file; raise BundleError if it is unreadable or of another size."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BundleError(f"{path} is not a regular file; copy the bundle again")
            if size not in (None, found.st_size):
                raise BundleError(
                    f"{path} has {found.st_size} bytes, the manifest says {size}: the file is "
                    "damaged or belongs to another model; copy the bundle again"
                )
            return file.read(found.st_size)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); a bundle holds {MANIFEST} and "
            f"{', '.join(FILES)}"
        ) from error


def _parse_manifest(path: Path, raw: bytes) -> Manifest:
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error}); copy the bundle again") from error

    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path} has format_version {version!r}; this software reads {FORMAT_VERSION}: "
            "use the release of Outcrop that wrote it, or train again"
        )

    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BundleError(f"{path}: field {place}: {first['msg']}; train again") from error

    missing = sorted(set(FILES) - set(manifest.files))
    if missing:
        raise BundleError(f"{path} lists no {', '.join(missing)}; copy the bundle again")
    return manifest


def _encode(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content

    for name, array in content.items():
        if array.dtype.hasobject:
            raise BundleError(f"array {name} holds Python objects; expected numbers")

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **content)
    return buffer.getvalue()


def write_bundle(
    path: str | os.PathLike[str],
    manifest: Manifest,
    files: Mapping[str, Content],
    check: Callable[[Bundle], object] = lambda _: None,
) -> Bundle:
    """Write a bundle and open it; nothing is left behind if either fails.

    Parameters
    ----------
    path : path-like
        Must not exist yet.
    manifest : Manifest
        Its `files` and `format_version` are filled in here.
    files : mapping
        Content of each of `FILES`: bytes, or arrays for an .npz file. Files for people, such as a
        model card, may be added.
    check : callable, optional
        Called with the complete bundle before it is moved to its path. If it raises an
        exception, no bundle is written.

    Raises
    ------
    BundleError
        If path exists or a file is missing from `files`.
    """
    folder = Path(path)
    if folder.exists():
        raise BundleError(f"{folder} exists already; remove it or choose another --output")
    missing = sorted(set(FILES) - set(files))
    if missing:
        raise BundleError(f"a bundle needs {', '.join(missing)}; got {', '.join(sorted(files))}")

    contents = {name: _encode(content) for name, content in files.items()}
    contents[MANIFEST] = _complete(manifest, contents)

    # The folder gets its name only when everything in it is written and checked.
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in contents.items():
            _write(temporary / name, content)
        check(Bundle.open(temporary))
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise

    return Bundle.open(folder)


def _complete(manifest: Manifest, contents: Mapping[str, bytes]) -> bytes:
    """Return manifest.json with an entry for each file."""
    files = {name: FileEntry(sha256=_sha256(c), bytes=len(c)) for name, c in contents.items()}
    complete = manifest.model_copy(update={"format_version": FORMAT_VERSION, "files": files})
    return (complete.model_dump_json(indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
