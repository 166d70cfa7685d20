"""Group normalisation of short signals too."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm for any number of values in a group. (batch, channels, …), same shape out."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name is nn.GroupNorm's
        # upstream: refuses groups of one value, as one frame at the lowest rate can be.
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
