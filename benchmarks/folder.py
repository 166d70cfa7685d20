"""How fast a folder of short files is encoded: `zoo.encode_folder` against loops over its files.

Run:     python benchmarks/folder.py [--files 200] [--seconds 1] [--threads N] [--record]
Files:   practice audio, 44.1 kHz stereo, half wav and half flac, of one length and of many (half to
         one and a half times as long), in a temporary folder.
Sides:   zoo.encode_folder with its defaults; a loop with `zoo.Codec`, file by file; a loop with
         upstream's class, as its users write it: read, preprocess, `encode_audio`, `np.save`. Same
         random weights. Each side runs once to warm up, on a few files, then REPEATS
         times in turn; the median counts.
Figures: seconds, × realtime, ratios to the two loops. The start of Python is not part of it. And
         what it takes to look at MANY tiny files before the first one is encoded (a dry run):
         seconds, and the most memory beyond what the process held (Linux).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from resident import resident

import zoo
from zoo.data.files import find_audio
from zoo.data.synthesis import synthesise_clip
from zoo.inference.batch.run import Options
from zoo.interop import quiet

RESULT = Path(__file__).parent / "results" / "folder.json"
RATE, REPEATS, WARM, MANY = 44100, 3, 4, 50_000
SOUNDS = ("tone", "chord", "pluck", "drum", "chirp", "noise")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="mean length of a file")
    parser.add_argument("--many", type=int, default=MANY, help="tiny files to look at")
    parser.add_argument("--model", default="starter_22k", help="a name of `zoo list models`")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    theirs = zoo.from_config(given.model, engine="stable-audio-tools")
    codec = zoo.Codec(zoo.from_config(given.model))
    codec.model.load_state_dict(theirs.state_dict())
    theirs = theirs.to(codec.device)
    sides: dict[str, Callable[[Path, Path], Any]] = {
        "encode_folder": lambda folder, out: zoo.encode_folder(codec, folder, out),
        "loop": lambda folder, out: loop(codec, folder, out),
        "upstream": lambda folder, out: upstreams_loop(theirs, folder, out),
    }
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for side in sides.values():
            side(write_files(place / "warm", WARM, 1.0, 0.5), place / f"out{time.time_ns()}")
        for spread in (0.0, 0.5):
            folder = write_files(place / f"{spread}", given.files, given.seconds, spread)
            rows["one length" if spread == 0 else "many lengths"] = compared(sides, folder, place)
        looking = looked_at(codec, place / "many", given.many)
    facts = {
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": str(codec.device),
            "torch": torch.__version__,
        },
        "model": given.model,
        "files": given.files,
        "rows": rows,
        "looking": looking,
    }
    print(json.dumps(facts, indent=2))
    if given.record:
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def write_files(folder: Path, files: int, seconds: float, spread: float) -> Path:
    folder.mkdir(exist_ok=True)
    longest = synthesise_clip(0, seconds * (1 + spread), RATE, 2, SOUNDS)
    for number in range(files):
        samples = round(RATE * seconds * (1 - spread + 2 * spread * number / files))
        suffix = ("wav", "flac")[number % 2]
        values = longest.roll(number * 1000, dims=1)[:, :samples]
        soundfile.write(folder / f"{number:05d}.{suffix}", values.T.numpy(), RATE)
    return folder


def compared(
    sides: dict[str, Callable[[Path, Path], Any]], folder: Path, place: Path
) -> dict[str, Any]:
    seconds = sum(soundfile.info(path).duration for path in find_audio(folder))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, side in sides.items():
            begun = time.perf_counter()
            side(folder, place / f"out{time.time_ns()}")
            times[name].append(time.perf_counter() - begun)
    found = {name: statistics.median(values) for name, values in times.items()}
    return {
        "audio_seconds": round(seconds, 1),
        "seconds": {name: round(value, 2) for name, value in found.items()},
        "x_realtime": {name: round(seconds / value, 1) for name, value in found.items()},
        "ratio_to_loop": round(found["loop"] / found["encode_folder"], 2),
        "ratio_to_upstream": round(found["upstream"] / found["encode_folder"], 2),
    }


def looked_at(codec: zoo.Codec, folder: Path, files: int) -> dict[str, float]:
    clip = io.BytesIO()
    soundfile.write(clip, np.full((400, 1), 0.1), RATE, format="WAV")
    for number in range(files):
        path = folder / f"{number // 500:04d}" / f"{number:07d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(clip.getvalue())
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = resident("VmRSS"), time.perf_counter()
    made = zoo.encode_folder(codec, folder, folder / "out", options=Options(dry_run=True))
    assert made is not None
    assert made.files == files
    seconds, grown = time.perf_counter() - begun, resident("VmHWM") - before
    return {"files": files, "seconds": round(seconds, 1), "grown_mb": round(grown / 1e6, 1)}


def loop(codec: zoo.Codec, folder: Path, out: Path) -> None:
    for path in find_audio(folder):
        codec.encode(path).save(out / f"{path.name}.safetensors")


@torch.no_grad()
def upstreams_loop(model: Any, folder: Path, out: Path) -> None:
    out.mkdir()
    device = next(model.parameters()).device
    for path in find_audio(folder):
        values, rate = soundfile.read(path, dtype="float32", always_2d=True)
        with quiet():
            audio = model.preprocess_audio_for_encoder(torch.from_numpy(values.T), rate)
            latents = model.encode_audio(audio.to(device))
        np.save(out / f"{path.name}.npy", latents[0].cpu().numpy())


if __name__ == "__main__":
    main()
