"""Muon: equal to torch's own, and to the polynomial in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from zoo.config.optimizers import MuonParameters, OptimizationConfig
from zoo.config.problems import validate
from zoo.nets.conv import WNConv1d
from zoo.training.build_optimization import build_optimization
from zoo.training.muon import Muon, MuonWithAdamW, is_matrix, orthogonalized

COEFFICIENTS = MuonParameters().ns_coefficients


def built(net: nn.Module, **options):
    config = validate(OptimizationConfig, {"optimizer": {"type": "Muon", "config": options}})
    optimizer, _ = build_optimization(config, net)
    assert isinstance(optimizer, MuonWithAdamW)
    return optimizer


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("adjust", ["match_rms_adamw", "original"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_kernels_are_moved_as_torchs_muon_moves_matrices_and_the_rest_by_adamw(
    monkeypatch, adjust, nesterov
):
    # torch computes in bfloat16 wherever it is.
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.float().clone())
    torch.manual_seed(0)
    net = nn.Sequential(WNConv1d(3, 5, 7), nn.Linear(10, 4))
    kernels = {"0.weight_v", "1.weight"}
    assert {name for name, w in net.named_parameters() if is_matrix(w)} == kernels
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    how = {"weight_decay": 0.05, "nesterov": nesterov, "adjust_lr_fn": adjust}
    optimizer = built(net, lr=0.02, **how)
    theirs = {
        name: nn.Parameter((w.flatten(1) if name in kernels else w).clone())
        for name, w in before.items()
    }
    muon = torch.optim.Muon([theirs[name] for name in before if name in kernels], lr=0.02, **how)
    adamw = torch.optim.AdamW(
        [theirs[name] for name in before if name not in kernels], lr=0.02, weight_decay=0.05
    )
    for step in range(3):
        torch.manual_seed(step)
        for name, weight in net.named_parameters():
            weight.grad = torch.randn_like(weight)
            theirs[name].grad = weight.grad.reshape(theirs[name].shape).clone()
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 0.02 / (step + 1)
        for other in (muon, adamw):
            other.param_groups[0]["lr"] = 0.02 / (step + 1)
            other.step()
        optimizer.step()
    for name, weight in net.named_parameters():
        found = weight.flatten(1) if name in kernels else weight
        assert not torch.equal(found.reshape(before[name].shape), before[name])
        torch.testing.assert_close(found, theirs[name])


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_singular_values_follow_the_polynomial(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape)
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    a, b, c = COEFFICIENTS
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    expected = left @ torch.diag(values) @ right
    found = orthogonalized(matrix, COEFFICIENTS, 5, 1e-7)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    assert values.min() > 0.4 and values.max() < 1.6


def test_other_devices_compute_in_bfloat16():
    made = orthogonalized(torch.ones(3, 5, device="meta"), COEFFICIENTS, 5, 1e-7)
    assert (made.dtype, made.shape) == (torch.bfloat16, (3, 5))


def test_a_state_of_matrices_goes_on():
    def moved(flat: bool) -> torch.Tensor:
        torch.manual_seed(0)
        net = nn.Conv1d(3, 4, 5, bias=False)
        optimizer = built(net)
        for step in range(2):
            net.weight.grad = torch.ones_like(net.weight) * (step + torch.arange(5))
            optimizer.step()
            state = optimizer.state_dict()
            if flat:
                (buffers,) = (part["state"][0] for part in state["parts"])
                buffers["momentum_buffer"] = buffers["momentum_buffer"].flatten(1)
            optimizer.load_state_dict(state)
        return net.weight.detach()

    assert torch.equal(moved(flat=True), moved(flat=False))


def test_a_gradient_of_zero_moves_nothing():
    weight = nn.Parameter(torch.ones(3, 4))
    options = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9, "nesterov": True, "eps": 1e-7}
    how = {"ns_coefficients": COEFFICIENTS, "ns_steps": 5, "adjust_lr_fn": "original"}
    weight.grad = torch.zeros(3, 4)
    Muon([weight], **options, **how).step()
    assert torch.equal(weight, torch.ones(3, 4))


def test_weights_whose_memory_is_in_another_order_are_moved_alike():
    plain = nn.Conv2d(4, 6, 3)
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    for net in (plain, other):
        torch.manual_seed(1)
        net.weight.grad = torch.randn_like(net.weight, memory_format=torch.contiguous_format)
        net.bias.grad = torch.ones_like(net.bias)
        built(net).step()
    torch.testing.assert_close(plain.weight, other.weight)
