"""Encoding with ours, stable-audio-tools and diffusers, side by side.

Run:     python benchmarks/encode.py [--record] [--seconds 10] [--threads 2] [--repeats 3]
Network: the Stable Audio 2.0 VAE (156 M weights), the same random weights in all; float32 on a CPU:
         `zoo.fast`, our plain network, upstream's and diffusers' class.
Figures: median seconds, times realtime, the share of the matrix products' peak that the arithmetic
         of the plain convolutions would need, and how many times slower each is than ours; the
         first start of `zoo encode` on a file as long, beside `import torch`.
GPU:     where there is one, clips of 10 s in float32, bfloat16 and float16, 1 and 16 at a time.
Record:  --record writes benchmarks/results/encode.json.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from side_by_side import CONFIG, compared, machine, models, on_gpu, options, report, timed

import zoo

CONFIGS = Path(__file__).parents[1] / "configs"
STARTS = 3


def main() -> None:
    given = options(__doc__)
    torch.set_num_threads(given.threads)
    frames = given.seconds * 44100 // 2048
    with torch.inference_mode():
        made = models()
        fast = zoo.fast(made["zoo"])
        engines = {
            "zoo": fast.encoder,
            "zoo, plain": made["zoo"].encoder,
            "stable-audio-tools": made["stable-audio-tools"].encoder,
            "diffusers": made["diffusers"].encoder,
        }
        audio = torch.randn(1, 2, frames * 2048) / 10
        facts: dict[str, Any] = {"machine": machine()}
        facts["cpu"] = compared(engines, audio, frames * 2048 / 44100, given.repeats)
        facts["first_start"] = first_start(made["zoo"], audio[0])
        if torch.cuda.is_available():
            facts["gpu"] = on_gpu(made, "encoder", lambda n: torch.randn(n, 2, 215 * 2048) / 10)
    report("encode", facts, given.record)


def first_start(model: Any, audio: torch.Tensor) -> dict[str, float]:
    """Seconds of whole processes and of the encoding alone; medians."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        zoo.write_audio(folder / "a.wav", audio, 44100)
        save_file(model.state_dict(), folder / "model.safetensors")
        shutil.copy(CONFIGS / f"{CONFIG}.json", folder / "model_config.json")
        command = ["-m", "zoo", "encode", str(folder / "a.wav"), "--model", str(folder)]
        rounds = []
        for _ in range(STARTS):
            whole = timed(lambda: subprocess.run([sys.executable, *command], check=True))
            torch_alone = timed(lambda: subprocess.run([sys.executable, "-c", "import torch"]))
            codec = zoo.Codec(model, device="cpu")
            first = timed(lambda codec=codec: codec.encode(folder / "a.wav"))
            rounds.append((whole, torch_alone, first))
    whole, torch_alone, first = (statistics.median(times) for times in zip(*rounds, strict=True))
    return {
        "zoo_encode": round(whole, 2),
        "import_torch": round(torch_alone, 2),
        "encode_in_a_new_codec": round(first, 2),
        "rest": round(whole - torch_alone - first, 2),
    }


if __name__ == "__main__":
    main()
