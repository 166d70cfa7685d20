"""One update of the generator and one of the discriminator: ours against upstream's trainer.

Run:     python benchmarks/train_step.py [--channels 32] [--pairs 3] [--record]
         (channels 128 takes minutes for each pair on two CPU cores)
Network: the Stable Audio 2.0 VAE (recipe oobleck_vae) with the given width, stereo.
Work:    whole training steps under Lightning with optimisers, without averaged weights and
         schedules (upstream's fails in torch 2.11), from the same weights, batch and losses.
         Upstream's `AutoencoderTrainingWrapper` updates one of the two networks per batch, so its
         figure is that of two batches. Upstream recomputes the activations of each residual unit;
         ours is run with and without.
CPU:     float32, 1 x 65,536 samples, 2 threads.
GPU:     where there is one, 8 x 65,536 samples: upstream in its float32, ours in float32 and in
         bf16 with fused optimisers, with and without torch.compile. `--gpu-rows` runs these rows on
         a CPU, `--tiny` makes everything small: together they exercise the program.
Figures: each side in a process of its own, in turn (A B A B …) after one step to warm up. Median
         seconds; ratio upstream / ours of each pair: median, min, max, by the clock and by CPU time
         (other programs disturb the latter less); peak memory of the process or of the GPU.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import json
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, multiprocessing

sys.path.insert(0, str(Path(__file__).parents[1]))

RESULT = Path(__file__).parent / "results" / "train_step.json"
UPSTREAM = "upstream"
TINY = [
    "discriminator.config.filters=2",
    "discriminator.config.n_ffts=[256,64]",
    "discriminator.config.hop_lengths=[64,16]",
    "discriminator.config.win_lengths=[256,64]",
]


@dataclass(frozen=True)
class Side:
    """How one of the two is run.

    Attributes:
        fused: Whether the optimisers are fused kernels.
        compiled: Whether encoder, decoder and discriminator go through torch.compile.
    """

    name: str
    checkpointing: bool = False
    precision: str = "32-true"
    fused: bool = False
    compiled: bool = False


CPU_SIDES = (Side(UPSTREAM), Side("zoo"), Side("zoo, checkpointing", checkpointing=True))
_BF16: dict[str, Any] = {"precision": "bf16-mixed", "fused": True}
GPU_SIDES = (
    Side(UPSTREAM),
    Side("zoo, float32"),
    Side("zoo, bf16", **_BF16),
    Side("zoo, bf16, checkpointing", checkpointing=True, **_BF16),
    Side("zoo, bf16, compiled", compiled=True, **_BF16),
)


@dataclass(frozen=True)
class Work:
    """What all sides do; audio is (batch, 2, samples)."""

    channels: int
    batch: int
    samples: int
    threads: int
    device: str
    tiny: bool


@dataclass(frozen=True)
class Measured:
    """One update of each network."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=65536)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="a small network and discriminator")
    parser.add_argument("--gpu-rows", action="store_true", help="the GPU's rows, on this CPU")
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    given = parser.parse_args(arguments)
    gpu = torch.cuda.is_available()
    sides = GPU_SIDES if gpu or given.gpu_rows else CPU_SIDES
    rows = {}
    for channels in given.channels:
        work = Work(
            channels=channels,
            batch=(2 if given.tiny else 8) if sides is GPU_SIDES else 1,
            samples=given.samples,
            threads=given.threads,
            device="cuda" if gpu else "cpu",
            tiny=given.tiny,
        )
        rows[f"{work.device}, channels {channels}"] = measured(work, sides, given.pairs)
    facts = {
        "machine": {
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "gpu": torch.cuda.get_device_name() if gpu else None,
        },
        "rows": rows,
    }
    print(json.dumps(facts, indent=2))
    if given.record:
        before = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else {}
        facts["rows"] = before | rows
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def measured(work: Work, sides: tuple[Side, ...], pairs: int) -> dict[str, Any]:
    """Figures of every side, and the ratios of upstream's to ours."""
    context = multiprocessing.get_context("spawn")
    runs: dict[str, list[Measured]] = {}
    lines: dict[str, Connection] = {}
    for side in sides:
        lines[side.name], other = context.Pipe()
        process = context.Process(target=trained, args=(other, work, side), daemon=True)
        process.start()
        # Lightning outlives the SIGTERM that a daemon is ended with.
        atexit.register(process.kill)
        # Not kept open here, so that a side that ends early ends the wait for it.
        other.close()
    for turn in range(pairs + 1):
        for side in sides:
            lines[side.name].send(True)
            result = lines[side.name].recv()
            if turn > 0:
                runs.setdefault(side.name, []).append(result)
            print(side.name, result, file=sys.stderr)
    for line in lines.values():
        line.send(False)
    figures: dict[str, Any] = {"work": asdict(work)}
    for side in sides:
        ours, theirs = runs[side.name], runs[UPSTREAM]
        figures[side.name] = {
            "seconds": round(statistics.median(run.seconds for run in ours), 4),
            "peak_gib": round(max(run.peak_bytes for run in ours) / 2**30, 3),
        }
        if side.name == UPSTREAM:
            continue
        for name, key in (("ratio", "seconds"), ("cpu_ratio", "cpu_seconds")):
            ratios = [getattr(b, key) / getattr(a, key) for a, b in zip(ours, theirs, strict=True)]
            figures[side.name] |= {
                name: round(statistics.median(ratios), 2),
                f"{name}_min": round(min(ratios), 2),
                f"{name}_max": round(max(ratios), 2),
            }
    return figures


def trained(line: Connection, work: Work, side: Side) -> None:
    """Trains one side in this process, a turn at each True that comes down the line."""
    from lightning import Trainer

    warnings.filterwarnings("ignore")
    torch.set_num_threads(work.threads)
    torch.manual_seed(0)
    module = build(work, side)
    generator = torch.Generator().manual_seed(1)
    audio = 0.3 * torch.randn(work.batch, 2, work.samples, generator=generator)
    trainer = Trainer(
        max_epochs=1,
        accelerator="gpu" if work.device == "cuda" else "cpu",
        devices=1,
        precision=side.precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, Turns(line, audio, side))


class Turns:
    """The batches of a turn at each True, which is answered with its figures when they are done."""

    def __init__(self, line: Connection, audio: Tensor, side: Side) -> None:
        self.line = line
        self.batch: Any = (audio, None) if side.name == UPSTREAM else audio
        self.batches = 2 if side.name == UPSTREAM else 1

    def __len__(self) -> int:
        # With a length, Lightning asks for no batch before the one before it is done.
        return 1_000_000

    def __iter__(self) -> Iterator[Any]:
        while self.line.recv():
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(self.batches):
                yield self.batch
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            result = Measured(time.perf_counter() - start, time.process_time() - cpu, peak_bytes())
            # For the other sides, which take turns with this one.
            with contextlib.suppress(AttributeError, OSError):
                ctypes.CDLL(None).malloc_trim(0)
            self.line.send(result)


def peak_bytes() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(work: Work, side: Side) -> Any:
    """A LightningModule: ours, or upstream's with the weights that ours has."""
    from zoo.config.resolve import resolve_recipe
    from zoo.training.build import build_module

    width = [f"model.{part}.config.channels={work.channels}" for part in ("encoder", "decoder")]
    overrides = [
        *width,
        *(TINY if work.tiny else []),
        f"data.segment_samples={work.samples}",
        "optimizers.autoencoder.scheduler=null",
        "optimizers.discriminator.scheduler=null",
        f"checkpointing={'on' if side.checkpointing else 'off'}",
    ]
    recipe = resolve_recipe("oobleck_vae", overrides=overrides)
    module: Any = build_module(recipe)
    if side.name == UPSTREAM:
        from tests.upstream_training import upstream_wrapper

        return upstream_wrapper(recipe, module)
    if side.compiled:
        backend = "inductor" if work.device == "cuda" else "eager"
        for network in (module.model.encoder, module.model.decoder, module.adversary.discriminator):
            network.compile(backend=backend)
    if side.fused:
        module.configure = {name: fused(make) for name, make in module.configure.items()}
    return module


def fused(make: Any) -> Any:
    """`make`, with the fused kernels of its optimiser."""

    def configured(network: Any) -> Any:
        optimizer, schedule = make(network)
        for group in optimizer.param_groups:
            group["foreach"], group["fused"] = None, True
        return optimizer, schedule

    return configured


if __name__ == "__main__":
    main()
