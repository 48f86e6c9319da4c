"""Registry: bundles in BentoML's model store, by tag."""

import os
import shutil
from pathlib import Path

# BentoML sends usage statistics unless this is set before it is imported.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from .bundle import Bundle, BundleError

_BUNDLE = "bundle"


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
    try:
        with bentoml.models.create(tag, labels=labels) as model:
            bundle.copy_to(Path(model.path_of(_BUNDLE)))
    except BentoMLException as error:
        raise BundleError(f"{tag} cannot be added to the model store: {error}") from error
    return tag


def bundles() -> list[tuple[str, Path]]:
    """Return tag and folder of each bundle in the store, newest first."""
    models = sorted(bentoml.models.list(), key=lambda m: m.info.creation_time, reverse=True)
    stored = [(str(model.tag), Path(model.path_of(_BUNDLE))) for model in models]
    return [(tag, path) for tag, path in stored if path.is_dir()]


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
        return Path(bentoml.models.get(str(bundle)).path_of(_BUNDLE))
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
