"""The residual vector quantizer of the Descript Audio Codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.bottlenecks.discrete import full_precision, straight_through
from zoo.nets.conv import WNConv1d


@dataclass(frozen=True)
class Quantized:
    """What a quantizer makes of its input (batch, channels, frames).

    Attributes:
        values: (batch, channels, frames), the quantised input.
        tokens: (batch, frames) of one quantizer, (batch, quantizer, frames) of several.
        latents: (batch, code, frames), the projected input; of several, one below the other.
        commitment_loss: the pull of the input to its codes; (batch) of one quantizer, one
            number of several.
        codebook_loss: the pull of the codes to the input; the same shape.
    """

    values: Tensor
    tokens: Tensor
    latents: Tensor
    commitment_loss: Tensor
    codebook_loss: Tensor


class VectorQuantize(nn.Module):
    """The nearest of `codebook_size` codes by angle, searched in `codebook_dim` channels.

    Source: Yu et al. 2022 (ViT-VQGAN), arXiv:2110.04627; dac/nn/quantize.py.
    """

    def __init__(self, input_dim: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.codebook_dim = codebook_dim
        self.in_proj = WNConv1d(input_dim, codebook_dim, 1)
        self.out_proj = WNConv1d(codebook_dim, input_dim, 1)
        self.codebook = nn.Embedding(codebook_size, codebook_dim)

    def forward(self, x: Tensor) -> Quantized:
        """(batch, channels, frames)."""
        latents = self.in_proj(x)
        tokens = self.nearest(latents)
        codes = self.codes(tokens)
        commitment = F.mse_loss(latents, codes.detach(), reduction="none").mean((1, 2))
        codebook = F.mse_loss(codes, latents.detach(), reduction="none").mean((1, 2))
        # upstream: its straight-through sum rounds, so that tokens decode to something else.
        values = self.out_proj(straight_through(latents, codes))
        return Quantized(values, tokens, latents, commitment, codebook)

    def nearest(self, latents: Tensor) -> Tensor:
        """Projected latents (batch, code, frames) → tokens (batch, frames)."""
        with full_precision(latents):
            points = F.normalize(latents.detach().float(), dim=1).transpose(1, 2)
            codes = F.normalize(self.codebook.weight.detach().float(), dim=1)
            # Half the distance, turned round, without the term that is the same for all codes.
            lengths = codes.square().sum(1) / 2
            closeness = torch.baddbmm(-lengths, points, codes.T.expand(points.shape[0], -1, -1))
        return closeness.argmax(-1)

    def codes(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, frames) → codes (batch, code, frames)."""
        return self.codebook(tokens).transpose(1, 2).contiguous()


class ResidualVectorQuantize(nn.Module):
    """Each quantizer writes what the previous ones left over.

    Args:
        codebook_dim: channels of the codes, for all quantizers or one number each.
        quantizer_dropout: share of a training batch that uses fewer quantizers, at random.

    Source: Kumar et al. 2023, arXiv:2306.06546; dac/nn/quantize.py.
    """

    def __init__(
        self,
        input_dim: int = 512,
        n_codebooks: int = 9,
        codebook_size: int = 1024,
        codebook_dim: int | Sequence[int] = 8,
        quantizer_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [codebook_dim] * n_codebooks if isinstance(codebook_dim, int) else codebook_dim
        self.quantizers = nn.ModuleList(
            VectorQuantize(input_dim, codebook_size, width)
            for width, _ in zip(widths, range(n_codebooks), strict=True)
        )
        self.codebook_size = codebook_size
        self.quantizer_dropout = quantizer_dropout

    def forward(self, x: Tensor, n_quantizers: int | None = None) -> Quantized:
        """(batch, channels, frames).

        Args:
            n_quantizers: in eval mode, use the first ones alone. In training, quantizer dropout
                decides, and the tokens of all are given.
        """
        used = self._used(len(x)).to(x.device) if self.training else None
        residual, total = x, torch.zeros((), device=x.device)
        parts: list[Quantized] = []
        for index, quantizer in enumerate(self._first(None if self.training else n_quantizers)):
            part: Quantized = quantizer(residual)
            residual = residual - part.values
            if used is not None:
                part = _of_clips(part, index < used)
            total = total + part.values
            parts.append(part)
        return Quantized(
            total,
            torch.stack([part.tokens for part in parts], 1),
            torch.cat([part.latents for part in parts], 1),
            torch.stack([part.commitment_loss.mean() for part in parts]).sum(),
            torch.stack([part.codebook_loss.mean() for part in parts]).sum(),
        )

    @torch.no_grad()
    def tokens(self, x: Tensor, n_quantizers: int | None = None) -> Tensor:
        """(batch, channels, frames) → tokens (batch, quantizer, frames), without dropout."""
        residual, tokens = x, []
        for quantizer in self._first(n_quantizers):
            part: Quantized = quantizer(residual)
            residual = residual - part.values
            tokens.append(part.tokens)
        return torch.stack(tokens, 1)

    def from_codes(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (batch, quantizer, frames) of the first or of all quantizers.

        Returns:
            The quantised signal (batch, channels, frames), the codes (batch, code, frames) one
            below the other, and the tokens again.
        """
        points: list[Tensor] = []
        total = torch.zeros((), device=codes.device)
        for quantizer, tokens in zip(self._first(codes.shape[1]), codes.unbind(1), strict=True):
            points.append(quantizer.codes(tokens))
            total = total + quantizer.out_proj(points[-1])
        return total, torch.cat(points, 1), codes

    def from_latents(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projected latents (batch, code, frames), as in `Quantized.latents`; same results."""
        tokens: list[Tensor] = []
        for quantizer in self._first(None):
            if latents.shape[1] < quantizer.codebook_dim:
                break
            tokens.append(quantizer.nearest(latents[:, : quantizer.codebook_dim]))
            latents = latents[:, quantizer.codebook_dim :]
        return self.from_codes(torch.stack(tokens, 1))

    def _first(self, count: int | None) -> list[VectorQuantize]:
        return list(self.quantizers)[:count]  # type: ignore[return-value]

    def _used(self, batch: int) -> Tensor:
        """How many quantizers each clip of a training batch uses."""
        count = len(self.quantizers)
        used = torch.full((batch,), count)
        random = torch.randint(1, count + 1, (batch,))
        fewer = int(batch * self.quantizer_dropout)
        used[:fewer] = random[:fewer]
        return used


def _of_clips(part: Quantized, clips: Tensor) -> Quantized:
    """Values and losses of the clips (batch) that are true, zero for the others."""
    return replace(
        part,
        values=part.values * clips[:, None, None],
        commitment_loss=part.commitment_loss * clips,
        codebook_loss=part.codebook_loss * clips,
    )
