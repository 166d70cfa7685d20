"""The main job from nothing to sound: practice audio, training, encoding, decoding, figures.

Run:     make demo            (or: python benchmarks/demo.py [--record])
Prints:  SI-SDR and mel distance before and after training, for a file that was not trained on and
         for a class of sound that was absent from training, and where audio and picture are.
Record:  --record writes benchmarks/results/demo.json. The exit code is 1 unless the model learned.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import zoo
from zoo.data.files import read_audio, write_audio
from zoo.data.synthesis import synthesise_clip
from zoo.evaluation.metrics import Metrics, measure
from zoo.evaluation.plots import spectrogram_figure, write_png

RATE, SECONDS = 22050, 24.0
TRAINED = ("tone", "chord", "pluck", "drum", "noise")
ABSENT = ("chirp",)
FOLDER = Path("runs/demo")
RESULT = Path(__file__).parent / "results" / "demo.json"
ENOUGH_DB = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    record = parser.parse_args().record
    files = unseen_files()
    torch.manual_seed(0)
    untrained = zoo.Codec(zoo.from_config("starter_22k"), device="cpu")
    before = {
        name: score(path, untrained.reconstruct(read_audio(path))) for name, path in files.items()
    }
    start = time.perf_counter()
    run = train()
    seconds = time.perf_counter() - start
    after = {name: score(path, through_files(path, run)) for name, path in files.items()}
    picture = draw(files["unseen file"])
    report(before, after, seconds, run, picture)
    if record:
        write_record(before, after, seconds)
    learned = after["unseen file"].si_sdr_db > ENOUGH_DB and before["unseen file"].si_sdr_db < 0
    return 0 if learned else 1


def unseen_files() -> dict[str, Path]:
    """Seeds far from those of the practice corpus."""
    paths = {}
    for name, seed, sounds in (("unseen file", 90_001, TRAINED), ("absent class", 90_002, ABSENT)):
        paths[name] = FOLDER / f"{name.replace(' ', '_')}.wav"
        write_audio(paths[name], synthesise_clip(seed, SECONDS, RATE, 2, sounds), RATE)
    return paths


def train() -> Path:
    """The run folder of `zoo train recipe=starter`."""
    known = set(FOLDER.glob("starter/*"))
    zoo_command(
        "train", "recipe=starter", f"runs={FOLDER}", f"data.synthesis.sounds=[{','.join(TRAINED)}]"
    )
    return next(iter(set(FOLDER.glob("starter/*")) - known))


def through_files(path: Path, run: Path) -> torch.Tensor:
    """The audio after `zoo encode` and `zoo decode`."""
    latents, decoded = path.with_suffix(".safetensors"), path.with_suffix(".decoded.wav")
    zoo_command("encode", str(path), "--model", str(run), "-o", str(latents))
    zoo_command("decode", str(latents), "--model", str(run), "-o", str(decoded))
    return read_audio(decoded).values


def zoo_command(*arguments: str) -> None:
    print("$ zoo", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "zoo", *arguments], check=True)


def score(path: Path, result: torch.Tensor) -> Metrics:
    return measure(result, read_audio(path).values, RATE)


def draw(path: Path) -> Path:
    original, decoded = read_audio(path).values, read_audio(path.with_suffix(".decoded.wav")).values
    figure = spectrogram_figure(original, decoded, RATE, title="Unseen file: input, reconstruction")
    return write_png(figure, FOLDER / "spectrogram.png")


def report(
    before: dict[str, Metrics], after: dict[str, Metrics], seconds: float, run: Path, picture: Path
) -> None:
    table = Table(
        "", "SI-SDR before (dB)", "SI-SDR after", "mel distance before", "mel after", box=None
    )
    for name in before:
        old, new = before[name], after[name]
        table.add_row(
            name, f"{old.si_sdr_db:.1f}", f"{new.si_sdr_db:.1f}", f"{old.mel:.2f}", f"{new.mel:.2f}"
        )
    console = Console(soft_wrap=True)
    console.print()
    console.print(table)
    console.print("SI-SDR: higher is better, 0 dB is as much error as sound; mel: lower is better")
    console.print(f"training took {seconds:.0f} s, start included; the run is in {run}")
    console.print(f"listen: {FOLDER}/unseen_file.wav, {FOLDER}/unseen_file.decoded.wav")
    console.print(f"look:   {picture}")


def write_record(before: dict[str, Metrics], after: dict[str, Metrics], seconds: float) -> None:
    facts = {
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "torch": torch.__version__,
        },
        "training_seconds": round(seconds, 1),
        "before": {name: asdict(metrics) for name, metrics in before.items()},
        "after": {name: asdict(metrics) for name, metrics in after.items()},
    }
    RESULT.write_text(json.dumps(facts, indent=2) + "\n")
    print(f"recorded: {RESULT}")


if __name__ == "__main__":
    sys.exit(main())
