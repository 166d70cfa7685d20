"""Exported folders are whole or not there, and nobody else's are touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import zoo
from tests.checkpoints.test_layouts import random_model, same
from zoo.checkpoints.folder import MARK, whole_folder
from zoo.errors import CheckpointError, ZooError


def test_a_folder_of_ours_is_replaced_and_others_are_not(tmp_path):
    out = tmp_path / "deep" / "out"
    zoo.export(random_model(0), "zoo", out)
    zoo.export(random_model(1), "stable-audio-tools", out)
    assert same(zoo.from_pretrained(out), random_model(1))
    (out / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="--force"):
        zoo.export(random_model(2), "stable-audio-tools", out)
    zoo.export(random_model(2), "onnx", out, force=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "model.safetensors").exists()
    zoo.export(random_model(2), "stable-audio-tools", out, force=True)
    assert not (out / "encoder.onnx").exists()
    assert same(zoo.from_pretrained(out), random_model(2))
    (out / "README.md").write_text("mine")
    for name in ("notes.txt", "model.safetensors"):
        other = tmp_path / name.split(".")[0]
        other.mkdir()
        (other / name).write_text("mine")
        with pytest.raises(CheckpointError, match=r"other files than zoo export has.*--force"):
            zoo.export(random_model(), "zoo", other)
        assert [(file.name, file.read_text()) for file in other.iterdir()] == [(name, "mine")]
    with pytest.raises(CheckpointError, match="--force"):
        zoo.export(random_model(), "zoo", out)
    with pytest.raises(CheckpointError, match="is a file"):
        zoo.export(random_model(), "zoo", out / "README.md")
    zoo.export(random_model(2), "zoo", tmp_path / "notes", force=True)
    assert (tmp_path / "notes" / "notes.txt").read_text() == "mine"
    assert same(zoo.from_pretrained(tmp_path / "notes"), random_model(2))
    with pytest.raises(ZooError, match=r"format 'tflite': unknown \(allowed: zoo, stable"):
        zoo.export(random_model(), "tflite", tmp_path / "new")  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "model", "notes"]
    mode = stat.S_IMODE((out / "model.safetensors").stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    assert mode == 0o666 & ~mask


def half_written(out: Path) -> None:
    with whole_folder(out) as part:
        (part / "README.md").write_text(f"{MARK}\nnew")
        raise RuntimeError


@pytest.mark.parametrize("before", [False, True])
def test_what_fails_half_way_leaves_what_was_there(before, tmp_path):
    out = tmp_path / "out"
    if before:
        out.mkdir()
        (out / "README.md").write_text(f"{MARK}\nold")
    with pytest.raises(RuntimeError):
        half_written(out)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if before else [])
    assert not before or "old" in (out / "README.md").read_text()
