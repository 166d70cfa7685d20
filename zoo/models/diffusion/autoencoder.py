"""An autoencoder whose decoder is a diffusion model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.models.autoencoder import AudioAutoencoder
from zoo.models.chunking import finite, in_chunks, one_by_one
from zoo.models.diffusion.noise import (
    batch_noise,
    begun_with,
    clip_numbers,
    drawn_seed,
    each_clip,
)
from zoo.models.diffusion.process import Process
from zoo.models.diffusion.samplers import progress_bar, sample
from zoo.models.diffusion.windows import Windows
from zoo.models.latents import check_latents
from zoo.models.pretransform import AutoencoderPretransform
from zoo.nets.bottlenecks.base import Bottleneck
from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span
from zoo.nets.streams.build import stream
from zoo.nets.streams.stream import Chain, Pointwise, Stream

_WINDOW_FRAMES = 128


class DiffusionAutoencoder(AudioAutoencoder):
    """Encodes as an `AudioAutoencoder`; decodes by removing noise, step by step, given the latents.

    Between encoder and diffusion network the latents may pass a decoder, whose output is the
    condition; it is stretched to the length of the signal. The diffusion network works on audio, or
    on what the pretransform makes of it.

    Args:
        diffusion: the network; see `predict`.
        process: how noise is added, and what the network predicts.
        diffusion_ratio: the network takes multiples of so many samples.
        condition_ratio: positions of the decoder's output in a latent frame.
        inner_channels: channels of the signal that the network works on.
        encoder: without one, the latents are the (pretransformed) audio itself.
        decoder: latents to condition; without one, the latents are the condition.
        sampler: default of `decode`; see `zoo.models.diffusion.samplers`.
        steps: default of `decode`.

    Source: stable_audio_tools/models/autoencoders.py.
    """

    def __init__(
        self,
        diffusion: nn.Module,
        process: Process,
        diffusion_ratio: int,
        condition_ratio: int,
        inner_channels: int,
        latent_dim: int,
        downsampling_ratio: int,
        sample_rate: int,
        io_channels: int = 2,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        bottleneck: Bottleneck | None = None,
        pretransform: Pretransform | None = None,
        in_channels: int | None = None,
        out_channels: int | None = None,
        soft_clip: bool = False,
        sampler: str = "ddim",
        steps: int = 100,
    ) -> None:
        super().__init__(
            encoder=encoder or nn.Identity(),
            decoder=decoder or nn.Identity(),
            latent_dim=latent_dim,
            downsampling_ratio=downsampling_ratio,
            sample_rate=sample_rate,
            io_channels=io_channels,
            bottleneck=bottleneck,
            pretransform=pretransform,
            in_channels=in_channels,
            out_channels=out_channels,
            soft_clip=soft_clip,
        )
        self.diffusion = diffusion
        self.process = process
        self.diffusion_ratio = diffusion_ratio
        self.condition_ratio = condition_ratio
        self.inner_channels = inner_channels
        self.sampler, self.steps = sampler, steps
        around = pretransform.downsampling_ratio if pretransform else 1
        # upstream: the product, although both only need to divide the length.
        self.min_length = math.lcm(downsampling_ratio, around * diffusion_ratio)
        # Small at first, so that latents don't saturate, as upstream begins.
        with torch.no_grad():
            for weight in self.encoder.parameters():
                weight *= 0.5

    @property
    def inner_ratio(self) -> int:
        """Samples of that signal in a latent frame."""
        around = self.pretransform.downsampling_ratio if self.pretransform else 1
        return self.downsampling_ratio // around

    def predict(self, noisy: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """One evaluation of the diffusion network.

        Args:
            noisy: (batch, inner_channels, samples).
            t: (batch,), from 0 (clean) to 1 (noise).
            condition: what `condition` gives, (batch, channels, positions).

        Returns:
            (batch, inner_channels, samples), at least in float32; see `process`.
        """
        kind = next(self.diffusion.parameters()).dtype
        # Times stay exact: half precision can't tell small ones apart.
        prediction = self.diffusion(noisy.to(kind), t, input_concat_cond=condition.to(kind))
        return prediction.to(torch.promote_types(kind, torch.float32))

    def condition(self, latents: Tensor) -> Tensor:
        """What the decoder makes of its input, behind `soft_clip` if that is set."""
        condition = self.decoder(latents)
        return condition.tanh() if self.soft_clip else condition

    def decode(
        self,
        latents: Tensor,
        skip_bottleneck: bool = False,
        iterate_batch: bool = False,
        **options: Any,
    ) -> Tensor:
        """Latents (batch, latent_dim, frames) → audio (batch, out_channels, frames · ratio).

        Args:
            skip_bottleneck: `latents` are the decoder's input already.
            iterate_batch: one clip at a time, for less memory.
            **options: of `decode_audio`, such as `steps`, `sampler` and `seed`.
        """
        return self.decode_audio(
            latents, skip_bottleneck=skip_bottleneck, iterate_batch=iterate_batch, **options
        )

    def decode_tokens(
        self,
        tokens: Tensor,
        seed: int = 0,
        generator: torch.Generator | None = None,
        clips: Sequence[int] | None = None,
        **options: Any,
    ) -> Tensor:
        """Tokens (batch, quantizer, frame) → audio; options as in `decode_audio`.

        Raises: TypeError without discrete latents.
        """
        if self.bottleneck is None or not self.bottleneck.is_discrete:
            raise TypeError("decode_tokens needs a model with a discrete bottleneck")
        seed = drawn_seed(generator, seed)
        clips = clip_numbers(clips, len(tokens))
        latents = each_clip(self.bottleneck.decode_tokens, tokens, seed, clips)
        return self.decode_audio(latents, skip_bottleneck=True, seed=seed, clips=clips, **options)

    @torch.no_grad()
    def decode_audio(
        self,
        latents: Tensor,
        chunked: bool = False,
        overlap: int | None = None,
        chunk_size: int | None = None,
        skip_bottleneck: bool = False,
        iterate_batch: bool = False,
        *,
        steps: int | None = None,
        sampler: str | None = None,
        seed: int = 0,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
        clips: Sequence[int] | None = None,
        progress: bool = False,
    ) -> Tensor:
        """As `decode`, without gradients.

        The noise is a function of seed, clip and position alone: a clip sounds the same in any
        batch, on any device.

        Args:
            chunked: run the network over windows of `chunk_size` frames (128 by default) and their
                context, at each step. They share noise and blend; where the receptive field is
                finite, the result is the unchunked one.
            overlap: frames that neighbouring windows share, at least. None is what the receptive
                field needs, or half a chunk where it has no end.
            steps: more of them are slower and, up to a point, better; default `self.steps`.
            sampler: default `self.sampler`.
            generator: draws the seed instead.
            noise: to start from, (batch, inner_channels, frames · inner_ratio).
            clips: a number for each clip, which chooses its noise; by default its place in the
                batch.
            progress: show a bar.

        Raises:
            ValueError: for an unknown sampler, fewer than one step, latents or noise of another
                shape, or not a number for each clip.
        """
        check_latents(latents, None if skip_bottleneck else self.latent_dim)
        seed = drawn_seed(generator, seed)
        clips = clip_numbers(clips, len(latents))
        if self.bottleneck is not None and not skip_bottleneck:
            latents = each_clip(self.bottleneck.decode, latents, seed, clips)
        windows = self._windows(chunk_size, overlap) if chunked else None
        condition = self._condition(latents, windows, iterate_batch)
        length = condition.shape[-1] // self.condition_ratio * self.inner_ratio

        def fresh(draw: int) -> Tensor:
            made = batch_noise(seed, clips, self.inner_channels, length, draw)
            return made.to(latents.device, torch.promote_types(latents.dtype, torch.float32))

        signal = sample(
            partial(self._predict, condition, windows, iterate_batch),
            begun_with(noise, fresh(0), latents.shape[-1] * self.inner_ratio),
            self.process,
            self.sampler if sampler is None else sampler,
            self.steps if steps is None else steps,
            fresh,
            progress_bar if progress else iter,
        )
        signal = signal[..., : latents.shape[-1] * self.inner_ratio].to(latents.dtype)
        if isinstance(self.pretransform, AutoencoderPretransform):
            saving = {"chunked": chunked, "iterate_batch": iterate_batch}
            return self.pretransform.decode(signal, **saving)
        return signal if self.pretransform is None else self.pretransform.decode(signal)

    def decode_span(self, first: int, last: int) -> Span:
        raise NotImplementedError("its steps add up, each sees beyond the one before")

    def decode_stream(self, skip_bottleneck: bool = False, **kwargs: Any) -> Stream:
        raise NotImplementedError("a diffusion autoencoder decodes in steps, each over all frames")

    @property
    def _unit(self) -> int:
        """Latent frames that are a whole multiple of what the network takes."""
        return self.diffusion_ratio // math.gcd(self.diffusion_ratio, self.inner_ratio)

    def _windows(self, chunk_size: int | None, overlap: int | None) -> Windows:
        chunk_size = _WINDOW_FRAMES if chunk_size is None else chunk_size
        network: Any = self.diffusion
        reach = finite(lambda: network.reach)
        if reach is not None:
            reach = (-(-reach[0] // self.inner_ratio), -(-reach[1] // self.inner_ratio))
        return Windows.planned(chunk_size, overlap, reach, self._unit)

    def _condition(self, latents: Tensor, windows: Windows | None, iterate_batch: bool) -> Tensor:
        """The decoder's output for frames in whole multiples of what the network takes."""

        decoder = self.condition
        if windows is not None:
            decoder = partial(
                in_chunks, self.condition, self._condition_stream, unit=1, chunk_size=windows.core
            )
        condition = one_by_one(decoder, latents) if iterate_batch else decoder(latents)
        missing = -latents.shape[-1] % self._unit * self.condition_ratio
        return F.pad(condition, (0, missing), mode="replicate")

    def _condition_stream(self) -> Stream:
        parts = [stream(self.decoder)]
        return Chain([*parts, Pointwise(torch.tanh)] if self.soft_clip else parts)

    def _predict(
        self,
        condition: Tensor,
        windows: Windows | None,
        iterate_batch: bool,
        x: Tensor,
        t: Tensor,
    ) -> Tensor:
        """`predict` for a whole signal, in windows or one clip at a time if so wished."""

        def of_frames(first: int, last: int) -> Tensor:
            noisy = x[..., first * self.inner_ratio : last * self.inner_ratio]
            heard = condition[..., first * self.condition_ratio : last * self.condition_ratio]
            times = t.to(x).expand(len(x))
            if not iterate_batch:
                return self.predict(noisy, times, heard)
            clips = zip(noisy.split(1), times.split(1), heard.split(1), strict=True)
            return torch.cat([self.predict(*clip) for clip in clips])

        frames = condition.shape[-1] // self.condition_ratio
        if windows is None:
            return of_frames(0, frames)
        return windows.predict(of_frames, frames, self.inner_ratio)
