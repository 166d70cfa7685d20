"""The model that comes with zoo, on sounds that it has never heard and on kinds that it never met.

Run:     python benchmarks/starter.py [--record]
Prints:  SI-SDR, mel and STFT distance for each class of sound: of the model, of the same network
         untrained, and of plain resampling to as many numbers per second as the latents have. Of
         practice audio the seeds are new; "chirp" and "voice" were absent from training. Then the
         size of the weights and the speed on one thread.
Record:  --record writes benchmarks/results/starter.json. The exit code is 1 unless the model
         has learned.
Weights: --take RUN first puts the averaged weights of a run of `starter_pretrained` beside the
         config, and their checksum into it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save
from torch import Tensor

import zoo
from zoo.checkpoints.download import digest
from zoo.checkpoints.files import CONFIG_KEY, TRAINING_KEY, find_checkpoint
from zoo.checkpoints.training_facts import training_facts
from zoo.config.library import INCLUDED, find
from zoo.data.resample import resample
from zoo.data.synthesis import synthesise_clip
from zoo.evaluation.metrics import Metrics, measure
from zoo.writing import write_whole

RATE, SECONDS, CLIPS = 22050, 6.0, 6
MIXED, ENOUGH_DB = "all that it was trained on", 8.0
TRAINED = ("tone", "chord", "pluck", "drum", "noise")
# No corpus of practice audio has seeds as large.
FIRST_SEED = 95_000
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
RESULT = Path(__file__).parent / "results" / "starter.json"
Codes = Callable[[Tensor], Tensor]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    parser.add_argument("--take", metavar="RUN", help="ship the weights of this run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.take:
        take(options.take)
    model = zoo.from_config("starter", pretrained=True)
    torch.manual_seed(0)
    codecs: dict[str, Codes] = {
        "model": through(model),
        "untrained": through(zoo.from_config("starter")),
        "resampled": resampled(model.latent_dim / model.downsampling_ratio / model.io_channels),
    }
    figures = {
        name: {codec: average(clips, code) for codec, code in codecs.items()}
        for name, clips in sounds().items()
    }
    report(figures)
    facts = {**size(model), **speed(model)}
    print(json.dumps(facts))
    if options.record:
        write_record(figures, facts)
    known = figures[MIXED]
    learned = known["model"].si_sdr_db > ENOUGH_DB and known["untrained"].si_sdr_db < 0
    return 0 if learned else 1


def take(run: str) -> None:
    """Averaged weights as .safetensors with their config; the checksum goes into that."""
    model = zoo.from_checkpoint(run)
    facts = training_facts(find_checkpoint(run))
    config = find("configs", INCLUDED)
    content = save(
        {key: value.contiguous() for key, value in model.state_dict().items()},
        {CONFIG_KEY: json.dumps(model.config.to_dict()), TRAINING_KEY: facts.to_json()},
    )
    write_whole(config.with_suffix(".safetensors"), content)
    found = digest(config.with_suffix(".safetensors"))
    text = re.sub(r'("sha256": ")[0-9a-f]*"', rf'\g<1>{found}"', config.read_text())
    write_whole(config, text.encode())


def sounds() -> dict[str, list[Tensor]]:
    """Clips (channels, samples) of each class."""
    single = {name: (name,) for name in (*TRAINED, "chirp")}
    mixed = {MIXED: TRAINED}
    found = {
        name: [practice(index, number, chosen) for number in range(CLIPS)]
        for index, (name, chosen) in enumerate({**mixed, **single}.items())
    }
    found["voice"] = [voice(number) for number in range(CLIPS)]
    return found


def practice(index: int, number: int, chosen: Sequence[str]) -> Tensor:
    return synthesise_clip((FIRST_SEED + index, number), SECONDS, RATE, 2, chosen)  # type: ignore[arg-type]


def voice(number: int) -> Tensor:
    """Syllables in the middle: a pulse train or noise through the resonances of vowels."""
    rng = np.random.default_rng((FIRST_SEED, 999, number))
    pitch, parts = rng.uniform(90, 240), []
    while sum(map(len, parts)) < SECONDS * RATE:
        length = int(rng.uniform(0.08, 0.3) * RATE)
        # The pitch glides, and is never quite steady.
        first, last = rng.uniform(0.85, 1.2, 2) * pitch
        glide = np.linspace(first, last, length)
        cycles = np.cumsum(glide * (1 + 0.01 * rng.standard_normal(length))) / RATE
        source = np.diff(np.floor(cycles), prepend=0.0)
        if rng.random() < 0.25:
            source = 0.1 * rng.standard_normal(length)
        spectrum, f = np.fft.rfft(source), np.fft.rfftfreq(length, 1 / RATE)
        formants = np.array(VOWELS[rng.integers(4)]) * rng.uniform(0.9, 1.15)
        shape = sum(
            1 / (1 + ((f - at) / (40 + 0.06 * at)) ** 2) / (k + 1) for k, at in enumerate(formants)
        )
        part = np.fft.irfft(spectrum * shape, length) * np.hanning(length) ** 0.3
        parts += [part / max(np.abs(part).max(), 1e-9) * rng.uniform(0.3, 1)]
        parts += [np.zeros(int(rng.uniform(0, 0.12) * RATE))]
    clip = np.concatenate(parts)[: int(SECONDS * RATE)]
    return torch.from_numpy(0.7 * np.stack([clip, clip])).float()


def through(model: zoo.AudioAutoencoder) -> Codes:
    codec = zoo.Codec(model, device="cpu")
    return lambda clip: codec.decode(codec.encode(clip, RATE))


def resampled(share: float) -> Codes:
    """Down to `share` of the rate and back."""
    low = round(RATE * share)

    def code(clip: Tensor) -> Tensor:
        back = resample(resample(clip, RATE, low), low, RATE)[:, : clip.shape[-1]]
        return torch.nn.functional.pad(back, (0, clip.shape[-1] - back.shape[-1]))

    return code


def average(clips: Sequence[Tensor], code: Codes) -> Metrics:
    return measure(torch.stack([code(clip) for clip in clips]), torch.stack(list(clips)), RATE)


def size(model: zoo.AudioAutoencoder) -> dict[str, int]:
    file = find("configs", INCLUDED).with_suffix(".safetensors")
    weights = sum(weight.numel() for weight in model.parameters())
    return {"bytes": file.stat().st_size, "weights": weights}


def speed(model: zoo.AudioAutoencoder) -> dict[str, float]:
    """Seconds of audio per second, one thread; the best of three."""
    codec = zoo.Codec(model, device="cpu")
    clip = torch.cat([voice(number) for number in range(5)], dim=1)
    latents = codec.encode(clip, RATE)
    seconds = clip.shape[-1] / RATE
    jobs = {"encode": lambda: codec.encode(clip, RATE), "decode": lambda: codec.decode(latents)}
    return {f"{name}_times_realtime": round(seconds / best(job), 1) for name, job in jobs.items()}


def best(job: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return min(taken)


def report(figures: dict[str, dict[str, Metrics]]) -> None:
    table = Table("sound", "codec", "SI-SDR (dB)", "mel", "STFT", box=None)
    for name, codecs in figures.items():
        for codec, found in codecs.items():
            numbers = (f"{found.si_sdr_db:.1f}", f"{found.mel:.2f}", f"{found.stft:.2f}")
            table.add_row(name, codec, *numbers)
    Console(soft_wrap=True).print(table)


def write_record(figures: dict[str, dict[str, Metrics]], facts: dict[str, float]) -> None:
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1}
    content = {
        "machine": {**machine, "torch": torch.__version__},
        **facts,
        "sounds": {
            name: {codec: asdict(found) for codec, found in codecs.items()}
            for name, codecs in figures.items()
        },
    }
    RESULT.write_text(json.dumps(content, indent=2) + "\n")
    print(f"recorded: {RESULT}")


if __name__ == "__main__":
    sys.exit(main())
