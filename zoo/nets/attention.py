"""Attention over time: of all frames, or of the frames within a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.norms import DynamicTanh, UnitNorm
from zoo.nets.rotary import RotaryEmbedding

Window = tuple[int, int]
QKNorm = Literal["none", "l2", "ln", "dyt"]

_FEWEST_QUERIES = 64


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: Window | None = None,
    rotary: RotaryEmbedding | None = None,
    *,
    causal: bool = False,
    prefix: int = 0,
) -> Tensor:
    """Scaled dot-product attention. All are (batch, heads, frames, width).

    With a window memory and time grow with `frames`, not with its square: blocks of queries
    against the keys that they can reach.

    Args:
        window: frame i sees the frames i - window[0] … i + window[1]; -1 is without end, None
            both ways.
        rotary: rotates queries and keys by their positions.
        causal: no frame sees those after it.
        prefix: so many frames at the start are seen by all, and see all, whatever the window;
            `causal` holds for them too.
    """
    frames = q.shape[-2] - prefix
    left, right = (
        min(side, frames - 1) if side >= 0 else frames - 1 for side in window or (-1, -1)
    )
    everywhere = left == frames - 1 and (causal or right == frames - 1)
    if rotary is not None and (everywhere or prefix):
        q, k, rotary = rotary(q), rotary(k), None
    if everywhere:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    right = 0 if causal else right
    if not prefix:
        return _attend_in_blocks(q, k, v, left, right, rotary)
    first = F.scaled_dot_product_attention(q[:, :, :prefix], k, v, is_causal=causal)
    (first_k, k), (first_v, v) = (x.split([prefix, frames], dim=2) for x in (k, v))
    y = _attend_in_blocks(q[:, :, prefix:], k, v, left, right, shared=(first_k, first_v))
    return torch.cat((first, y), dim=2)


def _attend_in_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    left: int,
    right: int,
    rotary: RotaryEmbedding | None = None,
    shared: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Every block also sees the keys and values `shared`."""
    batch, heads, frames, _ = q.shape
    size = min(frames, max(left + 1 + right, _FEWEST_QUERIES))
    blocks = -(-frames // size)
    missing = blocks * size - frames
    reach = left + size + right

    # (blocks, batch · heads, frames of a block, width): one mask for a block serves all heads.
    q = F.pad(q, (0, 0, 0, missing)).unflatten(2, (blocks, size))
    q = q.permute(2, 0, 1, 3, 4).flatten(1, 2)
    k, v = (
        F.pad(x, (0, 0, left, right + missing))
        .unfold(2, reach, size)
        .permute(2, 0, 1, 4, 3)
        .flatten(1, 2)
        for x in (k, v)
    )
    if rotary is not None:
        # Positions within the block: small angles are exact however long the signal is.
        q, k = rotary(q, left), rotary(k)
    mask = _mask(frames, blocks, size, left, right, q.device)
    if shared is not None:
        k, v = (
            torch.cat((first.flatten(0, 1).expand(blocks, -1, -1, -1), x), dim=2)
            for first, x in zip(shared, (k, v), strict=True)
        )
        mask = F.pad(mask, (shared[0].shape[2], 0), value=True)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return y.unflatten(1, (batch, heads)).permute(1, 2, 0, 3, 4).flatten(2, 3)[:, :, :frames]


def _mask(
    frames: int, blocks: int, size: int, left: int, right: int, device: torch.device
) -> Tensor:
    """Which of its keys each query sees. (blocks, 1, size, left + size + right)"""
    query = torch.arange(size, device=device)[:, None]
    key = torch.arange(left + size + right, device=device)
    near = (key >= query) & (key <= query + left + right)
    frame = torch.arange(blocks, device=device)[:, None] * size + key - left
    mask = near & ((frame >= 0) & (frame < frames))[:, None]
    # A query behind the end is cut off later; without any key its gradient would be NaN.
    mask[-1, size - (blocks * size - frames) :] = True
    return mask[:, None]


class Attention(nn.Module):
    """Self-attention, or attention to a context. (batch, frames, channels), same shape out.

    Source: Vaswani et al. 2017, arXiv:1706.03762; stable_audio_tools/models/transformer.py
    (architecture and state-dict keys).

    Args:
        dim: channels.
        dim_heads: channels of a head, a divisor of `dim`.
        dim_context: channels of the context, with as many heads as it has channels for, each
            serving several of the queries' (Ainslie et al. 2023, arXiv:2305.13245); None for
            self-attention.
        window: as in `attend`; for self-attention.
        causal: frame i sees no frame, and no token of the context, after the i-th.
        qk_norm: how the queries and keys of each head are normalised: "l2" to length one, "ln" by
            a layer norm, "dyt" by `DynamicTanh`.
        differential: the difference of two attentions to the same values (after Ye et al. 2024,
            arXiv:2410.05258).
        feat_scale: trained gains for the mean of all frames, and for what differs from it (Wang
            et al. 2022, arXiv:2203.05962).
        zero_init_output: start with an output of zero.
    """

    def __init__(
        self,
        dim: int,
        dim_heads: int,
        *,
        dim_context: int | None = None,
        window: Window | None = None,
        causal: bool = False,
        qk_norm: QKNorm = "none",
        differential: bool = False,
        feat_scale: bool = False,
        zero_init_output: bool = True,
    ) -> None:
        super().__init__()
        assert dim % dim_heads == 0
        self.dim_heads, self.window, self.causal = dim_heads, window, causal
        self.attentions = 2 if differential else 1
        if dim_context is None:
            self.to_qkv = nn.Linear(dim, (2 * self.attentions + 1) * dim, bias=False)
        else:
            self.to_qkv = None
            self.to_q = nn.Linear(dim, self.attentions * dim, bias=False)
            self.to_kv = nn.Linear(dim_context, (self.attentions + 1) * dim_context, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        if zero_init_output:
            nn.init.zeros_(self.to_out.weight)
        self.q_norm = _qk_norm(qk_norm, dim_heads)
        self.k_norm = _qk_norm(qk_norm, dim_heads)
        self.feat_scale = feat_scale
        if feat_scale:
            self.lambda_dc = nn.Parameter(torch.zeros(dim))
            self.lambda_hf = nn.Parameter(torch.zeros(dim))

    def forward(
        self,
        x: Tensor,
        rotary: RotaryEmbedding | None = None,
        *,
        context: Tensor | None = None,
        prefix: int = 0,
    ) -> Tensor:
        """Args: context, (batch, tokens, dim_context); rotary and prefix as in `attend`."""
        q, k, v = self._project(x, context)
        # Under autocast the norms give float32.
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if k.shape[1] != q.shape[1]:
            assert q.shape[1] % k.shape[1] == 0
            k, v = (part.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for part in (k, v))
        causal = self.causal and x.shape[1] > 1
        if context is None:
            y = attend(q, k, v, self.window, rotary, causal=causal, prefix=prefix)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        if self.attentions == 2:
            y, other = y.chunk(2, dim=1)
            y = y - other
        y = self.to_out(y.transpose(1, 2).flatten(2))
        if not self.feat_scale:
            return y
        mean = y.mean(dim=1, keepdim=True)
        return y + self.lambda_dc * mean + self.lambda_hf * (y - mean)

    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, those of a second attention as further heads."""
        if self.to_qkv is not None:
            q, k, v, *second = self.to_qkv(x).split(x.shape[-1], dim=-1)
            queries, keys = [q, *second[:1]], [k, *second[1:]]
        else:
            queries = self.to_q(x).chunk(self.attentions, dim=-1)
            given = x if context is None else context
            *keys, v = self.to_kv(given).split(given.shape[-1], dim=-1)
        values = [v] * self.attentions
        return self._heads(queries), self._heads(keys), self._heads(values)

    def _heads(self, parts: Sequence[Tensor]) -> Tensor:
        heads = [part.unflatten(-1, (-1, self.dim_heads)).transpose(1, 2) for part in parts]
        return torch.cat(heads, dim=1) if len(heads) > 1 else heads[0]

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees. Raises: NotImplementedError if all."""
        if self.window is None or min(self.window) < 0 or self.feat_scale:
            raise NotImplementedError(
                "attention over all frames depends on the whole signal; give it a window"
            )
        return self.window


def _qk_norm(kind: QKNorm, width: int) -> nn.Module:
    match kind:
        case "none":
            return nn.Identity()
        case "l2":
            return UnitNorm()
        case "ln":
            return nn.LayerNorm(width, eps=1e-6)
        case "dyt":
            return DynamicTanh(width)
