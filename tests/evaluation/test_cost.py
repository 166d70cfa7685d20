"""Counted operations and memory against what really runs."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.config.load import load_config
from zoo.evaluation.cost import cost, training_bytes
from zoo.factory import create_model_from_config


def test_stable_audios_published_figure():
    with torch.device("meta"):
        model = create_model_from_config(load_config("oobleck_vae_44k"))
    given = cost(model)
    # Measured by hand elsewhere: 108.4 GFLOP per second of audio each way.
    assert abs(given.encode_gflop - 108.4) < 3
    assert abs(given.decode_gflop - 108.4) < 3


def test_operations_and_memory_are_those_of_a_real_run(tiny):
    model = zoo.from_config(tiny)
    with torch.device("meta"):
        twin = create_model_from_config(tiny)
    audio = torch.randn(1, 2, 16000)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.encode(audio)
    assert abs(cost(twin).encode_gflop - counter.get_total_flops() / 1e9) < 1e-9

    kept: dict[int, int] = {}
    alive = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage().data_ptr()] = x.numel() * x.element_size()
        alive.append(x)
        return x

    model.train()
    with saved_tensors_hooks(keep, lambda x: x):
        model.decode(model.encode(torch.randn(3, 2, 800)))
    weights = 16 * sum(weight.numel() for weight in model.parameters())
    given = training_bytes(twin, 3, 800)
    assert abs(given - weights - sum(kept.values())) < 0.05 * given
