"""What is wrong with a weight file is one message, and nothing is damaged."""

from __future__ import annotations

import collections
import copy
import json

import pytest
import torch
from safetensors.torch import save_file

import zoo
from tests.checkpoints.test_layouts import random_model, same
from tests.conftest import TINY
from zoo.checkpoints.files import find_checkpoint
from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.weights import load_weights
from zoo.errors import CheckpointError


def test_a_flipped_byte_of_a_weight_is_found(tmp_path):
    """torch itself loads such a file without a word."""
    path, model = tmp_path / "a.ckpt", random_model()
    torch.save({"state_dict": model.state_dict()}, path)
    content = bytearray(path.read_bytes())
    key = "decoder.layers.0.weight_v"
    place = content.index(model.state_dict()[key].numpy().tobytes())
    content[place + 5] ^= 16
    path.write_bytes(content)
    changed = torch.load(path, weights_only=True)["state_dict"][key]
    assert not torch.equal(changed, model.state_dict()[key])
    with pytest.raises(CheckpointError, match=rf"a\.ckpt: damaged: the checksum of '{key}'"):
        zoo.from_config(TINY, checkpoint=path)


def test_files_without_checksums_are_read(tmp_path):
    model = random_model()
    old = tmp_path / "old.ckpt"
    torch.save(model.state_dict(), old, _use_new_zipfile_serialization=False)
    assert same(zoo.from_config(TINY, checkpoint=old), model)
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(model.state_dict(), tmp_path / "new.ckpt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert same(zoo.from_config(TINY, checkpoint=tmp_path / "new.ckpt"), model)


def test_a_damaged_header_is_found(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(random_model().state_dict(), path)
    content = bytearray(path.read_bytes())
    content[20] ^= 128
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        read_checkpoint(path)


def test_half_the_keys(tmp_path):
    whole = random_model(1).state_dict()
    half = {key: value for key, value in whole.items() if key.startswith("encoder.")}
    torch.save(half, tmp_path / "half.pt")
    with pytest.raises(CheckpointError) as error:
        zoo.from_config(TINY, checkpoint=tmp_path / "half.pt")
    first, *lines, last = str(error.value).splitlines()
    assert f"{len(half)} keys matched, {len(whole) - len(half)} missing" in first
    assert lines[0].startswith("  missing decoder.layers.0.")
    assert "--partial" in last
    model = zoo.from_config(TINY, checkpoint=tmp_path / "half.pt", partial=True)
    assert model.loaded.matched == tuple(half)
    assert set(model.loaded.missing) == set(whole) - set(half)
    for key, value in half.items():
        assert torch.equal(model.state_dict()[key], value)


def test_another_model(tmp_path):
    other = copy.deepcopy(TINY)
    for part in ("encoder", "decoder"):
        other["model"][part]["config"]["channels"] = 6
    torch.save(random_model(config=other).state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"mis-shaped encoder[\w.]*: \(6, 2, 7\), but .*\(4,"):
        zoo.from_config(TINY, checkpoint=tmp_path / "a.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "b.pt")
    for partial in (False, True):
        with pytest.raises(CheckpointError, match="these are weights of another model"):
            zoo.from_config(TINY, checkpoint=tmp_path / "b.pt", partial=partial)


def test_a_refused_file_leaves_the_model_as_it_was():
    model, before = random_model(), random_model()
    weights = dict(random_model(1).state_dict())
    weights["encoder.layers.0.bais"] = weights.pop("encoder.layers.0.bias")
    with pytest.raises(CheckpointError, match=r"did you mean 'encoder\.layers\.0\.bias'"):
        load_weights(model, weights, "file")
    assert same(model, before)
    report = load_weights(model, weights, "file", partial=True)
    assert (report.unexpected, report.missing) == (
        ("encoder.layers.0.bais",),
        ("encoder.layers.0.bias",),
    )
    with pytest.raises(AttributeError):
        report.source = "other"  # type: ignore[misc]


def test_what_a_file_needs_besides_tensors_is_named(tmp_path):
    torch.save({"state_dict": {}, "x": collections.Counter()}, tmp_path / "fine.ckpt")
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(tmp_path / "fine.ckpt")
    torch.save({"state_dict": {}, "x": tmp_path}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"needs pathlib\.\w+\); save its state dict as"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_folders_that_do_not_say_which_file(tmp_path):
    torch.save(random_model().state_dict(), tmp_path / "one.ckpt")
    assert find_checkpoint(tmp_path) == tmp_path / "one.ckpt"
    torch.save(random_model().state_dict(), tmp_path / "two.ckpt")
    with pytest.raises(CheckpointError, match=r"which one\? one\.ckpt, two\.ckpt"):
        find_checkpoint(tmp_path)
    (tmp_path / "model_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"model_config\.json: not a readable config"):
        read_checkpoint(tmp_path / "one.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps({"model_type": "diffusion_cond"}))
    with pytest.raises(CheckpointError, match="holds no config"):
        zoo.from_checkpoint(tmp_path / "one.ckpt")
