"""Decoding with ours, stable-audio-tools and diffusers, side by side.

Run:     python benchmarks/decode.py [--record] [--seconds 10] [--threads 2] [--repeats 3]
Network, figures, GPU: as of encode.py, in the other direction.
Record:  --record writes benchmarks/results/decode.json.
"""

from __future__ import annotations

from typing import Any

import torch
from side_by_side import compared, machine, models, on_gpu, options, report

import zoo


def main() -> None:
    given = options(__doc__)
    torch.set_num_threads(given.threads)
    frames = given.seconds * 44100 // 2048
    with torch.inference_mode():
        made = models()
        engines = {
            "zoo": zoo.fast(made["zoo"]).decoder,
            "zoo, plain": made["zoo"].decoder,
            "stable-audio-tools": made["stable-audio-tools"].decoder,
            "diffusers": made["diffusers"].decoder,
        }
        facts: dict[str, Any] = {"machine": machine()}
        latents = torch.randn(1, 64, frames)
        facts["cpu"] = compared(engines, latents, frames * 2048 / 44100, given.repeats)
        if torch.cuda.is_available():
            facts["gpu"] = on_gpu(made, "decoder", lambda size: torch.randn(size, 64, 215))
    report("decode", facts, given.record)


if __name__ == "__main__":
    main()
