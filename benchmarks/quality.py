"""The same small VAE trained by stable-audio-tools' wrapper and by ours: quality against time.

Run:     python benchmarks/quality.py [--record] [--seeds 0 1 2] [--updates 600]
Same:    first weights of both networks, losses, optimisers, averaging of weights, crops of practice
         audio, and the number of updates of each network. Upstream updates one network per batch,
         so it takes twice as many batches, and hears twice as many crops.
Figures: mel and STFT distance on 24 unseen clips, of the averaged weights, after equal numbers of
         updates; seconds of training so far, by the clock and of the processor, without validation.
         A process and a thread for each, both trainers of a seed side by side. Ours then goes on to
         1.6 times the updates, about half of upstream's time, to see what that time is worth.
Time:    about 22 minutes for each seed on two CPU cores; a curve that is there is not made again.
Record:  --record writes benchmarks/results/quality.json and quality.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[1]))

import zoo
from tests.upstream_training import upstream_wrapper
from zoo.config.recipe import RecipeConfig
from zoo.config.resolve import resolve_recipe
from zoo.data.module import AudioDataModule
from zoo.data.synthesis import synthesise_clip
from zoo.evaluation.metrics import measure
from zoo.evaluation.plots import write_png
from zoo.training.build import build_module
from zoo.training.callbacks.averaged_weights import AveragedWeights

RATE, SAMPLES, CLIPS, POINTS, POINTS_OF_OURS = 22050, 8192, 24, 10, 16
SOUNDS = ("tone", "chord", "pluck", "drum", "chirp", "noise")
SIDES = {"stable-audio-tools": "tab:orange", "zoo": "tab:blue"}
FOLDER = Path("runs/quality")
RESULT = Path(__file__).parent / "results" / "quality.json"
RECIPE = [
    f"sample_rate={RATE}",
    "model.downsampling_ratio=32",
    "model.latent_dim=32",
    *(
        f"model.{part}.config.{value}"
        for part in ("encoder", "decoder")
        for value in ("channels=16", "c_mults=[1,2,4]", "strides=[2,4,4]")
    ),
    "model.encoder.config.latent_dim=64",
    "model.decoder.config.latent_dim=32",
    f"data.segment_samples={SAMPLES}",
    "data.batch_size=2",
    "data.workers=0",
    "discriminator.config.filters=4",
    "discriminator.config.n_ffts=[1024,256]",
    "discriminator.config.hop_lengths=[256,64]",
    "discriminator.config.win_lengths=[1024,256]",
    "losses.l1=10.0",
    *(
        f"optimizers.{network}.{value}"
        for network in ("autoencoder", "discriminator")
        for value in ("optimizer.config.lr=1e-3", "scheduler=null")
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write table and picture")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=600, help="of each of the two networks")
    parser.add_argument("--side", choices=SIDES, help="train this one alone, in this process")
    options = parser.parse_args()
    if options.side:
        train(options.side, options.seeds[0], options.updates)
        return
    for seed in options.seeds:
        jobs = [start(side, seed, options.updates) for side in SIDES]
        codes = [job.wait() for job in jobs if job]
        if any(codes):
            sys.exit(1)
        summary = summarise(options.seeds, options.updates)
        print(json.dumps(summary["goal"], indent=2), flush=True)
        if options.record:
            RESULT.write_text(json.dumps(summary, indent=2) + "\n")
            write_png(picture(summary["curves"]), RESULT.with_suffix(".png"))


def curve_file(side: str, seed: int, updates: int) -> Path:
    return FOLDER / f"{side}_{seed}_{updates}.json"


def start(side: str, seed: int, updates: int) -> subprocess.Popen[bytes] | None:
    """A process that trains one of the two, unless its curve is there already."""
    if curve_file(side, seed, updates).is_file():
        return None
    command = [sys.executable, __file__, f"--side={side}", f"--seeds={seed}"]
    return subprocess.Popen(
        [*command, f"--updates={updates}"], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def train(side: str, seed: int, updates: int) -> None:
    """Trains one of the two and writes its curve."""
    torch.set_num_threads(1)
    recipe = resolve_recipe("oobleck_vae", overrides=[*RECIPE, f"seed={seed}"])
    torch.manual_seed(seed)
    ours = build_module(recipe)
    averaged = AveragedWeights(recipe.ema.beta, recipe.ema.power)
    every = updates // POINTS
    if side == "zoo":
        curve = Curve(every, 1, lambda: averaged.average)
        module, callbacks = ours, [averaged, curve]
    else:
        module = upstream_wrapper(recipe, ours, ema=True)
        curve = Curve(every, 2, lambda: module.autoencoder_ema.ema_model.state_dict())
        callbacks = [curve]
    trainer = Trainer(
        max_steps=every * (POINTS_OF_OURS if side == "zoo" else POINTS) * curve.batches,
        accelerator="cpu",
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        log_every_n_steps=50,
    )
    trainer.fit(module, crops(recipe, in_pairs=side != "zoo"))
    path = curve_file(side, seed, updates)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(curve.points, indent=2) + "\n")


def crops(recipe: RecipeConfig, in_pairs: bool) -> DataLoader[Any]:
    """Batches of practice audio; upstream's come with their metadata."""
    data = AudioDataModule(recipe.data, sample_rate=RATE, channels=2, seed=recipe.seed)
    data.prepare_data()
    data.setup()
    loader = data.train_dataloader()
    if in_pairs:
        stack = loader.collate_fn
        loader.collate_fn = lambda batch: (stack(batch), None)
    return loader


class Curve(Callback):
    """Distances on unseen clips against time; the clocks stand still while it measures.

    Args:
        every: so many updates of each network.
        batches: for one update of both networks.
        weights: gives the averaged weights.
    """

    def __init__(self, every: int, batches: int, weights: Any) -> None:
        self.every, self.batches, self.weights = every, batches, weights
        self.points: list[dict[str, float]] = []
        self.clips = unseen_clips()
        self.seconds = self.cpu_seconds = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        model = getattr(pl_module, "autoencoder", None) or pl_module.model
        self.judged = zoo.from_config(model.config)
        self._restart()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *rest: Any, **more: Any) -> None:
        if trainer.global_step % (self.every * self.batches):
            return
        self.seconds += time.perf_counter() - self._clock
        self.cpu_seconds += time.process_time() - self._cpu_clock
        self.judged.load_state_dict(self.weights())
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            decoded = self.judged.decode(self.judged.encode(self.clips))
        metrics = measure(decoded[..., :SAMPLES], self.clips, RATE)
        point = {
            "updates": trainer.global_step // self.batches,
            "seconds": round(self.seconds, 1),
            "cpu_seconds": round(self.cpu_seconds, 1),
            "mel": round(metrics.mel, 4),
            "stft": round(metrics.stft, 4),
            "si_sdr_db": round(metrics.si_sdr_db, 2),
        }
        self.points.append(point)
        print(type(pl_module).__name__, point, flush=True)
        self._restart()

    def _restart(self) -> None:
        self._clock, self._cpu_clock = time.perf_counter(), time.process_time()


def unseen_clips() -> Tensor:
    """(clips, 2, samples), from seeds far from those of the practice corpus."""
    seconds = SAMPLES / RATE + 0.1
    clips = [synthesise_clip(90_200 + n, seconds, RATE, 2, SOUNDS) for n in range(CLIPS)]
    return torch.stack([clip[:, :SAMPLES] for clip in clips])


def summarise(seeds: list[int], updates: int) -> dict[str, Any]:
    """All curves, and what share of upstream's time ours needs for upstream's last quality."""
    curves = {
        side: {
            str(seed): json.loads(curve_file(side, seed, updates).read_text())
            for seed in seeds
            if curve_file(side, seed, updates).is_file()
        }
        for side in SIDES
    }
    theirs, ours = curves.values()
    goal: dict[str, Any] = {}
    for clock in ("seconds", "cpu_seconds"):
        shares = [ours[seed][POINTS - 1][clock] / theirs[seed][-1][clock] for seed in ours]
        goal[f"{clock}_for_equal_updates"] = [round(share, 3) for share in shares]
        for metric in ("mel", "stft"):
            needed = [time_until(ours[s], metric, theirs[s][-1][metric], clock) for s in ours]
            goal[f"{clock}_for_equal_{metric}"] = [
                None if need is None else round(need / theirs[seed][-1][clock], 3)
                for seed, need in zip(ours, needed, strict=True)
            ]
    for metric in ("mel", "stft", "si_sdr_db"):
        goal[f"{metric}_after_equal_updates"] = {
            side: [points[POINTS - 1][metric] for points in runs.values()]
            for side, runs in curves.items()
        }
        goal[f"last_{metric}"] = {
            side: [points[-1][metric] for points in runs.values()] for side, runs in curves.items()
        }
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
    return {"machine": machine, "updates": updates, "clips": CLIPS, "goal": goal, "curves": curves}


def time_until(
    points: list[dict[str, float]], metric: str, value: float, clock: str
) -> float | None:
    """When a curve first is as low as `value`, between two points in a straight line."""
    before = None
    for point in points:
        if point[metric] <= value:
            if before is None:
                return point[clock]
            share = (before[metric] - value) / (before[metric] - point[metric])
            return before[clock] + share * (point[clock] - before[clock])
        before = point
    return None


def picture(curves: dict[str, dict[str, list[dict[str, float]]]]) -> Figure:
    """Mean over the seeds as a line, all of them as a band."""
    figure = Figure(figsize=(10, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, metric in zip(figure.subplots(1, 2), ("mel", "stft"), strict=True):
        for side, colour in SIDES.items():
            runs = list(curves[side].values())
            minutes = [
                statistics.mean(run[n]["seconds"] for run in runs) / 60 for n in range(len(runs[0]))
            ]
            values = [[run[n][metric] for run in runs] for n in range(len(runs[0]))]
            axes.plot(minutes, [statistics.mean(row) for row in values], color=colour, label=side)
            low, high = [min(row) for row in values], [max(row) for row in values]
            axes.fill_between(minutes, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.set_xlabel("Training (minutes)")
        axes.set_ylabel(f"{metric.upper() if metric == 'stft' else metric} distance, unseen clips")
        axes.legend()
        axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    main()
