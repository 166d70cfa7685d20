"""A full install from nothing: how long each step takes, and how much room it needs.

Run with `python benchmarks/install.py`: makes a new environment in a temporary folder from
requirements.lock and the wheel of this checkout, lists the models and trains two steps from a
folder outside the checkout, and writes benchmarks/results/install.json. Needs the network, some
minutes and 10 GB of temporary space. A network and a disk decide most of the time.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "install.json"
LOCK = ROOT / "requirements.lock"
TRAINING = (
    "train",
    "recipe=starter",
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


class StepError(Exception):
    """A step ended badly; the message has the end of its output."""


def step(name: str, *command: str | Path, cwd: Path) -> tuple[float, str]:
    """Seconds and output of a command that knows of no other environment. Raises: StepError."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    print(f"{name} …", end=" ", flush=True)
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s", flush=True)
    if done.returncode != 0:
        raise StepError(f"{name}: exit code {done.returncode}\n{done.stdout[-3000:]}")
    return round(seconds, 2), done.stdout


def install(python: str | Path, folder: Path) -> dict[str, float]:
    """Makes the environment `folder / "venv"`; the seconds of each step. Raises: StepError."""
    new = folder / "venv" / "bin" / "python"
    pip = (new, "-m", "pip", "install", "--no-deps")
    build = (new, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    seconds = {}
    seconds["venv"], _ = step("venv", python, "-m", "venv", folder / "venv", cwd=folder)
    seconds["lock"], _ = step("lock", *pip, "-r", LOCK, cwd=folder)
    seconds["build"], _ = step("build", *build, cwd=folder)
    (wheel,) = folder.glob("zoo-*.whl")
    seconds["wheel"], _ = step("wheel", *pip, "--no-index", wheel, cwd=folder)
    return seconds


def size_gb(folder: Path) -> float:
    """What the files of a folder hold, in 10⁹ bytes."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return round(sum(path.stat().st_size for path in files) / 1e9, 2)


def machine() -> dict[str, str | int | None]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "os": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
    }


def write_result(path: Path, result: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path.relative_to(ROOT)}")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="zoo-install-") as name:
        folder = Path(name)
        commands = folder / "venv" / "bin"
        try:
            seconds = install(sys.executable, folder)
            work = folder / "work"
            work.mkdir()
            seconds["zoo list"], _ = step("zoo list", commands / "zoo", "list", cwd=work)
            training = (commands / "zoo", *TRAINING)
            seconds["zoo train, first start"], _ = step("zoo train", *training, cwd=work)
            seconds["zoo train, second start"], _ = step("zoo train again", *training, cwd=work)
            if len(list(work.glob("runs/*/*/checkpoints/last.ckpt"))) != 2:
                raise StepError("zoo train: no checkpoint")
            _, freeze = step("freeze", commands / "python", "-m", "pip", "freeze", cwd=work)
        except StepError as error:
            print(error, file=sys.stderr)
            return 1
        result = {
            "machine": machine(),
            "seconds": seconds,
            "total_seconds": round(sum(seconds.values()), 1),
            "packages": len(freeze.splitlines()),
            "size_gb": size_gb(folder / "venv"),
        }
    write_result(RESULT, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
