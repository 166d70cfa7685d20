"""What is made of loaded clips: latents of audio, audio of latents, or audio of audio."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import torch

from zoo.data.files import write_audio
from zoo.errors import AudioError
from zoo.inference.batch.audio_files import Rendering
from zoo.inference.batch.readers import AudioReader, LatentReader, Loaded, Reader
from zoo.inference.codec import Codec
from zoo.inference.latents import Latents
from zoo.models.chunking import finite
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder

_BYTES = 4
Made = TypeVar("Made", covariant=True)


class Job(Protocol[Made]):
    """The work of a batch, on the device of its codec."""

    codec: Codec
    verb: str

    @property
    def reader(self) -> Reader: ...

    def frames_at_once(self, clips: int) -> int:
        """How long each of so many clips may be, in frames, to be processed together."""
        ...

    @property
    def similar(self) -> int | None:
        """Frames that clips need to be processed together with longer ones; None: they can't."""
        ...

    def make(self, loaded: Loaded) -> Sequence[Made]:
        """One result for each clip. Raises: ZooError, RuntimeError."""
        ...


class Encoding:
    """Audio to latents; `posterior` and `half` as of `zoo encode`."""

    verb = "encoded"

    def __init__(self, codec: Codec, *, posterior: bool = False, half: bool = False) -> None:
        self.codec = codec
        self.posterior = posterior
        self.half = half

    @property
    def reader(self) -> Reader:
        return _audio_reader(self.codec, self.similar)

    @property
    def similar(self) -> int | None:
        return _similar(self.codec, "encoder")

    def frames_at_once(self, clips: int) -> int:
        return _frames(self.codec, "encode", clips)

    def make(self, loaded: Loaded) -> Sequence[Latents]:
        made = _encoded(self.codec, loaded, self.posterior)
        for latents in made:
            if not torch.isfinite(latents.values).all():
                raise AudioError("the model makes NaN or infinite latents of it")
        return [latents.to(torch.float16) if self.half else latents for latents in made]


class Decoding:
    """Latents to audio; `options` as of `Codec.decode`."""

    verb = "decoded"

    def __init__(self, codec: Codec, **options: Any) -> None:
        self.codec = codec
        self.options = options

    @property
    def reader(self) -> Reader:
        return LatentReader(self.similar)

    @property
    def similar(self) -> int | None:
        return _similar(self.codec, "decoder")

    def frames_at_once(self, clips: int) -> int:
        return _frames(self.codec, "decode", clips)

    def make(self, loaded: Loaded) -> Sequence[Rendering]:
        return _decoded(self.codec, loaded.content, self.options)


class Reconstruction(Decoding):
    """Audio to latents and back."""

    verb = "reconstructed"

    @property
    def reader(self) -> Reader:
        return _audio_reader(self.codec, self.similar)

    @property
    def similar(self) -> int | None:
        sides = [_similar(self.codec, side) for side in ("encoder", "decoder")]
        needed = [frames for frames in sides if frames is not None]
        return max(needed) if len(needed) == len(sides) else None

    def frames_at_once(self, clips: int) -> int:
        return min(_frames(self.codec, side, clips) for side in ("encode", "decode"))

    def make(self, loaded: Loaded) -> Sequence[Rendering]:
        return _decoded(self.codec, _encoded(self.codec, loaded), self.options)


def _audio_reader(codec: Codec, similar: int | None) -> AudioReader:
    model = codec.model
    streams = hasattr(model, "encode_stream") and finite(model.encode_stream) is not None
    sizes = (model.sample_rate, model.in_channels, model.downsampling_ratio)
    return AudioReader(*sizes, streams, similar)


def _similar(codec: Codec, side: str) -> int | None:
    """Only a GPU is not busy with one clip: elsewhere, what is computed twice is lost."""
    model = codec.model
    name = f"{side}_context"
    if codec.device.type == "cpu" or isinstance(model, DiffusionAutoencoder):
        return None
    context = finite(lambda: getattr(model, name)) if hasattr(type(model), name) else None
    return None if context is None else sum(context)


def _frames(codec: Codec, side: str, clips: int) -> int:
    """Without a way to tell, one clip at a time."""
    network = codec.network
    if not hasattr(network, f"frames_to_{side}"):
        return 0
    return getattr(network, f"frames_to_{side}")(clips)


def _encoded(codec: Codec, loaded: Loaded, posterior: bool = False) -> list[Latents]:
    if loaded.content is None:
        return [codec.encode(source.path, posterior=posterior) for source in loaded.sources]
    made = codec.encode_batch(loaded.content, posterior=posterior)
    return [
        each.of_one_clip(clip.sample_rate, clip.samples, clip.channels, codec.fingerprint)
        for each, clip in zip(made, loaded.clips, strict=True)
    ]


def _decoded(codec: Codec, latents: Sequence[Latents], options: dict[str, Any]) -> list[Rendering]:
    if len(latents) == 1:
        writers = [partial(codec.decode_file, latents[0], **options)]
    else:
        audio = codec.decode_batch(latents, **options)
        writers = [
            partial(write_audio, values=values, sample_rate=clip.sample_rate)
            for values, clip in zip(audio, latents, strict=True)
        ]
    sizes = (_BYTES * clip.samples * clip.channels for clip in latents)
    return [Rendering(*both) for both in zip(writers, sizes, strict=True)]
