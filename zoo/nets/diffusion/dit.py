"""The diffusion transformer: patches of noisy audio and its condition through one transformer.

Source: Peebles & Xie 2022, arXiv:2212.09748; stable_audio_tools/models/{dit,diffusion}.py
(architecture and state-dict keys).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.attention import Window
from zoo.nets.continuous_transformer import ContinuousTransformer
from zoo.nets.diffusion.fourier_features import FourierFeatures

_TIMESTEP_FEATURES = 256


class DiffusionTransformer(nn.Module):
    """Noisy audio, its diffusion time and conditions to a prediction; see `DiTWrapper`."""

    def __init__(
        self,
        io_channels: int = 32,
        patch_size: int = 1,
        embed_dim: int = 768,
        cond_token_dim: int = 0,
        project_cond_tokens: bool = True,
        global_cond_dim: int = 0,
        project_global_cond: bool = True,
        input_concat_dim: int = 0,
        prepend_cond_dim: int = 0,
        depth: int = 12,
        num_heads: int = 8,
        global_cond_type: Literal["prepend", "adaLN"] = "prepend",
        timestep_cond_type: Literal["global", "input_concat"] = "global",
        timestep_embed_dim: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.timestep_concat = timestep_cond_type == "input_concat"
        self.adaptive = global_cond_type == "adaLN"
        self.timestep_features = FourierFeatures(1, _TIMESTEP_FEATURES)
        dim_in = io_channels + input_concat_dim
        width = embed_dim
        if self.timestep_concat:
            assert timestep_embed_dim is not None
            width = timestep_embed_dim
            dim_in += width
        self.to_timestep_embed = _mlp(_TIMESTEP_FEATURES, width, bias=True)
        cond_width = embed_dim if project_cond_tokens else cond_token_dim
        if cond_token_dim:
            self.to_cond_embed = _mlp(cond_token_dim, cond_width)
        if global_cond_dim:
            global_width = embed_dim if project_global_cond else global_cond_dim
            self.to_global_embed = _mlp(global_cond_dim, global_width)
        if prepend_cond_dim:
            self.to_prepend_embed = _mlp(prepend_cond_dim, embed_dim)
        self.transformer = ContinuousTransformer(
            embed_dim,
            depth,
            dim_in=dim_in * patch_size,
            dim_out=io_channels * patch_size,
            dim_heads=embed_dim // num_heads,
            cross_attend=cond_token_dim > 0,
            cond_token_dim=cond_width if cond_token_dim else None,
            global_cond_dim=embed_dim if self.adaptive else None,
            **options,
        )
        self.preprocess_conv = nn.Conv1d(dim_in, dim_in, 1, bias=False)
        self.postprocess_conv = nn.Conv1d(io_channels, io_channels, 1, bias=False)
        nn.init.zeros_(self.preprocess_conv.weight)
        nn.init.zeros_(self.postprocess_conv.weight)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        input_concat_cond: Tensor | None = None,
        cross_attn_cond: Tensor | None = None,
        global_cond: Tensor | None = None,
        prepend_cond: Tensor | None = None,
    ) -> Tensor:
        kind, samples = self.preprocess_conv.weight.dtype, x.shape[-1]
        assert samples % self.patch_size == 0
        inputs = [x.to(kind)]
        if input_concat_cond is not None:
            condition = input_concat_cond.to(kind)
            if condition.shape[-1] != samples:
                condition = F.interpolate(condition, samples, mode="nearest")
            inputs.append(condition)
        timestep = self.to_timestep_embed(self.timestep_features(t[:, None]))
        embedding = None if global_cond is None else self.to_global_embed(global_cond.to(kind))
        if self.timestep_concat:
            # upstream: repeats the embedding along the wrong axis, and fails.
            inputs.append(timestep[..., None].expand(-1, -1, samples))
        else:
            embedding = timestep if embedding is None else embedding + timestep
        prepended = []
        if prepend_cond is not None:
            prepended.append(self.to_prepend_embed(prepend_cond.to(kind)))
        if embedding is not None and not self.adaptive:
            prepended.append(embedding[:, None])
        x = torch.cat(inputs, dim=1)
        x = x + self.preprocess_conv(x)
        x = self.transformer(
            self._patches(x),
            prepended=torch.cat(prepended, dim=1) if prepended else None,
            context=None
            if cross_attn_cond is None
            else self.to_cond_embed(cross_attn_cond.to(kind)),
            global_cond=embedding if self.adaptive else None,
        )
        # (batch, frames, channels · patch) → (batch, channels, samples)
        x = x.unflatten(2, (-1, self.patch_size)).permute(0, 2, 1, 3).flatten(2)
        return x + self.postprocess_conv(x)

    @property
    def reach(self) -> Window:
        """Samples before and after a patch that its output depends on.

        Raises: NotImplementedError if all.
        """
        if not (self.adaptive or self.timestep_concat):
            raise NotImplementedError("the timestep is a token that sees the whole signal")
        left, right = self.transformer.reach
        return left * self.patch_size, right * self.patch_size

    def _patches(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, frames, channels · patch)"""
        return x.unflatten(2, (-1, self.patch_size)).permute(0, 2, 1, 3).flatten(2)


def _mlp(dim_in: int, dim: int, *, bias: bool = False) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim_in, dim, bias=bias), nn.SiLU(), nn.Linear(dim, dim, bias=bias)
    )


class DiTWrapper(nn.Module):
    """A diffusion transformer. (batch, channels, samples), same shape out.

    Args:
        diffusion_objective: what it predicts, for whoever trains and samples.
        io_channels: channels of the audio.
        patch_size: neighbouring samples that make a frame.
        embed_dim: width of the transformer.
        cond_token_dim: channels of the tokens that it attends to; 0 for none.
        project_cond_tokens: they are projected to `embed_dim` channels.
        global_cond_dim: channels of the global condition; 0 for none.
        project_global_cond: it is projected to `embed_dim` channels.
        input_concat_dim: channels of the condition beside the audio; 0 for none.
        prepend_cond_dim: channels of the tokens put before the audio; 0 for none.
        depth: transformer blocks.
        num_heads: heads of `embed_dim // num_heads` channels.
        transformer_type: there is one.
        global_cond_type: the global condition and the timestep are a token before the audio, or
            move adaptive layer norms.
        timestep_cond_type: the timestep joins the global condition, or the channels of the input.
        timestep_embed_dim: how many channels it then is.
        options: further arguments of `ContinuousTransformer` and `TransformerBlock`.
    """

    def __init__(
        self,
        diffusion_objective: Literal["v", "rectified_flow", "rf_denoiser"] = "v",
        *,
        transformer_type: Literal["continuous_transformer"] = "continuous_transformer",
        **options: Any,
    ) -> None:
        super().__init__()
        assert transformer_type == "continuous_transformer"
        self.diffusion_objective = diffusion_objective
        self.model = DiffusionTransformer(**options)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        input_concat_cond: Tensor | None = None,
        *,
        cross_attn_cond: Tensor | None = None,
        global_cond: Tensor | None = None,
        prepend_cond: Tensor | None = None,
    ) -> Tensor:
        """The prediction for noisy audio.

        Args:
            x: (batch, channels, samples), noisy; samples are a multiple of the patch size.
            t: (batch,), diffusion time in 0 … 1.
            input_concat_cond: (batch, input_concat_dim, frames), stretched to `samples` by
                nearest neighbour.
            cross_attn_cond: (batch, tokens, cond_token_dim).
            global_cond: (batch, global_cond_dim).
            prepend_cond: (batch, tokens, prepend_cond_dim).
        """
        return self.model(x, t, input_concat_cond, cross_attn_cond, global_cond, prepend_cond)

    @property
    def reach(self) -> Window:
        """As of `DiffusionTransformer`."""
        return self.model.reach
