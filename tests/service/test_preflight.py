"""A model that cannot be loaded is rejected by the name of its file.

That the check runs in a process of its own is tested where it is used, in test_app.
"""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest

from model_store.bundle import BundleError
from service import preflight


def rewritten(bundle: Path, folder: Path, **files: bytes) -> Path:
    """Copy a bundle, with other files, and a manifest that has their checksums."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, content in files.items():
        name = name.replace("_", ".")
        (folder / name).write_bytes(content)
        entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        manifest["files"][name] = entry
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_whole_bundle_loads(bundle: Path) -> None:
    preflight.load(bundle)


@pytest.mark.parametrize("case", ["cut", "swapped", "pickled", "other"])
def test_a_file_that_is_not_what_it_should_be_is_named(
    bundle: Path, tmp_path: Path, case: str
) -> None:
    encoder, decoder = ((bundle / f"{name}.onnx").read_bytes() for name in ("encoder", "decoder"))
    arrays = (bundle / "density.npz").read_bytes()
    files, message = {
        "cut": ({"encoder_onnx": encoder[: len(encoder) // 2]}, r"encoder\.onnx cannot be loaded"),
        "swapped": ({"encoder_onnx": decoder, "decoder_onnx": encoder}, r"onnx has inputs"),
        "pickled": ({"density_npz": pickle.dumps({})}, r"density\.npz cannot be read as arrays"),
        "other": ({"calibration_npz": arrays}, "other does not hold what this software reads"),
    }[case]
    with pytest.raises(BundleError, match=message):
        preflight.load(rewritten(bundle, tmp_path / case, **files))
