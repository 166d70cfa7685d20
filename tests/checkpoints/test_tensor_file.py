"""Files of tensors and their checksums, which are computed beside the reading."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo.checkpoints import tensor_file
from zoo.checkpoints.tensor_file import SafeTensors, write_tensors
from zoo.errors import CheckpointError

PIECE = 64


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Tensor]]:
    """Tensors of no piece, of one, of several and of some and a rest."""
    monkeypatch.setattr(tensor_file, "_PIECE_BYTES", PIECE)
    torch.manual_seed(0)
    sizes = {"empty": 0, "small": 3, "one": PIECE // 4, "five": 5 * PIECE // 4, "rest": 70}
    tensors = {name: torch.randn(size) for name, size in sizes.items()}
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors, {"fact": "1"})
    return path, tensors


def test_pieces_make_the_whole(written):
    path, tensors = written
    file = SafeTensors(path)
    assert file.metadata["fact"] == "1" and set(file) == set(tensors)
    theirs = load_file(path)
    for name, value in tensors.items():
        assert torch.equal(file[name], value) and torch.equal(theirs[name], value)


def test_without_checksums(tmp_path, written):
    _, tensors = written
    save_file(tensors, tmp_path / "plain.safetensors")
    file = SafeTensors(tmp_path / "plain.safetensors")
    assert all(torch.equal(file[name], value) for name, value in tensors.items())


@pytest.mark.parametrize("name", ["small", "one", "five", "rest"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_flipped_byte_in_any_piece_is_found(written, name, share):
    path, tensors = written
    content = bytearray(path.read_bytes())
    raw = struct.pack(f"{tensors[name].numel()}f", *tensors[name].tolist())
    at = content.index(raw) + int(share * (len(raw) - 1))
    content[at] ^= 1
    path.write_bytes(content)
    file = SafeTensors(path)
    with pytest.raises(CheckpointError, match=f"the checksum of '{name}' is another one"):
        file[name]
    for other in set(tensors) - {name}:
        assert torch.equal(file[other], tensors[other])


def test_a_file_that_shrinks_meanwhile_is_damaged(written):
    path, _ = written
    file = SafeTensors(path)
    last = max(file, key=lambda name: file._places[name].start)
    path.write_bytes(path.read_bytes()[:-PIECE])
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        file[last]
