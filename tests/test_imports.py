"""What importing costs, and what every file of the package has to keep to."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "zoo"
SOURCES = sorted(PACKAGE.rglob("*.py"))
WALKED = [zoo.__name__, *(m.name for m in pkgutil.walk_packages(zoo.__path__, "zoo."))]
# Importing `zoo.__main__` runs the command.
MODULES = [name for name in WALKED if name != "zoo.__main__"]

# Packages that take long to import.
HEAVY = (
    "torch",
    "torchaudio",
    "lightning",
    "wandb",
    "numpy",
    "scipy",
    "matplotlib",
    "huggingface_hub",
    "stable_audio_tools",
)

# Put together here, so that this file names none of them.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("files", "pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("pypi", "nvidia", "com"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("conda", "anaconda", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
]


# Imports each module before all others of the package, in a fork that has torch and the like.
EACH_FIRST = """
import importlib, os, sys
names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
    del sys.modules[name]
failed = []
for name in names:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(len(failed))
"""


def modules_after(code: str, *arguments: str) -> set[str]:
    """Names of the top-level modules that are loaded once `code` has run in a new process."""
    script = f"import sys, contextlib\nwith contextlib.suppress(SystemExit):\n    {code}\n"
    script += "print('\\n', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def registries_in(text: str) -> list[str]:
    """The registries whose host name a text has."""
    return [host for host in REGISTRIES if host in text.lower()]


def repository_files() -> list[Path]:
    """What git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_every_module_can_be_imported():
    for name in MODULES:
        importlib.import_module(name)
    # A folder without __init__.py would hide its modules from the walk, and from the wheel's users.
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCES
    }
    assert set(WALKED) == files
    assert len(MODULES) > 70


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_every_module_can_be_imported_first():
    done = subprocess.run(
        [sys.executable, "-c", EACH_FIRST, *MODULES], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_zoo_is_cheap():
    loaded = modules_after("import zoo")
    assert "zoo" in loaded
    assert not loaded & {*HEAVY, "pydantic", "typer", "rich", "yaml", "omegaconf"}


def test_the_measure_sees_heavy_modules():
    assert "numpy" in modules_after("import zoo.data.sounds")


def test_all_names_resolve():
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert dir(zoo) == zoo.__all__ == sorted(zoo.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = zoo.nothing


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("train", "--help"),
        ("list",),
        ("validate", "oobleck_vae_44k"),
        ("validate", "starter"),
        ("validate", "nothing_like_it"),
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(arguments):
    loaded = modules_after("from zoo.cli.main import main; main()", *arguments)
    assert "typer" in loaded
    assert not loaded & set(HEAVY)


def test_zoo_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{zoo.__version__}\n"), done.stderr


def test_no_file_names_a_package_registry():
    files = repository_files()
    assert len(files) > 100
    found = {}
    for file in files:
        text = file.read_bytes().decode("utf-8", errors="replace")
        if hosts := registries_in(text):
            found[str(file.relative_to(ROOT))] = hosts
    assert found == {}
    assert registries_in("-i https://" + REGISTRIES[0].upper() + "/simple") == [REGISTRIES[0]]


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): count
        for path in SOURCES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long == {}
