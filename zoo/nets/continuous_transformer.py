"""A stack of transformer blocks over frames of real numbers.

Source: stable_audio_tools/models/transformer.py (architecture and state-dict keys).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.nets.attention import Window
from zoo.nets.positions import SinusoidalPositions, TrainedPositions
from zoo.nets.rotary import RotaryEmbedding
from zoo.nets.transformer import TransformerBlock


class ContinuousTransformer(nn.Module):
    """(batch, frames, dim_in) → (batch, frames, dim_out).

    Args:
        dim: channels between the blocks.
        depth: blocks.
        dim_in, dim_out: input and output channels.
        dim_heads: channels of a head.
        cross_attend: the blocks attend to a context.
        cond_token_dim: channels of the context.
        final_cross_attn_ix: index of the last block that attends to the context; -1 for the last.
        global_cond_dim: channels of a condition for adaptive layer norms; None for none.
        causal: no frame sees those after it.
        rotary_pos_emb: one rotary embedding for all blocks; heads are at least 32 channels wide.
        use_sinusoidal_emb: sines of the positions are added to the frames.
        use_abs_pos_emb: trained positions are added to the frames instead.
        abs_pos_emb_max_length: how many of them, besides those of the memory tokens.
        num_memory_tokens: trained frames before all others.
        sliding_window: frames that a frame sees before and after itself, as in `attend`; frames
            put before the input see all and are seen by all.
        options: further arguments of `TransformerBlock`.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        *,
        dim_in: int,
        dim_out: int,
        dim_heads: int = 64,
        cross_attend: bool = False,
        cond_token_dim: int | None = None,
        final_cross_attn_ix: int = -1,
        global_cond_dim: int | None = None,
        causal: bool = False,
        rotary_pos_emb: bool = True,
        use_sinusoidal_emb: bool = False,
        use_abs_pos_emb: bool = False,
        abs_pos_emb_max_length: int = 10000,
        num_memory_tokens: int = 0,
        sliding_window: Window | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.project_in = nn.Linear(dim_in, dim, bias=False)
        self.project_out = nn.Linear(dim, dim_out, bias=False)
        self.rotary_pos_emb = RotaryEmbedding(max(dim_heads // 2, 32)) if rotary_pos_emb else None
        self.num_memory_tokens = num_memory_tokens
        if num_memory_tokens:
            self.memory_tokens = nn.Parameter(torch.randn(num_memory_tokens, dim))
        self.pos_emb: nn.Module | None = None
        if use_abs_pos_emb:
            self.pos_emb = TrainedPositions(dim, abs_pos_emb_max_length + num_memory_tokens)
        elif use_sinusoidal_emb:
            self.pos_emb = SinusoidalPositions(dim)
        self.global_cond_embedder = None
        if global_cond_dim is not None:
            self.global_cond_embedder = nn.Sequential(
                nn.Linear(global_cond_dim, dim), nn.SiLU(), nn.Linear(dim, 6 * dim)
            )
        last = depth - 1 if final_cross_attn_ix == -1 else final_cross_attn_ix
        self.layers = nn.ModuleList(
            TransformerBlock(
                dim,
                dim_heads,
                # upstream: ignores the window where flash-attn is not installed.
                window=sliding_window,
                causal=causal,
                cross_attend=cross_attend and index <= last,
                dim_context=cond_token_dim,
                global_cond_dim=global_cond_dim,
                **options,
            )
            for index in range(depth)
        )

    def forward(
        self,
        x: Tensor,
        prepended: Tensor | None = None,
        context: Tensor | None = None,
        global_cond: Tensor | None = None,
    ) -> Tensor:
        """Runs all blocks.

        Args:
            x: (batch, frames, dim_in).
            prepended: (batch, tokens, dim), frames put before the input, cut off the output.
            context: (batch, tokens, cond_token_dim).
            global_cond: (batch, global_cond_dim).
        """
        frames = x.shape[1]
        x = self.project_in(x)
        if prepended is not None:
            x = torch.cat((prepended.to(x.dtype), x), dim=1)
        if self.num_memory_tokens:
            memory = self.memory_tokens.to(x.dtype).expand(len(x), -1, -1)
            x = torch.cat((memory, x), dim=1)
        prefix = x.shape[1] - frames
        if self.pos_emb is not None:
            x = x + self.pos_emb(x)
        if global_cond is not None and self.global_cond_embedder is not None:
            global_cond = self.global_cond_embedder(global_cond)
        for layer in self.layers:
            x = layer(x, context, global_cond, self.rotary_pos_emb, prefix)
        return self.project_out(x[:, prefix:])

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees. Raises: NotImplementedError if all.

        Only without frames put before the input, which see all of it.
        """
        if self.num_memory_tokens or self.pos_emb is not None:
            raise NotImplementedError("memory tokens and absolute positions see the whole signal")
        sides = [cast(Window, layer.reach) for layer in self.layers]
        return sum(left for left, _ in sides), sum(right for _, right in sides)
