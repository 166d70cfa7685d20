"""Weight files in: reports for every key, and no code is ever run."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

import zoo
from zoo.checkpoints.files import find_checkpoint, newest_run
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.weights import compare, load_weights
from zoo.errors import CheckpointError


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("was_run",))


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".wrapped.ckpt"])
def test_weights_come_back(tiny, tmp_path, suffix):
    model = zoo.from_config(tiny)
    path = tmp_path / f"weights{suffix}"
    match suffix:
        case ".safetensors":
            save_file(model.state_dict(), path)
        case ".ckpt":
            torch.save({"state_dict": model.state_dict()}, path)
        case _:
            torch.save(
                {"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}}, path
            )
    again = zoo.from_config(tiny, checkpoint=path)
    for key, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])
    with pytest.raises(CheckpointError, match="holds no config"):
        zoo.from_checkpoint(path)


def test_the_report_names_every_kind_of_key(tiny):
    model = zoo.from_config(tiny)
    weights = dict(model.state_dict())
    weights["extra"] = torch.zeros(1)
    del weights["encoder.layers.0.bias"]
    weights["decoder.layers.0.bias"] = torch.zeros(99)
    report = compare(model, weights)
    assert report.unexpected == ("extra",)
    assert report.missing == ("encoder.layers.0.bias",)
    assert report.mis_shaped == ("decoder.layers.0.bias",)
    assert len(report.matched) == len(model.state_dict()) - 2
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"file.*1 missing.*1 unexpected.*1 mis-shaped"):
        load_weights(model, weights, "file")
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_pickle_with_a_payload_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Payload()}, "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Payload()))
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(CheckpointError, match=rf"{name}: .*"):
            read_checkpoint(name)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 10, 500, -30])
def test_truncated_files_are_named(tiny, tmp_path, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    state = zoo.from_config(tiny).state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="truncated or damaged") as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)


def test_a_file_without_weights_is_named(tmp_path):
    path = tmp_path / "list.ckpt"
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(path)


def test_run_folders(tmp_path):
    assert newest_run(tmp_path) is None
    folders = [tmp_path / "runs" / name / "checkpoints" for name in ("a", "b")]
    for age, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "last.ckpt").touch()
        os.utime(folder / "last.ckpt", (age, age))
    assert newest_run(tmp_path) == folders[1].parent
    assert find_checkpoint(folders[0].parent) == folders[0] / "last.ckpt"
    (folders[0] / "best.ckpt").touch()
    assert find_checkpoint(folders[0].parent) == folders[0] / "best.ckpt"
    with pytest.raises(CheckpointError, match="no such file or folder"):
        find_checkpoint(tmp_path / "nowhere")
    assert find_checkpoint(tmp_path) == folders[0] / "best.ckpt"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        find_checkpoint(tmp_path / "empty")
