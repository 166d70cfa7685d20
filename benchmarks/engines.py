"""Ours against upstream's classes, side by side in one run: encode and decode.

Run:     python benchmarks/engines.py [--record]      (some minutes on two CPU cores)
Network: the Stable Audio 2.0 VAE at full width, same weights and inputs; plain `model.encode` and
         `model.decode`, no fast path. The training step is measured by train_step.py.
Figures: median seconds and the ratio upstream / ours; largest difference of the outputs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import zoo

RESULT = Path(__file__).parent / "results" / "engines.json"
SECONDS, REPEATS = 2, 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    record = parser.parse_args().record
    rows = inference()
    facts = {
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processor": platform.machine(),
            "torch": torch.__version__,
        },
        "rows": rows,
    }
    print(json.dumps(facts, indent=2))
    if record:
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def inference() -> dict[str, dict[str, float]]:
    ours = zoo.from_config("oobleck_vae_44k")
    theirs = zoo.from_config("oobleck_vae_44k", engine="stable-audio-tools")
    ours.load_state_dict(theirs.state_dict())
    frames = SECONDS * 44100 // 2048
    audio, latents = torch.randn(1, 2, frames * 2048), torch.randn(1, 64, frames)
    with torch.inference_mode():
        return {
            "encode": compare(
                lambda: ours.encode(audio, skip_bottleneck=True),
                lambda: theirs.encode(audio, skip_bottleneck=True),
            ),
            "decode": compare(lambda: ours.decode(latents), lambda: theirs.decode(latents)),
        }


def compare(ours: Callable, theirs: Callable) -> dict[str, float]:
    """In turn, A B A B …, so that a change of the machine's pace meets both."""
    mine, other = ours(), theirs()
    difference = float((mine - other).abs().max())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for function, seconds in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(*times, strict=True)]
    return {
        "zoo_seconds": round(statistics.median(times[0]), 3),
        "upstream_seconds": round(statistics.median(times[1]), 3),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "max_difference": difference,
    }


if __name__ == "__main__":
    main()
