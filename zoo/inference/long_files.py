"""Files of any length: from disk to latents and back, a block at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.data.audio_writer import AudioWriter
from zoo.data.files import AudioInfo, read_blocks
from zoo.inference.encoded import encoded
from zoo.inference.latents import Latents
from zoo.inference.streams import StreamDecoder, StreamEncoder

if TYPE_CHECKING:
    from zoo.inference.codec import Codec


def encode_file(
    codec: Codec, path: str | Path, info: AudioInfo, posterior: bool = False
) -> Latents:
    """What `codec.encode` gives for a file, in memory that does not grow with its length.

    Only the encoder works block by block: what it gives is small.

    Raises:
        AudioError: as `zoo.read_audio`.
        NotImplementedError: for a model that sees all of the signal at once.
    """
    model = codec.network
    frames = model.frames_to_encode()
    stream = StreamEncoder(model, info.sample_rate, info.channels, skip_bottleneck=True)
    block = max(1, frames * model.downsampling_ratio * info.sample_rate // model.sample_rate)
    pieces = [stream.push(audio) for audio in read_blocks(path, block)]
    pieces = [piece for piece in [*pieces, stream.flush()] if piece.shape[-1]]
    whole = torch.cat(pieces, dim=-1)[None].to(codec.device)
    made = encoded(model, whole, posterior, encode=model.through_bottleneck)
    return made.of_one_clip(info.sample_rate, stream.samples, info.channels, codec.fingerprint)


def decode_file(codec: Codec, latents: Latents, path: str | Path) -> None:
    """Writes what `codec.decode` gives, in memory that does not grow with its length.

    Raises:
        AudioError: as `zoo.write_audio`.
        NotImplementedError: for a model that sees all of the latents at once.
    """
    whole, options = codec.decoder_input(latents, {})
    size = (latents.channels, latents.samples)
    stream = StreamDecoder(codec.network, latents.sample_rate, *size, **options)
    frames = codec.network.frames_to_decode()
    with AudioWriter(path, latents.sample_rate, *size) as writer:
        for values in whole.split(frames, dim=-1):
            writer.write(stream.push(values))
        writer.write(stream.flush())
