"""What can go wrong while a model is written or read again: one message, and nothing is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import zoo
from tests.checkpoints.test_layouts import random_model, same
from tests.conftest import TINY
from zoo.checkpoints.tensor_file import SafeTensors
from zoo.errors import CheckpointError

ROOT = Path(__file__).parents[2]


def exported(folder: Path, seed: int = 0) -> Path:
    zoo.export(random_model(seed), "zoo", folder)
    return folder / "model.safetensors"


def test_a_flipped_byte_of_an_exported_weight_is_found(tmp_path):
    path = exported(tmp_path / "a")
    content = bytearray(path.read_bytes())
    key = "decoder.layers.0.weight_v"
    place = content.index(random_model().state_dict()[key].numpy().tobytes())
    content[place + 5] ^= 16
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: damaged: .* '{key}'"):
        zoo.from_pretrained(tmp_path / "a")
    # What others have written has no checksums.
    save_file(random_model().state_dict(), tmp_path / "plain.safetensors")
    assert same(zoo.from_config(TINY, checkpoint=tmp_path / "plain.safetensors"), random_model())


@pytest.mark.parametrize("kept", [0, 10, 500, -1])
def test_a_truncated_export_is_named(kept, tmp_path):
    path = exported(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a readable checkpoint"):
        zoo.from_pretrained(tmp_path / "a")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = exported(tmp_path / "a")
    file = SafeTensors(path)
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        dict(file)
    path.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        dict(file)


def test_a_model_does_not_depend_on_its_file(tmp_path):
    """Of a mapped file, the weights would change, or the process be killed."""
    path = exported(tmp_path / "a")
    model = zoo.from_pretrained(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert same(model, random_model())
    exported(tmp_path / "a")
    model = zoo.from_pretrained(path)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert same(zoo.from_pretrained(path), random_model())
    torch.save({"state_dict": model.state_dict(), "model_config": TINY}, tmp_path / "b.ckpt")
    model = zoo.from_pretrained(tmp_path / "b.ckpt")
    torch.save(model.state_dict(), tmp_path / "b.ckpt")
    assert same(zoo.from_config(TINY, checkpoint=tmp_path / "b.ckpt"), model)


# No file may grow beyond what is left on a full disk; the signal for it is ignored.
FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import torch
from zoo.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
sys.argv = ["zoo", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit works otherwise elsewhere")
def test_a_full_disk(tmp_path):
    old = exported(tmp_path / "out", seed=1).read_bytes()
    exported(tmp_path / "model")
    assert len(old) > 20000
    done = subprocess.run(
        [sys.executable, "-c", FULL, "export", "model", "--format", "zoo", "-o", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("zoo: using")]
    assert len(told) == 1, done.stderr
    assert told[0].startswith("zoo: error: out: File too large;")
    assert "nothing is written" in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == old


def test_a_full_disk_for_programs(tmp_path, monkeypatch):
    def full(*given: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed")

    from tests.inference.export.test_traced import VAE
    from zoo.inference.export import program

    empty = torch.export.export(torch.nn.Identity(), (torch.ones(1),))
    monkeypatch.setattr(program, "traced", lambda side: empty)
    monkeypatch.setattr("torch.export.save", full)
    with pytest.raises(OSError, match=r"PytorchStreamWriter failed.*nothing is written"):
        zoo.export(random_model(config=VAE), "torch-export", tmp_path / "out")
    assert not list(tmp_path.iterdir())


WRITE = """
import sys
from pathlib import Path
from zoo.checkpoints.folder import MARK, whole_folder
for _ in range(40):
    with whole_folder(Path("out")) as part:
        for name in ("README.md", "config.json", "model.safetensors"):
            (part / name).write_text(MARK + sys.argv[1])
"""


def test_two_processes_write_the_same_folder(tmp_path):
    """It is the one's or the other's, never a bit of both."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, "-c", WRITE, who], cwd=tmp_path, env=env, stderr=-1)
        for who in ("one", "two")
    ]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    found = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert found.keys() == {"README.md", "config.json", "model.safetensors"}
    assert len(set(found.values())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
