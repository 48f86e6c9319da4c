"""A model that cannot be loaded, or does not score, is rejected with one line."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from model_store.bundle import BundleError
from service import preflight
from tests.service.conftest import free_port, starting

pytestmark = pytest.mark.long


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


def without_numbers(onnx_model: bytes) -> bytes:
    """Return a network with NaN in the place of each weight."""
    model = onnx.load_from_string(onnx_model)
    for weights in model.graph.initializer:
        array = onnx.numpy_helper.to_array(weights)
        if array.dtype == np.float32:
            lost = np.full_like(array, np.nan)
            weights.CopyFrom(onnx.numpy_helper.from_array(lost, weights.name))
    return model.SerializeToString()


@pytest.fixture(scope="session")
def nan_bundle(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    decoder = without_numbers((bundle / "decoder.onnx").read_bytes())
    return rewritten(bundle, tmp_path_factory.mktemp("nan") / "bundle", decoder_onnx=decoder)


def test_a_whole_bundle_loads_and_scores(bundle: Path) -> None:
    preflight.check(bundle)


@pytest.mark.parametrize("case", ["cut", "swapped", "pickled"])
def test_a_file_that_is_not_what_it_should_be_is_named(
    bundle: Path, tmp_path: Path, case: str
) -> None:
    encoder, decoder = ((bundle / f"{name}.onnx").read_bytes() for name in ("encoder", "decoder"))
    files, message = {
        "cut": ({"encoder_onnx": encoder[: len(encoder) // 2]}, r"encoder\.onnx cannot be loaded"),
        "swapped": ({"encoder_onnx": decoder, "decoder_onnx": encoder}, r"onnx has inputs"),
        "pickled": ({"density_npz": pickle.dumps({})}, r"density\.npz cannot be read as arrays"),
    }[case]
    with pytest.raises(BundleError, match=message):
        preflight.load(rewritten(bundle, tmp_path / case, **files))


@pytest.mark.parametrize("name", ["calibration_npz", "explanation_npz"])
def test_arrays_that_this_software_does_not_read_are_one_line(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    arrays = (bundle / "density.npz").read_bytes()
    with pytest.raises(
        BundleError, match=r"other does not hold what .* reads \(KeyError"
    ) as raised:
        preflight.check(rewritten(bundle, tmp_path / "other", **{name: arrays}))
    assert "\n" not in str(raised.value)


def test_an_encoder_without_numbers_is_one_line(bundle: Path, tmp_path: Path) -> None:
    encoder = without_numbers((bundle / "encoder.onnx").read_bytes())
    with pytest.raises(BundleError, match="gives a flat spectrum wmse nan") as raised:
        preflight.check(rewritten(bundle, tmp_path / "nan", encoder_onnx=encoder))
    assert "\n" not in str(raised.value)


def test_the_service_does_not_start_with_a_decoder_without_numbers(
    nan_bundle: Path, tmp_path: Path
) -> None:
    with starting(tmp_path, port=free_port(), OUTCROP_MODEL=str(nan_bundle)) as served:
        assert served.process.wait(timeout=200) == 1
    (line,) = served.lines()
    assert line["level"] == "error"
    assert "gives a flat spectrum wmse nan" in line["message"]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
def test_a_damaged_cache_of_numba_is_one_line(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    preflight.check(bundle)
    files = list((tmp_path / "cache").rglob(pattern))
    for file in files:
        file.write_bytes(file.read_bytes()[:-20])
    assert files
    with pytest.raises(BundleError, match=r"numba's cache in .*cache is damaged") as raised:
        preflight.check(bundle)
    assert "remove it" in str(raised.value)
    assert "\n" not in str(raised.value)
