"""Registry: bundles in BentoML's model store, by tag.

The store is below BENTOML_HOME. Without that variable it is below the repository, not below the
home folder as BentoML's own default is, so that `make` and a shell see the same models.
"""

import os
import shutil
from pathlib import Path

# BentoML sends usage statistics unless this is set before it is imported.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
from bentoml._internal.models import ModelStore  # not exported by bentoml.models
from bentoml.exceptions import BentoMLException, NotFound

from .bundle import Bundle, BundleError

# As in the Makefile.
DEFAULT_HOME = Path(__file__).parents[1] / ".cache" / "bentoml"
_BUNDLE = "bundle"


def place() -> Path:
    """Return the folder of the store, which may not exist yet."""
    home = os.environ.get("BENTOML_HOME")
    return (Path(os.path.expandvars(home)).expanduser() if home else DEFAULT_HOME) / "models"


def add(path: str | os.PathLike[str]) -> str:
    """Verify the bundle at path and copy it into the store; return its tag, name:version.

    Raises
    ------
    BundleError
        If the bundle is damaged or the tag is taken.
    """
    bundle = Bundle.open(path)
    tag = f"{bundle.manifest.name}:{bundle.manifest.version}"
    labels = {"sample": bundle.manifest.sample.label.replace(" ", "-")}
    store = ModelStore(place())
    try:
        with bentoml.models.create(tag, labels=labels, _model_store=store) as model:
            bundle.copy_to(Path(model.path_of(_BUNDLE)))
    except BentoMLException as error:
        raise BundleError(f"{tag} cannot be added to the model store: {error}") from error
    return tag


def bundles() -> list[tuple[str, Path]]:
    """Return tag and folder of each bundle in the store, newest first."""
    if not place().is_dir():
        return []
    stored = bentoml.models.list(_model_store=ModelStore(place()))
    models = sorted(stored, key=lambda m: m.info.creation_time, reverse=True)
    found = [(str(model.tag), Path(model.path_of(_BUNDLE))) for model in models]
    return [(tag, path) for tag, path in found if path.is_dir()]


def resolve(bundle: str | os.PathLike[str]) -> Path:
    """Return the folder of a bundle, given that folder or a tag of the model store.

    Raises
    ------
    BundleError
        If it is neither.
    """
    if Path(bundle).is_dir():
        return Path(bundle)
    try:
        model = bentoml.models.get(str(bundle), _model_store=ModelStore(place()))
        return Path(model.path_of(_BUNDLE))
    except (BentoMLException, NotFound, ValueError) as error:
        raise BundleError(
            f"{bundle} is neither a bundle's folder nor a tag of the model store; "
            "see `python -m model_store list`"
        ) from error


def export(tag: str, folder: str | os.PathLike[str]) -> Path:
    """Copy a stored bundle to a folder that does not exist yet; return the folder.

    Raises
    ------
    BundleError
        If the tag is unknown, the bundle damaged or the folder exists.
    """
    target = Path(folder)
    if target.exists():
        raise BundleError(f"{target} exists already; choose another folder")
    bundle = Bundle.open(resolve(tag))
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    bundle.copy_to(temporary)
    temporary.rename(target)
    return target
