"""A bundle whose encoder fails for some spectra."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def failing_bundle(bundle: Path, folder: Path, value: float, below: float = 0) -> Path:
    """Copy a bundle; its encoder gives this latent to spectra whose first bin is below a flux."""
    shutil.copytree(bundle, folder)
    path = folder / "encoder.onnx"
    model = onnx.load_model_from_string(path.read_bytes())
    for node in model.graph.node:
        node.output[:] = ["healthy" if name == "latent" else name for name in node.output]
        node.input[:] = ["healthy" if name == "latent" else name for name in node.input]
    for name, array in (
        ("first", np.zeros(1, np.int64)),
        ("below", np.array([below], np.float32)),
        ("value", np.array([value], np.float32)),
    ):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    model.graph.node.extend(
        [
            helper.make_node("Gather", ["flux", "first"], ["first_bin"], axis=1),
            helper.make_node("Less", ["first_bin", "below"], ["fails"]),
            helper.make_node("Where", ["fails", "value", "healthy"], ["latent"]),
        ]
    )
    content = model.SerializeToString()
    path.write_bytes(content)

    manifest = json.loads((folder / "manifest.json").read_text())
    checksum = hashlib.sha256(content).hexdigest()
    manifest["files"][path.name] = {"sha256": checksum, "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
