"""Latents without a model, in folders of each form."""

from __future__ import annotations

from pathlib import Path

import torch

from zoo.inference.batch.writer import LatentWriter, Source
from zoo.inference.latents import Latents

FINGERPRINT = "0123456789abcdef"


def latents(number: int, frames: int, *, posterior: bool = False, tokens: bool = False) -> Latents:
    """Three channels: the clip's number, the frame's, and a random one."""
    generator = torch.Generator().manual_seed(number)
    values = torch.randn(3, frames, generator=generator)
    values[0], values[1] = number, torch.arange(frames)
    made = Latents(values, 16000, frames * 8 - 3, 2, FINGERPRINT)
    if posterior:
        std = torch.rand(3, frames, generator=generator) + 0.1
        return Latents(values, 16000, frames * 8 - 3, 2, FINGERPRINT, std=std)
    if tokens:
        codes = torch.randint(1024, (2, frames), generator=generator).to(torch.int16)
        return Latents(values, 16000, frames * 8 - 3, 2, FINGERPRINT, tokens=codes)
    return made


def source(folder: Path, name: str, content: str = "audio") -> Source:
    """A file that stands for audio."""
    path = folder / "audio" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content} of {name}")
    facts = path.stat()
    return Source(path, name, facts.st_size, facts.st_mtime_ns, seconds=1.0)


def fill(
    writer: LatentWriter, folder: Path, lengths: dict[str, int], **kind: bool
) -> dict[str, Latents]:
    """Writes a clip of each length; the writer is closed."""
    made = {name: latents(i, frames, **kind) for i, (name, frames) in enumerate(lengths.items())}
    for name, content in made.items():
        writer.write(source(folder, name), content)
    writer.close()
    return made
