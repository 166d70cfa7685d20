"""Tiny diffusion autoencoders learn to decode: each starter recipe, three seeds, unseen clips.

Run:     python benchmarks/diffusion.py [--record] [--recipes NAME …] [--seeds 0 1 2] [--jobs 2]
Prints:  for 100, 20 and 8 steps the mel distance of decoded audio from the clips, as a share of the
         untrained model's, and with the latents of other clips instead of the right ones.
Record:  --record writes benchmarks/results/diffusion.json, beside the figures of other recipes. The
         exit code is 1 unless every share is at most 0.6 and the right latents are clearly better
         than others.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

import zoo
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import RECIPE_FILE, resolve_recipe
from zoo.data.synthesis import synthesise_clip
from zoo.evaluation.metrics import measure
from zoo.training.run import LAST

RECIPES = ("starter_dit", "starter_adp", "starter_dau")
RATE, SAMPLES, CLIPS = 22050, 8192, 24
SOUNDS = ("tone", "chord", "pluck", "drum", "chirp", "noise")
STEPS = (100, 20, 8)
FOLDER = Path("runs/diffusion")
RESULT = Path(__file__).parent / "results" / "diffusion.json"
ENOUGH, CLEARLY_DB = 0.6, 3.0
LOCK = Lock()


@dataclass(frozen=True)
class Figures:
    """Of all clips of one model, decoded in `steps` steps."""

    recipe: str
    seed: int
    steps: int
    mel_untrained: float
    mel: float
    mel_share: float
    mel_other_latents: float
    si_sdr_db: float
    si_sdr_other_latents_db: float

    @property
    def passes(self) -> bool:
        heard = self.si_sdr_db - self.si_sdr_other_latents_db > CLEARLY_DB
        return self.mel_share <= ENOUGH and heard and self.mel < self.mel_other_latents


@dataclass(frozen=True)
class Run:
    """A trained model and its figures."""

    recipe: str
    seed: int
    training_seconds: int
    rows: list[Figures]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2, help="models at a time, a thread each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = [(recipe, seed) for seed in options.seeds for recipe in options.recipes]
    runs: list[Run] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for run in pool.map(lambda pair: one_run(*pair), pairs):
            runs.append(run)
            if options.record:
                record(runs)
    return 0 if all(row.passes for run in runs for row in run.rows) else 1


def one_run(recipe: str, seed: int) -> Run:
    """Trains one model and measures it."""
    folder = train(recipe, seed)
    seconds = round((folder / LAST).stat().st_mtime - (folder / RECIPE_FILE).stat().st_mtime)
    clips = unseen_clips()
    rows = [figures(recipe, seed, steps, folder, clips) for steps in STEPS]
    for row in rows:
        print(row, flush=True)
    return Run(recipe, seed, seconds, rows)


def unseen_clips() -> Tensor:
    """(clips, 2, samples), from seeds far from those of the practice corpus."""
    seconds = SAMPLES / RATE + 0.1
    clips = [synthesise_clip(90_100 + n, seconds, RATE, 2, SOUNDS) for n in range(CLIPS)]
    return torch.stack([clip[:, :SAMPLES] for clip in clips])


def train(recipe: str, seed: int) -> Path:
    """The folder of a run; one that is there already is not trained again."""
    runs = FOLDER / f"{recipe}_{seed}"
    steps = resolve_recipe(recipe).trainer.max_steps
    made = [path for path in runs.glob(f"*/*/{LAST}") if read_ckpt(path)["global_step"] == steps]
    if made:
        return max(made).parents[1]
    command = ["train", f"recipe={recipe}", f"seed={seed}", f"runs={runs}"]
    subprocess.run(
        [sys.executable, "-m", "zoo", *command, "trainer.enable_progress_bar=false"],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return max(runs.glob("*/*"))


def figures(recipe: str, seed: int, steps: int, run: Path, clips: Tensor) -> Figures:
    model = zoo.from_checkpoint(run)
    with LOCK:
        # Threads share one generator.
        torch.manual_seed(seed)
        untrained = zoo.from_config(model.config)
    others = torch.arange(len(clips)).roll(1)
    before, _ = score(untrained, clips, clips, seed, steps)
    mel, si_sdr = score(model, clips, clips, seed, steps)
    mel_other, si_sdr_other = score(model, clips[others], clips, seed, steps)
    return Figures(recipe, seed, steps, before, mel, mel / before, mel_other, si_sdr, si_sdr_other)


def score(model, heard: Tensor, clips: Tensor, seed: int, steps: int) -> tuple[float, float]:
    """Mel distance and SI-SDR from `clips` of what is decoded from the latents of `heard`."""
    with torch.inference_mode():
        decoded = model.decode(model.encode(heard), steps=steps, seed=seed)
    metrics = measure(decoded[..., :SAMPLES], clips, RATE)
    return metrics.mel, metrics.si_sdr_db


def record(runs: list[Run]) -> None:
    def rounded(row: Figures) -> dict[str, float | int | str]:
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(row).items()}

    known = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    made = {(run.recipe, run.seed) for run in runs}
    rows = [row for row in known.get("rows", []) if (row["recipe"], row["seed"]) not in made]
    rows += [rounded(row) for run in runs for row in run.rows]
    seconds = {f"{run.recipe}, seed {run.seed}": run.training_seconds for run in runs}
    content = {
        "machine": f"{platform.machine()}, one thread for each of the models at a time",
        "torch": torch.__version__,
        "clips": CLIPS,
        "training_seconds": dict(sorted((known.get("training_seconds", {}) | seconds).items())),
        "rows": sorted(rows, key=lambda row: (row["recipe"], row["seed"], -row["steps"])),
    }
    RESULT.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
