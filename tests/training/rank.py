"""One process of a distributed run, as torchrun starts it: `python -m tests.training.rank FILE`.

FILE is JSON: [[recipe, overrides, whether to go on with the folder of the run before], …].
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_FREE_PORT = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[1])"


def train_on_two(folder: Path, runs: list[tuple[str, list[str], bool]], late: float = 0) -> list:
    """Trains one after another on two processes, each on a node of its own; what each printed.

    The second process starts `late` seconds after the first.
    """
    todo = folder / "runs.json"
    todo.write_text(json.dumps(runs))
    port = subprocess.run([sys.executable, "-c", _FREE_PORT], capture_output=True, text=True).stdout
    processes = []
    for rank in range(2):
        of_torchrun: dict[str, Any] = {
            "RANK": rank,
            "GROUP_RANK": rank,
            "LOCAL_RANK": 0,
            "WORLD_SIZE": 2,
            "LOCAL_WORLD_SIZE": 1,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port.strip(),
            "TORCHELASTIC_RUN_ID": "test",
            "OMP_NUM_THREADS": 1,
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.training.rank", str(todo)],
                env=os.environ | {key: str(value) for key, value in of_torchrun.items()},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        time.sleep(late)
    try:
        printed = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, complaints) in zip(processes, printed, strict=True):
        assert process.returncode == 0, complaints
    return [json.loads(out.splitlines()[-1]) for out, _ in printed]


def _main() -> None:
    from zoo.config.resolve import resolve_recipe, resume_recipe
    from zoo.training.run import train

    folders: list[Path] = []
    for recipe, overrides, resumed in json.loads(Path(sys.argv[1]).read_text()):
        if resumed:
            folder = folders[-1]
            run = train(resume_recipe(folder, overrides), resume=folder)
        else:
            run = train(resolve_recipe(recipe, overrides=overrides))
        folders.append(run.folder)
    print(json.dumps([str(folder) for folder in folders]))


if __name__ == "__main__":
    _main()
