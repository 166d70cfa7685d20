"""What the programs of encoding and decoding share: networks, rivals, clocks.

Both run the Stable Audio 2.0 VAE at full width with the same random weights in every engine.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo

CONFIG = "oobleck_diffusers_44k"
# Multiply-adds count twice; both directions take the same.
GFLOP_PER_SECOND = 108.4
# On a GPU: whole frames.
CLIP_SECONDS = 215 * 2048 / 44100
Engines = dict[str, Callable[[Tensor], Tensor]]


def options(text: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def models() -> dict[str, Any]:
    """The same network as ours, upstream's and diffusers' class."""
    import diffusers

    from zoo.checkpoints.diffusers import to_upstream

    torch.manual_seed(0)
    theirs = diffusers.AutoencoderOobleck().eval()
    weights = to_upstream(theirs.state_dict())
    ours = zoo.from_config(CONFIG)
    upstream = zoo.from_config(CONFIG, engine="stable-audio-tools").eval()
    for model in (ours, upstream):
        model.load_state_dict(weights)
    return {"zoo": ours, "stable-audio-tools": upstream, "diffusers": theirs}


def matmul_peak(device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of square matrix products."""
    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    seconds = [timed(lambda: torch.mm(a, b, out=out), device) for _ in range(4)]
    return 2 * size**3 / min(seconds) / 1e9


def timed(work: Callable[[], Any], device: str = "cpu") -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compared(engines: Engines, x: Tensor, seconds: float, repeats: int) -> dict[str, Any]:
    """Each in turn, again and again, so that a change of the machine's pace meets all.

    Args:
        engines: "zoo" and others; each is run once before.
        x: what they take: `seconds` of audio, or its latents, of each item of the batch.
    """
    first = {name: run(x) for name, run in engines.items()}
    taken: dict[str, list[float]] = {name: [] for name in engines}
    peaks: list[float] = []
    for _ in range(repeats):
        peaks.append(matmul_peak())
        for name, run in engines.items():
            taken[name].append(timed(lambda run=run: run(x)))
    peak = statistics.median(peaks)
    audio = seconds * len(x)
    return {
        "audio_seconds": round(audio, 2),
        "matmul_gflops": round(peak, 1),
        "engines": {
            name: {
                "seconds": round(statistics.median(values), 3),
                "times_realtime": round(audio / statistics.median(values), 2),
                "share_of_matmul_peak": round(
                    GFLOP_PER_SECOND * audio / statistics.median(values) / peak, 3
                ),
                "times_slower_than_zoo": spread(taken["zoo"], values),
                "largest_difference": float((first[name] - first["zoo"]).abs().max()),
            }
            for name, values in taken.items()
        },
    }


def on_gpu(made: dict[str, Any], part: str, inputs: Callable[[int], Tensor]) -> list[dict]:
    """Of ours in each precision, beside upstream in float32, its default.

    Args:
        part: "encoder" or "decoder".
        inputs: gives a batch of clips of 10 s, or of their latents.
    """
    rows: list[dict] = []
    for batch in (1, 16):
        x = inputs(batch)
        theirs = getattr(made["stable-audio-tools"].to("cuda"), part)
        base = _best_of_gpu(theirs, x.cuda())
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            ours = getattr(zoo.fast(copy.deepcopy(made["zoo"]).to("cuda", dtype)), part)
            torch.cuda.reset_peak_memory_stats()
            seconds = _best_of_gpu(ours, x.to("cuda", dtype))
            work = GFLOP_PER_SECOND * CLIP_SECONDS * batch
            rows.append(
                {
                    "batch": batch,
                    "dtype": str(dtype).removeprefix("torch."),
                    "times_realtime": round(CLIP_SECONDS * batch / seconds, 1),
                    "share_of_matmul_peak": round(work / seconds / matmul_peak("cuda", dtype), 3),
                    "peak_memory_mb": round(torch.cuda.max_memory_allocated() / 1e6),
                    "stable-audio-tools_times_slower": round(base / seconds, 2),
                }
            )
    return rows


def _best_of_gpu(run: Callable[[Tensor], Tensor], x: Tensor) -> float:
    run(x)
    return min(timed(lambda: run(x), "cuda") for _ in range(5))


def spread(ours: list[float], theirs: list[float]) -> dict[str, float]:
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    values = {"median": statistics.median(ratios), "min": ratios[0], "max": ratios[-1]}
    return {name: round(value, 2) for name, value in values.items()}


def machine() -> dict[str, Any]:
    return {
        "processor": platform.machine(),
        "avx512": torch.backends.cpu.get_cpu_capability().startswith("AVX512"),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def report(name: str, facts: dict[str, Any], record: bool) -> None:
    text = json.dumps(facts, indent=2)
    print(text)
    if record:
        (Path(__file__).parent / "results" / f"{name}.json").write_text(text + "\n")
