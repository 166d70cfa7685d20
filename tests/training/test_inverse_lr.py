"""The schedule against its formula and against k-diffusion's in stable-audio-tools' use."""

from __future__ import annotations

import pytest
import torch

from zoo.training.inverse_lr import InverseLR


@pytest.mark.parametrize(
    ("inv_gamma", "power", "warmup", "final_lr"),
    [(1, 1, 0, 0), (20, 0.5, 0.9, 0), (5, 1.5, 0.5, 0.02), (200_000, 0.5, 0.999, 0)],
)
def test_rates(inv_gamma, power, warmup, final_lr):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = InverseLR(optimizer, inv_gamma, power, warmup, final_lr)
    for step in range(50):
        rate = max(final_lr, 0.1 * (1 + step / inv_gamma) ** -power)
        expected = (1 - warmup ** (step + 1)) * rate
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        schedule.step()
