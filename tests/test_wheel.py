"""The wheel, installed alone beside the locked packages and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import torch

import zoo
from zoo.config.library import list_models, list_recipes

ROOT = Path(__file__).resolve().parents[1]
QUICK = (
    "trainer.max_steps=2",
    "trainer.val_check_interval=2",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "data.workers=0",
    "data.batch_size=1",
    "data.segment_samples=4096",
    "data.synthesis.files=2",
    "data.synthesis.seconds=1",
    "data.validation_crops=1",
    "examples.clips=0",
    "logger.type=csv",
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that knows nothing of the checkout and of the tests' environment."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )


def succeed(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it has to end well."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    succeed(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory) -> Path:
    """Commands of an environment that holds the wheel and sees the locked packages."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    succeed(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    scripts, site = (
        Path(sysconfig.get_path(kind, "venv", {"base": str(folder)}))
        for kind in ("scripts", "purelib")
    )
    python = scripts / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel]
    succeed(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder.parent)
    # A path in a .pth file is only added to the end of sys.path: the editable zoo of the running
    # environment hangs on a .pth file there, which is not read.
    locked = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (site / "locked.pth").write_text("\n".join(locked) + "\n", encoding="utf-8")
    return scripts


def test_wheel_holds_the_configs_and_recipes_of_the_checkout(wheel):
    members = zipfile.ZipFile(wheel).namelist()
    for kind in ("configs", "recipes"):
        packed = [name for name in members if name.startswith(f"zoo/_{kind}/")]
        there = [p for p in (ROOT / kind).rglob("*") if p.is_file() and p.name[0] != "."]
        assert sorted(packed) == sorted(
            f"zoo/_{kind}/{path.relative_to(ROOT / kind).as_posix()}" for path in there
        )
        assert len(packed) >= 3


def test_wheel_holds_the_licence_and_the_types_and_nothing_else(wheel):
    members = zipfile.ZipFile(wheel).namelist()
    assert "zoo/py.typed" in members
    for name in ("LICENSE", "NOTICE"):
        (path,) = [member for member in members if member.endswith(f"/licenses/{name}")]
        text = zipfile.ZipFile(wheel).read(path).decode()
        assert text == (ROOT / name).read_text(encoding="utf-8")
        assert "the zoo authors" in text
    tops = {member.split("/")[0] for member in members}
    assert tops == {"zoo", f"zoo-{zoo.__version__}.dist-info"}
    assert not [member for member in members if "__pycache__" in member]


def test_wheel_lists_what_the_checkout_lists(bin_folder, tmp_path):
    listed = succeed(bin_folder / "zoo", "list", cwd=tmp_path)
    first = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert set(list_models()) | set(list_recipes()) <= set(first)
    seen = succeed(
        bin_folder / "python",
        "-c",
        "import sys, zoo; print(zoo.__file__); print(*zoo.list_models(), *zoo.list_recipes());"
        "print(*sys.path, sep='\\n')",
        cwd=tmp_path,
    )
    file, names, *path = seen.splitlines()
    assert Path(file).is_relative_to(bin_folder.parent)
    assert names.split() == [*list_models(), *list_recipes()]
    assert str(ROOT) not in path


def test_wheel_validates(bin_folder, tmp_path):
    assert succeed(bin_folder / "zoo", "validate", "oobleck_vae_44k", cwd=tmp_path) == (
        "oobleck_vae_44k: ok\n"
    )
    refused = run(bin_folder / "zoo", "validate", "ooblek_vae_44k", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("zoo: error: unknown model 'ooblek_vae_44k'; did you mean")


def test_wheel_encodes_with_the_model_that_it_brings(wheel, bin_folder, tmp_path):
    sizes = {info.filename: info.file_size for info in zipfile.ZipFile(wheel).infolist()}
    assert 1e6 < sizes["zoo/_configs/starter_22k.safetensors"] <= 8e6
    assert "zoo/_configs/starter_22k.md" in sizes
    zoo.write_audio(tmp_path / "a.wav", torch.rand(1, 5000) - 0.5, 48000)
    done = run(bin_folder / "zoo", "encode", "a.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"using {bin_folder.parent}" in done.stderr
    assert "the small model that comes with zoo" in done.stderr
    assert zoo.Latents.load(tmp_path / "a.safetensors").samples == 5000


def test_wheel_trains(bin_folder, tmp_path):
    succeed(bin_folder / "zoo", "train", "recipe=starter", *QUICK, cwd=tmp_path)
    (last,) = tmp_path.glob("runs/starter/*/checkpoints/last.ckpt")
    checkpoint = torch.load(last, map_location="cpu", weights_only=True)
    assert checkpoint["global_step"] == 2
