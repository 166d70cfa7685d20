"""The code in README and guides runs, and its `zoo` commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from zoo.config.resolve import resolve_recipe

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {
    "train",
    "encode",
    "decode",
    "reconstruct",
    "evaluate",
    "validate",
    "list",
    "show",
    "diff",
    "schema",
    "pull",
    "export",
    "push",
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[list[str]]:
    lines = [line for line in block.splitlines() if line.startswith("zoo ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def unrun(block: str) -> bool:
    return block.startswith("# no-run: ") and len(block.splitlines()[0]) > len("# no-run: ")


@pytest.fixture
def workplace(tmp_path, run, monkeypatch) -> Path:
    """A folder with a run under `runs`, a file `audio.wav` and two in `music`."""
    (tmp_path / "runs").symlink_to(run.parents[1])
    (tmp_path / ".zoo").mkdir()
    soundfile.write(tmp_path / "audio.wav", 0.1 * torch.randn(9000, 2).clamp(-5, 5).numpy(), 32000)
    for name in ("a/x.wav", "y.flac"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "music" / name, torch.rand(4000, 1).numpy() - 0.5, 22050)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_pages():
    assert len(PAGES) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_runs(page, workplace):
    found = [block for block in blocks(page, "python") if not unrun(block)]
    names: dict[str, object] = {}
    for number, block in enumerate(found):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    assert found or page.name not in {"README.md", "codec.md", "configs.md", "training.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_runs_or_says_why_not(page, workplace):
    for block in blocks(page, "bash"):
        for arguments in commands(block):
            assert arguments[0] in COMMANDS
            if not unrun(block):
                subprocess.run([sys.executable, "-m", "zoo", *arguments], check=True, timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_training_commands_resolve(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for block in blocks(page, "bash"):
        for command, *arguments in commands(block):
            if command != "train" or any(a.startswith("resume=") for a in arguments):
                continue
            given = dict(argument.split("=", 1) for argument in arguments)
            recipe, model = given.pop("recipe", None), given.pop("model", None)
            resolve_recipe(recipe, model, [f"{key}={value}" for key, value in given.items()])


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
