"""What comes out, by formula."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tests.nets.quantizers.material import encoded, random_config
from tests.oracle import import_upstream
from zoo.factory import create_bottleneck_from_config
from zoo.nets.bottlenecks.residual_quantizer import ResidualVectorQuantize

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


@pytest.mark.parametrize("kind", ["rvq_vae", "dac_rvq_vae"])
def test_variational_ones_quantise_the_mean_unless_told_to_draw(kind):
    torch.manual_seed(0)
    config = random_config(kind, random.Random(0))
    bottleneck = create_bottleneck_from_config(config)
    bottleneck.train().encode(encoded(config))
    bottleneck.eval()
    x = 3 * encoded(config)
    mean, scale = x.chunk(2, 1)
    latents, info = bottleneck.encode(x, return_info=True)
    assert torch.equal(latents, bottleneck.encode(x))
    plain = create_bottleneck_from_config(
        {"type": kind.removesuffix("_vae"), "config": config["config"]}
    ).eval()
    plain.load_state_dict(bottleneck.state_dict())
    assert torch.equal(latents, plain.encode(mean))
    variance = (torch.log1p(scale.double().exp()) + 1e-4) ** 2
    kl = (mean.double() ** 2 + variance - variance.log() - 1).sum(1).mean()
    torch.testing.assert_close(info["kl"].double(), kl, **CLOSE)
    generator = torch.Generator().manual_seed(1)
    drawn = bottleneck.encode(x, sample=True, generator=generator)
    assert torch.equal(drawn, bottleneck.encode(x, sample=True, generator=generator.manual_seed(1)))
    assert not torch.equal(drawn, latents)


def test_usage_and_perplexity_are_their_formulas():
    config = {"n_codebooks": 3, "codebook_size": 10, "input_dim": 2}
    bottleneck = create_bottleneck_from_config({"type": "dac_rvq", "config": config})
    tokens = torch.stack(
        [torch.arange(40).reshape(4, 10) % 10, torch.full((4, 10), 7), torch.full((4, 10), -1)], 1
    )
    tokens[0, 2] = torch.tensor([1, 1, 1, 2, 2, 2, 3, 3, 3, 3])
    facts = bottleneck._facts(tokens)
    shares = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    third = (-(shares * shares.log()).sum()).exp().item()
    torch.testing.assert_close(facts["codebook_usage"], torch.tensor([1.0, 0.1, 0.3]))
    torch.testing.assert_close(facts["perplexity"], torch.tensor([10.0, 1.0, third]))
    _, info = bottleneck.encode(torch.randn(1, 2, 9), return_info=True)
    assert info["perplexity"].shape == info["codebook_usage"].shape == (3,)


def test_dac_quantizer_reads_codes_and_latents():
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantize(6, 3, 8, (2, 3, 4)).eval()
    upstream = import_upstream("dac.nn.quantize").ResidualVectorQuantize(6, 3, 8, [2, 3, 4]).eval()
    quantizer.load_state_dict(upstream.state_dict())
    x = torch.randn(2, 6, 10)
    quantized, expected = quantizer(x), upstream(x)
    assert torch.equal(quantized.tokens, expected[1])
    for columns in (9, 5, 4, 2):
        mine, other = (
            q.from_latents(quantized.latents[:, :columns]) for q in (quantizer, upstream)
        )
        torch.testing.assert_close(mine, other, **CLOSE)
    torch.testing.assert_close(
        quantizer.from_codes(quantized.tokens), upstream.from_codes(expected[1]), **CLOSE
    )
    assert torch.equal(quantizer.from_codes(quantized.tokens)[0], quantized.values)


def test_quantize_on_decode_gives_tokens_and_no_tuple():
    config = {"input_dim": 4, "n_codebooks": 2, "codebook_size": 8, "quantize_on_decode": True}
    bottleneck = create_bottleneck_from_config({"type": "dac_rvq", "config": config})
    x = torch.randn(2, 4, 9)
    assert torch.equal(bottleneck.encode(x), x)
    tokens = bottleneck.encode(x, return_info=True)[1]["codes"]
    decoded = bottleneck.eval().decode(x)
    assert torch.equal(bottleneck.decode_tokens(tokens), decoded)
    assert not torch.equal(decoded, x)


@torch.no_grad()
def test_a_single_fsq_codebook_is_the_formula():
    levels = (3, 4, 8)
    bottleneck = create_bottleneck_from_config({"type": "fsq", "config": {"levels": levels}})
    x = 2 * torch.randn(2, 3, 50)
    latents, info = bottleneck.eval().encode(x, return_info=True)
    token = torch.zeros(2, 50, dtype=torch.long)
    for channel, (level, base) in enumerate(zip(levels, (1, 3, 12), strict=True)):
        half = (level - 1) * (1 + 1e-3) / 2
        offset = 0.5 if level % 2 == 0 else 0.0
        shift = torch.atanh(torch.tensor(offset / half, dtype=torch.float64))
        rounded = (torch.tanh(x[:, channel].double() + shift) * half - offset).round()
        expected = rounded / (level // 2)
        torch.testing.assert_close(latents[:, channel].double(), expected, **CLOSE)
        token += base * (rounded.long() + level // 2)
    assert torch.equal(info["quantizer_indices"][:, 0], token)
    assert bottleneck.codebook_size == 96 and type(bottleneck.codebook_size) is int


@torch.no_grad()
@pytest.mark.parametrize("kind", ["fsq", "dithered_fsq"])
def test_huge_codebooks_keep_every_digit(kind):
    dim = 10
    config: dict[str, Any] = {"levels": [17] * dim}
    if kind == "dithered_fsq":
        config["dim"] = dim
    bottleneck = create_bottleneck_from_config({"type": kind, "config": config}).eval()
    latents, info = bottleneck.encode(torch.randn(2, dim, 500), return_info=True)
    assert bottleneck.codebook_size == 17**dim
    assert torch.equal(bottleneck.decode_tokens(info["quantizer_indices"]), latents)


@torch.no_grad()
def test_dithering_at_inference_is_asked_for():
    config = {"dim": 2, "levels": 5}
    quiet = create_bottleneck_from_config({"type": "dithered_fsq", "config": config}).eval()
    noisy = create_bottleneck_from_config(
        {"type": "dithered_fsq", "config": {**config, "dither_inference": True}}
    ).eval()
    x = torch.full((1, 2, 20_000), 0.3)
    assert torch.equal(quiet.encode(x), noisy.encode(x, dither=False))
    assert len(quiet.encode(x).unique()) == 1
    generator = torch.Generator().manual_seed(1)
    latents, info = noisy.encode(x, return_info=True, generator=generator)
    assert torch.equal(latents, quiet.encode(x, dither=True, generator=generator.manual_seed(1)))
    assert torch.equal(noisy.decode_tokens(info["quantizer_indices"]), latents)
    # Dithered rounding is right on average, which rounding isn't.
    torch.testing.assert_close(latents.mean(), torch.tensor(0.3).tanh(), atol=0.01, rtol=0)
    edge = noisy.encode(torch.full((1, 2, 20_000), 50.0), return_info=True)[1]
    assert edge["quantizer_indices"].max() == 24


@torch.no_grad()
def test_softnorm_of_one_frame_or_channel_is_finite():
    for shape in ((2, 1, 9), (2, 3, 1), (1, 1, 1)):
        config = {"dim": shape[1], "noise_regularize": True}
        bottleneck = create_bottleneck_from_config({"type": "softnorm", "config": config}).train()
        latents, info = bottleneck.encode(torch.randn(shape), return_info=True)
        assert torch.isfinite(info["softnorm_loss"])
        assert torch.isfinite(bottleneck.decode(latents)).all()
