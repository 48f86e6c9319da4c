"""A bundle that differs from what training wrote is refused; the message names the file."""

import hashlib
import json
import os
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.bundle import FILES, MANIFEST, Bundle, BundleError, Manifest, write_bundle


def manifest(**changes: Any) -> Manifest:
    """A manifest without files, with some fields changed."""
    fields: dict[str, Any] = {
        "version": "2026.1",
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "sample": {
            "kind": "desi",
            "release": "edr",
            "tiles": ["tile 80613"],
            "counts": {"read": 500, "snr": 400},
        },
        "calibration": {"kind": "simulated", "tiles": ["tile 1"], "counts": {"calibration": 90}},
        "configuration": {"network": {"latents": 10}},
        "grid": {"first": 3600.0, "last": 7556.0, "bins": 1000},
        "redshift_range": (0.0, 0.3),
        "latents": 10,
        "neighbours": 20,
        "thresholds": {"wmse": 2.55, "nof": -1.44},
        "paper_thresholds": {"wmse": 2.5, "nof": -1.4},
        "p_level": 0.01,
        "code": "0.1.0",
        "packages": {"numpy": "2.4.6"},
    }

    return Manifest.model_validate(fields | changes)


@pytest.fixture
def files() -> dict[str, Any]:
    content: dict[str, Any] = {name: name.encode() for name in FILES if name.endswith(".onnx")}
    for name in FILES:
        if name.endswith(".npz"):
            content[name] = {"a": np.arange(3, dtype=np.float32)}
    return content


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, Any]) -> Path:
    return write_bundle(tmp_path / "bundle", manifest(), files | {"CARD.md": b"# Card\n"}).path


def test_what_was_written_is_read(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.manifest.sample.label == "desi edr"
    assert list(bundle.manifest.sample.counts) == ["read", "snr"]
    assert bundle.bytes("encoder.onnx") == b"encoder.onnx"
    np.testing.assert_array_equal(bundle.arrays("density.npz")["a"], [0, 1, 2])
    assert set(bundle.manifest.files) == {*FILES, "CARD.md"}


@pytest.mark.parametrize(
    ("configuration", "corrected"),
    [
        ({"sample": {"noise_correction": True}}, True),
        ({"sample": {"noise_correction": False}}, False),
        ({"sample": {"min_snr": 5.0}}, None),
        ({"sample": {"noise_correction": "yes"}}, None),
        ({"sample": []}, None),
        ({}, None),
    ],
)
def test_it_tells_whether_the_noise_of_its_sample_was_corrected(
    configuration: dict[str, Any], corrected: bool | None
) -> None:
    assert manifest(configuration=configuration).noise_correction is corrected


@pytest.mark.parametrize("name", [*FILES, "CARD.md"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_file_is_refused_by_name(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-1]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray()
    path.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        Bundle.open(folder)


def test_swapped_files_are_refused_by_name(folder: Path) -> None:
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    one, other = encoder.read_bytes(), decoder.read_bytes()
    encoder.write_bytes(other)
    decoder.write_bytes(one)
    with pytest.raises(BundleError, match=r"encoder\.onnx"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.open(folder)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["encoder.onnx", "CARD.md", MANIFEST])
@pytest.mark.parametrize("kind", ["pipe", "zeros", "loop", "folder"])
def test_what_is_not_a_regular_file_is_refused_by_name(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(name)
    else:
        path.mkdir()
    with pytest.raises(BundleError, match=re.escape(str(path))) as raised:
        Bundle.open(folder)
    assert "\n" not in str(raised.value)


def test_a_copy_holds_what_was_verified_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(folder)
    (folder / "CARD.md").write_text("changed after it was opened")
    (folder / "endless").symlink_to("/dev/zero")
    bundle.copy_to(tmp_path / "copy")
    copy = Bundle.open(tmp_path / "copy")
    assert copy.sha256 == bundle.sha256
    assert {path.name for path in copy.path.iterdir()} == {MANIFEST, *bundle.manifest.files}


def test_a_pickle_is_never_executed(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    # Even if its checksum matches: arrays are read with allow_pickle=False.
    content = pickle.dumps(Trap())
    (folder / "density.npz").write_bytes(content)
    _edit(folder, lambda m: m["files"]["density.npz"].update(sha256=_sha256(content)))
    with pytest.raises(ValueError, match="pickle"):
        Bundle.open(folder).arrays("density.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(format_version=7), "format_version 7; this software reads 9"),
        (lambda m: m.pop("format_version"), "format_version None"),
        (lambda m: m.update(p_level=2), "p_level"),
        (lambda m: m.update(finest_p=0), "finest_p"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["files"].pop("encoder.onnx"), "encoder.onnx"),
        (lambda m: m["files"].pop("training_targetids.npz"), "training_targetids.npz"),
        (lambda m: m["files"].update({"../x": {"sha256": "0" * 64, "bytes": 1}}), "x"),
    ],
)
def test_a_wrong_manifest_is_refused_by_field(folder: Path, edit: Any, message: str) -> None:
    _edit(folder, edit)
    with pytest.raises(BundleError, match=message):
        Bundle.open(folder)


def test_a_manifest_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match=r"manifest\.json is not JSON"):
        Bundle.open(folder)


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        Bundle.open(tmp_path / "nowhere")


def test_nothing_is_left_when_writing_fails(tmp_path: Path, files: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="Python objects"):
        write_bundle(
            tmp_path / "bundle", manifest(), files | {"density.npz": {"a": np.array([{}])}}
        )
    with pytest.raises(BundleError, match="decoder"):
        write_bundle(
            tmp_path / "bundle",
            manifest(),
            {k: v for k, v in files.items() if k != "decoder.onnx"},
        )
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_not_overwritten(folder: Path, files: dict[str, Any]) -> None:
    before = (folder / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(folder, manifest(version="other"), files)
    assert (folder / MANIFEST).read_bytes() == before


def test_the_specification_names_every_field_and_file() -> None:
    text = (Path(__file__).parents[2] / "model_store" / "README.md").read_text()
    for name in (*Manifest.model_fields, *FILES):
        assert f"`{name}`" in text


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _edit(folder: Path, edit: Any) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    edit(content)
    (folder / MANIFEST).write_text(json.dumps(content))
