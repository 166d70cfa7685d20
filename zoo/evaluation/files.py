"""A codec measured on files."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from zoo.data.files import Audio, AudioInfo, find_audio, probe, read_audio
from zoo.errors import AudioError, ConfigError, ZooError
from zoo.evaluation.long_files import BLOCK_SECONDS, measure_files, pesq_of_files
from zoo.evaluation.memory import peak_memory
from zoo.evaluation.metrics import measure
from zoo.evaluation.report import Broken, FileReport, Report
from zoo.evaluation.speech import PESQ_RATE, has_pesq, pesq

# What one file may do to a model: too long for the memory, too short for a network, …
_MISHAPS = (ZooError, OSError, RuntimeError, ValueError, MemoryError)


class AnyCodec(Protocol):
    """What is evaluated: a `zoo.Codec`, or what has its methods."""

    model: Any

    @property
    def device(self) -> torch.device: ...

    def encode(self, audio: Any) -> Any: ...

    def decode(self, latents: Any, **options: Any) -> Tensor: ...

    def decode_file(self, latents: Any, path: Path, **options: Any) -> None: ...


def evaluate(
    codec: AnyCodec,
    audio: str | Path | Iterable[str | Path],
    *,
    seconds: float | None = None,
    progress: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    **options: Any,
) -> Report:
    """Encodes and decodes every file and measures what comes back. A broken file is reported.

    PESQ is measured where the package is installed and the file has 16 kHz or more. A file of more
    than a minute goes through the codec in blocks, where the model can work in blocks, and its
    values are the means over its minutes.

    Args:
        codec: a `zoo.Codec`.
        audio: files, and folders with files in them or below.
        seconds: only so much of each file, from its start.
        progress: wraps the list of files.
        **options: of `codec.decode`.

    Raises:
        AudioError: a folder without audio, or nothing to evaluate at all.
    """
    if seconds is not None and not seconds > 0:
        raise ConfigError(f"seconds is {seconds}, but must be greater than 0")
    paths = _found([audio] if isinstance(audio, str | Path) else audio)
    files: list[FileReport] = []
    broken: list[Broken] = []
    warm = False
    for path in progress(paths):
        try:
            info = probe(path)
            if not warm:
                _warm_up(codec, path, info, options)
                warm = True
            if seconds is None and info.seconds > BLOCK_SECONDS:
                files.append(_evaluated_in_blocks(codec, path, info, options))
            else:
                files.append(_evaluated(codec, path, _read(path, info, seconds), options))
        except _MISHAPS as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            broken.append(Broken(str(path), reason.removeprefix(f"{path}: ")))
    model = codec.model
    frames = model.sample_rate / model.downsampling_ratio
    tokens = model.bottleneck if model.is_discrete else None
    values = model.latent_dim if tokens is None else tokens.num_quantizers
    bits = tokens and frames * tokens.num_quantizers * math.log2(tokens.codebook_size)
    return Report(
        device=str(codec.device),
        sample_rate=model.sample_rate,
        frames_per_second=frames,
        values_per_second=frames * values,
        bits_per_second=bits,
        files=tuple(files),
        broken=tuple(broken),
    )


def _found(given: Iterable[str | Path]) -> list[Path]:
    """Each file once; a missing one is left to be reported."""
    paths: list[Path] = []
    for path in map(Path, given):
        if not path.is_dir():
            paths.append(path)
        elif inside := find_audio(path):
            paths += inside
        else:
            raise AudioError(f"{path}: no audio files in this folder or below")
    if not paths:
        raise AudioError("nothing to evaluate: name audio files or a folder of them")
    return list(dict.fromkeys(paths))


def _read(path: Path, info: AudioInfo, seconds: float | None) -> Audio:
    if seconds is None:
        return read_audio(path)
    return read_audio(path, samples=max(1, round(seconds * info.sample_rate)))


def _warm_up(codec: AnyCodec, path: Path, info: AudioInfo, options: dict[str, Any]) -> None:
    """What only the first call does (kernels chosen, fingerprint computed) is not timed."""
    codec.decode(codec.encode(read_audio(path, samples=info.sample_rate)), **options)


def _evaluated(codec: AnyCodec, path: Path, clip: Audio, options: dict[str, Any]) -> FileReport:
    with peak_memory(codec.device) as peak:
        started = _now(codec.device)
        latents = codec.encode(clip)
        encoded = _now(codec.device)
        result = codec.decode(latents, **options)
        decoded = _now(codec.device)
    if not torch.isfinite(result).all():
        raise AudioError("the model's output has NaN or infinite samples")
    return FileReport(
        path=str(path),
        seconds=clip.values.shape[-1] / clip.sample_rate,
        metrics=measure(result, clip.values, clip.sample_rate),
        pesq=_pesq(result, clip),
        encode_seconds=encoded - started,
        decode_seconds=decoded - encoded,
        peak_memory_bytes=peak.bytes,
    )


def _evaluated_in_blocks(
    codec: AnyCodec, path: Path, info: AudioInfo, options: dict[str, Any]
) -> FileReport:
    """As `_evaluated`; neither the file nor the result is ever in memory as a whole."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "decoded.wav"
        with peak_memory(codec.device) as peak:
            started = _now(codec.device)
            latents = codec.encode(path)
            encoded = _now(codec.device)
            try:
                codec.decode_file(latents, result, **options)
            except AudioError as error:
                raise AudioError(str(error).removeprefix(f"{result}: ")) from None
            decoded = _now(codec.device)
        value = math.nan
        if info.sample_rate >= PESQ_RATE and has_pesq():
            value = pesq_of_files(result, path)
        return FileReport(
            path=str(path),
            seconds=info.seconds,
            metrics=measure_files(result, path),
            pesq=value if math.isfinite(value) else None,
            encode_seconds=encoded - started,
            decode_seconds=decoded - encoded,
            peak_memory_bytes=peak.bytes,
        )


def _pesq(result: Tensor, clip: Audio) -> float | None:
    if clip.sample_rate < PESQ_RATE or not has_pesq():
        return None
    value = float(pesq(result[None], clip.values[None], clip.sample_rate))
    return value if math.isfinite(value) else None


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
