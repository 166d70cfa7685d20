"""Installs the lock, trains two steps and runs the quick tests on each supported Python found.

Run with `make test-pythons`, or `python benchmarks/pythons.py 3.13` for some versions only. Looks
on PATH and among pyenv's versions. Needs the network, some minutes and 10 GB of temporary space:
each environment is deleted before the next. Writes benchmarks/results/pythons.json; exit code 1
where an install or a test fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from install import ROOT, TRAINING, StepError, install, machine, step, write_result

RESULT = ROOT / "benchmarks" / "results" / "pythons.json"
VERSIONS = ("3.11", "3.12", "3.13")
TESTS = ("tests/config", "tests/nets", "tests/test_factory.py", "tests/test_imports.py")
PYTEST = ("-m", "pytest", "-m", "not slow", "--color=no", *TESTS)


@dataclass(frozen=True)
class Outcome:
    """What came of one version; `seconds` are those of the steps that were done."""

    result: str
    python: str | None = None
    torch: str | None = None
    tests: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.result.startswith("failed")

    def row(self, version: str) -> str:
        """A line of the table."""
        install_seconds = sum(self.seconds.get(name, 0) for name in ("venv", "lock", "wheel"))
        tested = self.seconds.get("tests", 0)
        return (
            f"{self.python or version:10}{install_seconds:8.0f} s{tested:8.0f} s"
            f"  {self.result}{f', {self.tests}' if self.tests else ''}"
        )


def candidates(version: str) -> list[Path]:
    """Where a version may lie: on PATH, then among pyenv's versions, the newest first."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    roots = dict.fromkeys([os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")])
    for root in filter(None, roots):
        found = (Path(root) / "versions").glob(f"{version}.*/bin")
        folders += sorted(found, key=lambda path: _patch(path.parent.name), reverse=True)
    names = [shutil.which(f"python{version}", path=str(folder)) for folder in folders]
    return [Path(name) for name in names if name]


def _patch(version: str) -> int:
    digits = version.rpartition(".")[2]
    return int(digits) if digits.isdigit() else -1


def find(version: str) -> tuple[Path, str] | None:
    """The first interpreter that runs and can make environments, and its full version."""
    # pyenv's shims are there for every version, and fail for those not chosen.
    code = "import sys, ensurepip, venv; print(sys.base_prefix, '%d.%d.%d' % sys.version_info[:3])"
    for path in candidates(version):
        done = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if done.returncode == 0:
            return path, done.stdout.split()[-1]
    return None


def check(version: str) -> Outcome:
    """Installs and tests on one version."""
    interpreter = find(version)
    if interpreter is None:
        print(f"Python {version}: not found")
        return Outcome("not found")
    path, full = interpreter
    print(f"Python {full}")
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix=f"zoo-python{version}-") as name:
        folder = Path(name)
        try:
            seconds = install(path, folder)
            commands = folder / "venv" / "bin"
            python = commands / "python"
            show = "import torch, zoo; print(torch.__version__)"
            seconds["import"], torch_version = step("import", python, "-c", show, cwd=folder)
            seconds["train"], _ = step("train", commands / "zoo", *TRAINING, cwd=folder)
            seconds["tests"], output = step("tests", python, *PYTEST, cwd=ROOT)
        except StepError as error:
            print(error, file=sys.stderr)
            return Outcome(f"failed: {str(error).splitlines()[0]}", full, seconds=seconds)
    tests = output.splitlines()[-1].partition(" in ")[0]
    return Outcome("passed", full, torch_version.split()[-1], tests, seconds)


def main() -> int:
    versions = sys.argv[1:] or VERSIONS
    unknown = [version for version in versions if version not in VERSIONS]
    if unknown:
        print(f"unknown: {' '.join(unknown)} (known: {' '.join(VERSIONS)})", file=sys.stderr)
        return 2
    outcomes = {version: check(version) for version in versions}
    print(f"\n{'version':10}{'install':>10}{'tests':>10}  result")
    for version, outcome in outcomes.items():
        print(outcome.row(version))
    if set(versions) == set(VERSIONS):
        about = {key: value for key, value in machine().items() if key != "python"}
        results = {version: asdict(outcome) for version, outcome in outcomes.items()}
        write_result(RESULT, {"machine": about, "versions": results})
    return int(any(outcome.failed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
