"""How much memory a long file takes: from disk to latents, and from latents to a wav.

Run:     python benchmarks/memory.py [--work 16:3600 128:60 128:300] [--threads 2] [--record]
Work:    `Codec.encode(path)` and `Codec.decode_file` of 44.1 kHz stereo noise with the config
         `oobleck_vae_44k`, random weights, at CHANNELS:SECONDS; each in a process of its own.
Figures: the most memory that the process held (peak of the resident set) over what it held with the
         model loaded, and the time. Goals: under 2.5 GB, and, at the full 128 channels, under 50 MB
         more for 5 minutes than for 1.
Needs:   Linux, whose peak can be reset. A small trial: --work 4:60 4:180.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from resident import resident

import zoo
from zoo.data.audio_writer import AudioWriter

RESULT = Path(__file__).parent / "results" / "memory.json"
CONFIG = Path(__file__).parents[1] / "configs" / "oobleck_vae_44k.json"
RATE, CHANNELS = 44100, 2


@dataclass(frozen=True)
class Row:
    """One process. Memory in MB of a million bytes: with the model, and the most beyond that."""

    direction: str
    network_channels: int
    seconds: int
    model_mb: float
    over_model_mb: float
    wall_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", nargs="+", default=["16:3600", "128:60", "128:300"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.child:
        print(json.dumps(asdict(measured(given.child[0], Path(given.child[1]), given.work[0]))))
        return 0
    rows: list[Row] = []
    for work in given.work:
        with tempfile.TemporaryDirectory() as place:
            write_noise(Path(place) / "a.wav", int(work.split(":")[1]))
            for direction in ("encode", "decode"):
                rows.append(in_child(direction, place, work, given.threads))
                print(rows[-1], flush=True)
    growth = growths(rows)
    print(growth)
    if given.record:
        content = {
            "threads": given.threads,
            "rows": [asdict(row) for row in rows],
            "growth_mb": growth,
        }
        RESULT.write_text(json.dumps(content, indent=2) + "\n")
    return 0


def write_noise(path: Path, seconds: int) -> None:
    draw = torch.Generator().manual_seed(0)
    with AudioWriter(path, RATE, CHANNELS, seconds * RATE, "PCM_16") as writer:
        for _ in range(seconds):
            writer.write((torch.rand(CHANNELS, RATE, generator=draw) - 0.5) / 2)


def in_child(direction: str, place: str, work: str, threads: int) -> Row:
    command = [sys.executable, __file__, "--child", direction, place, "--work", work]
    done = subprocess.run(
        [*command, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, text=True
    )
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def measured(direction: str, place: Path, work: str) -> Row:
    channels, seconds = map(int, work.split(":"))
    config = json.loads(CONFIG.read_text())
    for side in ("encoder", "decoder"):
        config["model"][side]["config"]["channels"] = channels
    torch.manual_seed(0)
    codec = zoo.Codec(zoo.from_config(config), device="cpu")
    file = place / "a.safetensors"
    assert codec.fingerprint  # Computed here: it reads all weights.
    latents = zoo.Latents.load(file) if direction == "decode" else None
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = resident("VmRSS"), time.perf_counter()
    if latents is None:
        codec.encode(place / "a.wav").save(file)
    else:
        codec.decode_file(latents, place / "b.wav")
    wall = time.perf_counter() - begun
    over = resident("VmHWM") - before
    mb = (round(value / 1e6, 1) for value in (before, over))
    return Row(direction, channels, seconds, *mb, round(wall, 1))


def growths(rows: list[Row]) -> dict[str, float]:
    """How much more a longer file takes, for each network and direction with several lengths."""
    found: dict[str, float] = {}
    for direction in ("encode", "decode"):
        ordered = sorted(
            (row for row in rows if row.direction == direction),
            key=lambda row: (row.network_channels, row.seconds),
        )
        for short, long in pairwise(ordered):
            if short.network_channels == long.network_channels:
                what = f"{direction}, channels {short.network_channels}"
                key = f"{what}: {short.seconds} to {long.seconds} s"
                found[key] = round(long.over_model_mb - short.over_model_mb, 1)
    return found


if __name__ == "__main__":
    sys.exit(main())
