"""Bottlenecks against upstream's."""

from __future__ import annotations

import pytest
import torch

from tests.oracle import import_upstream
from zoo.factory import create_bottleneck_from_config

CONFIGS = [
    {"type": "vae"},
    {"type": "tanh", "config": {"scale": 2.5}},
    {"type": "l2_norm"},
    {"type": "wasserstein"},
    {"type": "wasserstein", "config": {"bypass_mmd": True}},
    {"type": "wasserstein", "config": {"use_tanh": True, "tanh_scale": 3}},
    {"type": "wasserstein", "config": {"noise_augment_dim": 3}},
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: str(config))
def test_equal_to_upstream(config, training):
    ours = create_bottleneck_from_config(config).train(training)
    theirs = (
        import_upstream("stable_audio_tools.models.factory")
        .create_bottleneck_from_config(config)
        .train(training)
    )
    if config["type"] == "vae":
        ours.sample_in_eval = True
    x = 2 * torch.randn(2, 6, 40)
    results = []
    for bottleneck in (ours, theirs):
        torch.manual_seed(7)
        latents, info = bottleneck.encode(x, return_info=True)
        results.append((latents, info, bottleneck.decode(latents)))
    (latents, info, decoded), (latents2, info2, decoded2) = results
    torch.testing.assert_close(latents, latents2, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(decoded, decoded2, atol=1e-6, rtol=1e-5)
    for name in info2:
        torch.testing.assert_close(info[name], info2[name], atol=1e-5, rtol=1e-4)


def test_vae_gives_its_mean_unless_told_to_draw():
    vae = create_bottleneck_from_config({"type": "vae"})
    x = torch.randn(3, 8, 2000)
    mean, scale = x.chunk(2, 1)
    std = torch.log1p(scale.double().exp()) + 1e-4
    assert torch.equal(vae.eval().encode(x), mean)
    generator = torch.Generator().manual_seed(1)
    drawn = vae.encode(x, sample=True, generator=generator)
    assert torch.equal(drawn, vae.encode(x, sample=True, generator=generator.manual_seed(1)))
    noise = (drawn - mean).double() / std
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert not torch.equal(vae.train().encode(x), mean)
    assert torch.equal(vae.encode(x, sample=False), mean)


def test_kl_is_the_formula_in_float64():
    vae = create_bottleneck_from_config({"type": "vae"})
    x = torch.randn(2, 10, 30)
    mean, scale = x.double().chunk(2, 1)
    variance = (torch.log1p(scale.exp()) + 1e-4) ** 2
    expected = (mean**2 + variance - variance.log() - 1).sum(1).mean()
    _, info = vae.encode(x, return_info=True)
    torch.testing.assert_close(info["kl"].double(), expected, atol=1e-5, rtol=1e-6)


def test_vae_works_in_half_precision():
    vae = create_bottleneck_from_config({"type": "vae"}).train()
    latents, info = vae.encode(torch.randn(1, 4, 5, dtype=torch.bfloat16), return_info=True)
    assert latents.dtype == torch.bfloat16
    assert torch.isfinite(info["kl"])
