"""What `evaluate` finds out about a model."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from zoo.evaluation.metrics import Metrics


@dataclass(frozen=True)
class FileReport:
    """One file through the codec.

    Attributes:
        path: As it was given or found.
        seconds: Length of the audio.
        metrics: Of the codec's output against the file, at the file's rate.
        pesq: 1.0 to 4.6, higher is better; None where there is no value.
        encode_seconds, decode_seconds: Time spent, without measuring, and without reading and
            writing but for files of more than a minute.
        peak_memory_bytes: Of both, at most: GPU memory on a GPU, else that of the process.
    """

    path: str
    seconds: float
    metrics: Metrics
    pesq: float | None
    encode_seconds: float
    decode_seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class Broken:
    """A file that could not be evaluated, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over `files` files; `std` needs two."""

    mean: float
    std: float | None
    files: int


@dataclass(frozen=True)
class Report:
    """All files through a codec.

    Attributes:
        device: Where the model ran.
        sample_rate: Of the model, in Hz.
        frames_per_second: Of the latents.
        values_per_second: Latent values; for tokens, how many of them.
        bits_per_second: Of tokens; None for continuous latents.
        files: In the order of evaluation.
        broken: Files without result.
    """

    device: str
    sample_rate: int
    frames_per_second: float
    values_per_second: float
    bits_per_second: float | None
    files: tuple[FileReport, ...]
    broken: tuple[Broken, ...]

    @property
    def summary(self) -> dict[str, Spread]:
        """Mean and spread of each metric; without `pesq` where no file has it."""
        of: dict[str, Callable[[FileReport], float | None]] = {
            "si_sdr_db": lambda file: file.metrics.si_sdr_db,
            "mel": lambda file: file.metrics.mel,
            "stft": lambda file: file.metrics.stft,
            "pesq": lambda file: file.pesq,
        }
        spreads: dict[str, Spread] = {}
        for name, get in of.items():
            values = [value for file in self.files if (value := get(file)) is not None]
            if values:
                std = statistics.stdev(values) if len(values) > 1 else None
                spreads[name] = Spread(statistics.fmean(values), std, len(values))
        return spreads

    @property
    def encode_x_realtime(self) -> float:
        """Seconds of audio encoded in a second, over all files."""
        return self._pace(sum(file.encode_seconds for file in self.files))

    @property
    def decode_x_realtime(self) -> float:
        """Seconds of audio decoded in a second, over all files."""
        return self._pace(sum(file.decode_seconds for file in self.files))

    @property
    def peak_memory_bytes(self) -> int:
        return max((file.peak_memory_bytes for file in self.files), default=0)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        whole = asdict(self)
        whole["summary"] = {name: asdict(spread) for name, spread in self.summary.items()}
        for name in ("encode_x_realtime", "decode_x_realtime", "peak_memory_bytes"):
            whole[name] = getattr(self, name)
        return whole

    def _pace(self, spent: float) -> float:
        return sum(file.seconds for file in self.files) / max(spent, 1e-9)
