"""How fast the data loader alone is: ours against upstream's `SampleDataset`.

Run:     python benchmarks/data.py [--minutes 4] [--files 6] [--crops 200] [--record]
Files:   folders of wav, flac and mp3 with practice audio, 44.1 kHz stereo, in a temporary folder.
Work:    random crops of 65,536 samples in batches of 8, from 1 and 2 worker processes. Upstream
         decodes a whole file for each crop, by `torchaudio.load`, which needs TorchCodec; here
         soundfile reads the whole file in its place.
Figures: seconds of audio per second, after the first batch; the ratio to upstream's; the memory of
         the process (no workers) after 1,000 and after 10,000 of our crops of 4,096 samples.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch.utils.data import DataLoader

from zoo.config.data import DataConfig
from zoo.data.module import AudioDataModule
from zoo.data.synthesis import synthesise_clip
from zoo.interop import quiet

RESULT = Path(__file__).parent / "results" / "data.json"
RATE, SEGMENT, BATCH = 44100, 65536, 8
FORMATS = ("wav", "flac", "mp3")
# Sounds repeat after so many seconds: a decoder doesn't mind, and making them takes long.
PERIOD_SECONDS = 20


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4, help="length of each file")
    parser.add_argument("--files", type=int, default=6, help="files of each format")
    parser.add_argument("--crops", type=int, default=200, help="crops of ours that are timed")
    parser.add_argument("--memory-crops", type=int, default=10_000)
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        for kind in FORMATS:
            folder = Path(place) / kind
            write_files(folder, kind, given.files, given.minutes)
            for workers in (1, 2):
                # Upstream is slow enough to be timed on fewer.
                crops = max(2 * BATCH, given.crops)
                ours = speed(loader(folder, workers), crops)
                theirs = speed(upstreams(folder, workers), max(2 * BATCH, crops // 8))
                rows[f"{kind}, {workers} workers"] = {
                    "zoo_audio_seconds_per_second": round(ours, 1),
                    "upstream_audio_seconds_per_second": round(theirs, 1),
                    "ratio": round(ours / theirs, 1),
                }
                print(kind, workers, rows[f"{kind}, {workers} workers"], flush=True)
        memory = growth(Path(place) / "flac", given.memory_crops)
    facts = {
        "machine": {"cores": os.cpu_count(), "torch": torch.__version__},
        "files": {"count": given.files, "minutes": given.minutes},
        "rows": rows,
        "memory_mib": memory,
    }
    print(json.dumps(facts, indent=2))
    if given.record:
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def write_files(folder: Path, kind: str, files: int, minutes: float) -> None:
    folder.mkdir()
    for number in range(files):
        sounds = ("tone", "chord", "pluck", "drum", "chirp", "noise")
        seconds = min(PERIOD_SECONDS, 60 * minutes)
        clip = synthesise_clip(number, seconds, RATE, 2, sounds)
        whole = clip.repeat(1, max(1, round(60 * minutes / seconds)))
        soundfile.write(folder / f"{number}.{kind}", whole.T.numpy(), RATE)


def loader(folder: Path, workers: int, samples: int = SEGMENT) -> DataLoader[torch.Tensor]:
    config = DataConfig(
        folder=str(folder), segment_samples=samples, batch_size=BATCH, workers=workers
    )
    data = AudioDataModule(config, sample_rate=RATE, channels=2, seed=0)
    data.setup()
    return data.train_dataloader()


def upstreams(folder: Path, workers: int) -> DataLoader[Any]:
    """`SampleDataset` under the loader of upstream's `create_dataloader_from_config`."""
    # It imports this package for archives in the cloud, which are not read here.
    sys.modules.setdefault("webdataset", types.ModuleType("webdataset"))
    with quiet():
        from stable_audio_tools.data import dataset

    class WholeFiles(dataset.SampleDataset):
        def load_file(self, filename: str) -> torch.Tensor:
            values, rate = soundfile.read(filename, dtype="float32", always_2d=True)
            assert rate == self.sr
            return torch.from_numpy(values.T)

    with contextlib.redirect_stdout(io.StringIO()):
        files = WholeFiles(
            [dataset.LocalDatasetConfig(id="files", path=str(folder))],
            sample_size=SEGMENT,
            sample_rate=RATE,
        )
    # An epoch of upstream's is one crop of each file; the loader's start is not what is timed.
    many = torch.utils.data.RandomSampler(files, replacement=True, num_samples=1_000_000)
    return DataLoader(
        files,
        BATCH,
        sampler=many,
        num_workers=workers,
        drop_last=True,
        collate_fn=dataset.collation_fn,
    )


def speed(batches: Iterable[Any], crops: int) -> float:
    """Seconds of audio per second."""
    source = iter(batches)
    next(source)
    start, count = time.perf_counter(), -(-crops // BATCH)
    for _ in range(count):
        next(source)
    return count * BATCH * SEGMENT / RATE / (time.perf_counter() - start)


def growth(folder: Path, crops: int) -> dict[str, float]:
    """Memory of this process after a tenth of the crops and after all."""
    batches = iter(loader(folder, workers=0, samples=4096))
    figures = {}
    for name, count in ((f"after {crops // 10}", crops // 10), (f"after {crops}", crops * 9 // 10)):
        for _ in islice(batches, -(-count // BATCH)):
            pass
        status = Path("/proc/self/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        figures[name] = round(int(line.split()[1]) / 1024, 1)
    return figures


if __name__ == "__main__":
    main()
