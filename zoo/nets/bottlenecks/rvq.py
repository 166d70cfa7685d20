"""Residual vector quantisation with codes that follow their frames."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.bottlenecks.base import Info
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck, full_precision, straight_through
from zoo.nets.bottlenecks.quantised_gaussian import QuantisedGaussian


class RVQBottleneck(DiscreteBottleneck):
    """Each quantizer writes what the previous ones left over as its nearest code.

    Codes change in training mode only, and not at all after `requires_grad_(False)`. Until k-means
    has set a quantizer's codes, on its first training batch, they are all zero: in eval mode its
    token is 0 and it adds nothing.

    Args:
        beam_size, eval_beam_size: choices that the search keeps, in training and in eval mode.
        sync_codebook: all processes of a training run learn the codes together, unless false.
        sync_kmeans: and start them together.
        **quantizer: further arguments of vector-quantize-pytorch's `ResidualVQ`.

    Source: Zeghidour et al. 2021 (SoundStream), arXiv:2107.03312; vector-quantize-pytorch;
    stable_audio_tools/models/bottleneck.py.
    """

    def __init__(
        self,
        dim: int = 128,
        codebook_size: int = 1024,
        num_quantizers: int = 8,
        decay: float = 0.99,
        kmeans_init: bool = True,
        kmeans_iters: int = 50,
        threshold_ema_dead_code: float = 2,
        beam_size: int | None = None,
        eval_beam_size: int | None = None,
        sync_codebook: bool | None = None,
        sync_kmeans: bool = True,
        **quantizer: Any,
    ) -> None:
        super().__init__(num_quantizers, codebook_size, "quantizer_indices")
        # Imported here as it takes longer than the rest of zoo.
        from vector_quantize_pytorch import ResidualVQ

        self.quantizer: Any = ResidualVQ(
            dim=dim,
            codebook_size=codebook_size,
            num_quantizers=num_quantizers,
            decay=decay,
            kmeans_init=kmeans_init,
            kmeans_iters=kmeans_iters,
            threshold_ema_dead_code=threshold_ema_dead_code,
            # upstream: crashes where there are fewer codes than beams.
            beam_size=beam_size and min(beam_size, codebook_size),
            eval_beam_size=eval_beam_size and min(eval_beam_size, codebook_size),
            sync_codebook=False,
            **quantizer,
        )
        self.sync_codebook = sync_codebook is not False
        self.sync_kmeans = sync_kmeans
        self.frozen = False

    def requires_grad_(self, requires_grad: bool = True) -> RVQBottleneck:
        # upstream: codes are buffers, so they go on changing in a frozen bottleneck.
        self.frozen = not requires_grad
        super().requires_grad_(requires_grad)
        return self.train(self.training)

    def train(self, mode: bool = True) -> RVQBottleneck:
        super().train(mode)
        self.quantizer.train(mode and not self.frozen)
        return self

    def encode_with_info(
        self, x: Tensor, return_info: bool, n_quantizers: int | None = None
    ) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out.

        Args:
            n_quantizers: in eval mode, use the first ones alone, without beams. In training,
                quantizer dropout decides.

        The info holds `quantizer_indices` (batch, quantizer, frame), -1 where dropped, the loss
        `quantizer_loss`, `codebook_usage` and `perplexity` (quantizer).
        """
        count = self._chosen(n_quantizers)
        frames = x.transpose(1, 2).to(self._weight.dtype)
        with full_precision(x):
            if self.quantizer.training:
                latents, tokens, losses = self._learn(frames)
            else:
                latents, tokens, losses = self._look_up(frames, count)
        # upstream: tokens are (batch, frame, quantizer).
        tokens = tokens.transpose(1, 2).contiguous()
        info: Info = {"quantizer_indices": tokens, "quantizer_loss": losses.mean()}
        if return_info:
            info |= self._facts(tokens)
        return latents.transpose(1, 2).contiguous(), info

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) of the first or of all quantizers → decoder input."""
        self._check_tokens(tokens, fewest=1)
        with full_precision(self._weight):
            # upstream: calls a method that doesn't exist, and gives (batch, frame, latent).
            latents = self.quantizer.project_out(self._sum(tokens.transpose(1, 2)))
        return self.decode(latents.transpose(1, 2).contiguous(), **kwargs)

    def _learn(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        together = self.sync_codebook and _processes() > 1
        for layer in self.quantizer.layers:
            _synchronise(layer._codebook, together, together and self.sync_kmeans)
        options: dict[str, Any] = {}
        if together and self.quantizer.quantize_dropout:
            seed = torch.randint(2**31, (), device=frames.device)
            dist.broadcast(seed, 0)
            options["rand_quantize_dropout_fixed_seed"] = int(seed)
        # upstream: k-means in the midst of a beam search mistakes clips for codebooks.
        if (self.quantizer.beam_size or 1) > 1 and not self._is_ready():
            options["beam_size"] = 1
        return self.quantizer(frames, **options)

    def _look_up(self, frames: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        # upstream: initialises the codes in eval mode too, and DiVeQ adds noise there.
        inputs = self.quantizer.project_in(frames)
        beams = self.quantizer.eval_beam_size or 1
        if beams > 1 and count == self.num_quantizers and self._is_ready():
            _, tokens, losses = self.quantizer(frames)
            total = self._sum(tokens)
        else:
            tokens, total, losses = self._search(inputs, count)
        return self.quantizer.project_out(straight_through(inputs, total)), tokens, losses

    def _search(self, inputs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        residual, total = inputs, torch.zeros_like(inputs)
        tokens: list[Tensor] = []
        losses: list[Tensor] = []
        for layer, network in self._layers(count):
            chosen = _nearest(layer, network, residual, total)
            codes = _codes(layer, network, chosen, total)
            if self.training:
                losses.append(F.mse_loss(residual, codes) * layer.commitment_weight)
            residual, total = residual - codes, total + codes
            tokens.append(chosen)
        losses = losses or [inputs.new_zeros(())]
        return torch.stack(tokens, -1), total, torch.stack(losses)

    def _sum(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, frame, quantizer) → the sum of their codes (batch, frame, code)."""
        width = self.quantizer.codebook_dim
        total = self._weight.new_zeros(*tokens.shape[:2], width)
        for (layer, network), chosen in zip(
            self._layers(tokens.shape[-1]), tokens.unbind(-1), strict=True
        ):
            total = total + _codes(layer, network, chosen, total)
        return total

    def _layers(self, count: int) -> list[tuple[Any, nn.Module | None]]:
        networks = (None, *self.quantizer.mlps)
        return list(zip(self.quantizer.layers, networks, strict=True))[:count]

    def _is_ready(self) -> bool:
        return all(_is_ready(layer) for layer in self.quantizer.layers)

    @property
    def _weight(self) -> Tensor:
        return self.quantizer.layers[0]._codebook.embed


class RVQVAEBottleneck(QuantisedGaussian, RVQBottleneck):
    """The Gaussian latent of a variational autoencoder, quantised."""


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _synchronise(codebook: Any, together: bool, kmeans: bool) -> None:
    """Lets the processes of a training run share the statistics that codes are made of."""
    # upstream: decides when it is built, before there are processes, so it never does.
    if codebook.use_ddp == together:
        return
    from vector_quantize_pytorch.vector_quantize_pytorch import (
        batched_sample_vectors,
        noop,
        sample_vectors_distributed,
    )

    codebook.use_ddp = together
    codebook.all_reduce_fn = dist.all_reduce if together else noop
    codebook.kmeans_all_reduce_fn = dist.all_reduce if kmeans else noop
    draw = sample_vectors_distributed if kmeans else batched_sample_vectors
    codebook.sample_fn = codebook.replace_sample_fn = draw


def _is_ready(layer: Any) -> bool:
    """Whether the codes are set, at random or by k-means."""
    return bool(layer._codebook.initted)


def _nearest(layer: Any, network: nn.Module | None, residual: Tensor, total: Tensor) -> Tensor:
    if not _is_ready(layer):
        return residual.new_zeros(residual.shape[:-1], dtype=torch.long)
    if network is None:
        return layer(residual)[1]
    return layer(residual, codebook_transform_fn=partial(network, condition=total))[1]


def _codes(layer: Any, network: nn.Module | None, tokens: Tensor, total: Tensor) -> Tensor:
    """Tokens (batch, frame) → codes (batch, frame, code); zero for dropped ones.

    Args:
        network: makes the codebook for each frame of `total`, the sum of the previous codes.
    """
    if not _is_ready(layer):
        return torch.zeros_like(total)
    dropped = (tokens < 0)[..., None]
    tokens = tokens.clamp(min=0)
    codebook = layer.codebook.detach()
    if network is None:
        return codebook[tokens].masked_fill(dropped, 0)
    made = network(codebook, condition=total).detach()
    index = tokens[..., None, None].expand(*tokens.shape, 1, made.shape[-1])
    codes = made.gather(-2, index).squeeze(-2)
    return codes.masked_fill(dropped, 0)
