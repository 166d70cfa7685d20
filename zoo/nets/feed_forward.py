"""The feed-forward network of a transformer.

Source: stable_audio_tools/models/transformer.py (state-dict keys).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.transpose import Transpose


class GLU(nn.Module):
    """A linear layer times another one through SiLU. (…, dim_in) → (…, dim_out).

    Source: Shazeer 2020, arXiv:2002.05202.
    """

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, 2 * dim_out)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.silu(gate)


class FeedForward(nn.Module):
    """Wider and back. (batch, frames, dim) → (batch, frames, dim_out).

    Args:
        dim: channels.
        mult: width in multiples of `dim`.
        dim_out: output channels; None for `dim`.
        no_bias: without biases, but for that of a gated layer.
        glu: the first layer is gated by another one, and linear even with `use_conv`.
        use_conv: convolutions over time instead of linear layers.
        conv_kernel_size: frames that a convolution sees, an odd number.
        zero_init_output: start with an output of zero.
    """

    def __init__(
        self,
        dim: int,
        mult: float = 4,
        *,
        dim_out: int | None = None,
        no_bias: bool = False,
        glu: bool = True,
        use_conv: bool = False,
        conv_kernel_size: int = 3,
        zero_init_output: bool = True,
    ) -> None:
        super().__init__()
        assert conv_kernel_size % 2 == 1 or not use_conv
        inner = int(dim * mult)
        self.side = conv_kernel_size // 2 * (0 if not use_conv else 1 if glu else 2)

        def layer(dim_in: int, dim_out: int) -> nn.Module:
            if not use_conv:
                return nn.Linear(dim_in, dim_out, bias=not no_bias)
            padding = conv_kernel_size // 2
            return nn.Conv1d(dim_in, dim_out, conv_kernel_size, padding=padding, bias=not no_bias)

        def turn() -> nn.Module:
            return Transpose() if use_conv else nn.Identity()

        first = (
            GLU(dim, inner) if glu else nn.Sequential(turn(), layer(dim, inner), turn(), nn.SiLU())
        )
        last = layer(inner, dim if dim_out is None else dim_out)
        if zero_init_output:
            for weight in last.parameters():
                nn.init.zeros_(weight)
        self.ff = nn.Sequential(first, turn(), last, turn())

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(x)

    @property
    def reach(self) -> tuple[int, int]:
        """Frames before and after a frame that it sees."""
        return self.side, self.side
