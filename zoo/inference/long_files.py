"""Files of any length: from disk to latents and back, a block at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.data.audio_writer import AudioWriter
from zoo.data.files import AudioInfo, read_blocks
from zoo.inference.latents import Latents

if TYPE_CHECKING:
    from zoo.inference.codec import Codec


def encode_file(codec: Codec, path: str | Path, info: AudioInfo) -> Latents:
    """What `codec.encode` gives for a file, in memory that does not grow with its length.

    Raises:
        AudioError: as `zoo.read_audio`.
        NotImplementedError: for a model that sees all of the signal at once.
    """
    model = codec.model
    frames = model.frames_to_encode()
    stream = codec.stream_encoder(info.sample_rate, info.channels)
    block = max(1, frames * model.downsampling_ratio * info.sample_rate // model.sample_rate)
    pieces = [stream.push(audio) for audio in read_blocks(path, block)]
    values = torch.cat([*pieces, stream.flush()], dim=-1)
    return Latents(values, info.sample_rate, stream.samples, info.channels, codec.fingerprint)


def decode_file(codec: Codec, latents: Latents, path: str | Path) -> None:
    """Writes what `codec.decode` gives, in memory that does not grow with its length.

    Raises:
        AudioError: as `zoo.write_audio`.
        NotImplementedError: for a model that sees all of the latents at once.
    """
    stream = codec.stream_decoder(latents.sample_rate, latents.channels, latents.samples)
    frames = codec.model.frames_to_decode()
    size = (latents.channels, latents.samples)
    with AudioWriter(path, latents.sample_rate, *size) as writer:
        for values in latents.values.split(frames, dim=-1):
            writer.write(stream.push(values))
        writer.write(stream.flush())
