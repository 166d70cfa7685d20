"""Files of `torch.save`: each tensor gets memory of its own, and the file's is given back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from zoo.checkpoints.torch_file import TorchTensors


def test_tensors_are_as_saved_and_do_not_need_the_file(tmp_path):
    path = tmp_path / "a.ckpt"
    base = torch.randn(5000, 3)
    saved = {
        "whole": base,
        "view": base[1000:2000].T,
        "half": base.half(),
        "empty": torch.empty(0),
        "number": torch.tensor(7),
    }
    torch.save({"state_dict": saved, "global_step": 3, "config": {"a": {"b": 1}}}, path)
    content = TorchTensors(path)
    assert content["global_step"] == 3
    assert content["config"] == {"a": {"b": 1}}
    read = dict(content["state_dict"])
    path.write_bytes(bytes(path.stat().st_size))
    assert list(read) == list(saved)
    for key, value in saved.items():
        assert (read[key].dtype, read[key].shape) == (value.dtype, value.shape)
        assert torch.equal(read[key], value)


def test_a_tensor_asked_for_twice_is_the_same(tmp_path):
    torch.save({"a": torch.arange(10_000)}, tmp_path / "a.pt")
    content = TorchTensors(tmp_path / "a.pt")
    first = content["a"]
    assert torch.equal(content["a"], first)
    assert content["a"].data_ptr() != first.data_ptr()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read as Linux gives it")
def test_nothing_is_in_memory_twice(tmp_path):
    path, size = tmp_path / "a.ckpt", 64 << 20
    torch.save({str(n): torch.randn(size // 64) for n in range(16)}, path)
    list(TorchTensors(path).values())
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    read = dict(TorchTensors(path))
    assert sum(value.nbytes for value in read.values()) == size
    assert memory("VmHWM") - before < 1.4 * size


def memory(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))
