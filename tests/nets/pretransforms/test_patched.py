"""Folded samples, oversampled or not, against upstream's."""

from __future__ import annotations

import random

import pytest
import torch

from tests.oracle import import_upstream
from zoo.nets.pretransforms.patched import PatchedPretransform


@torch.no_grad()
def test_random_configs_equal_upstream():
    upstream = import_upstream("stable_audio_tools.models.pretransforms")
    ran = 0
    for seed in range(60):
        rng = random.Random(seed)
        torch.manual_seed(seed)
        channels, oversampling = rng.randint(1, 3), rng.choice((1, 1, 2, 3))
        patch_size = oversampling * rng.randint(1, 7)
        ours = PatchedPretransform(channels, patch_size, oversampling)
        theirs = upstream.PatchedPretransform(channels, patch_size, oversampling)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        ours.load_state_dict(theirs.state_dict())
        audio = torch.randn(2, channels, rng.randint(1, 300))
        encoded = ours.encode(audio)
        torch.testing.assert_close(encoded, theirs.encode(audio), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            ours.decode(encoded), theirs.decode(encoded), atol=1e-5, rtol=1e-5
        )
        assert encoded.shape[1] == ours.encoded_channels == theirs.encoded_channels
        # upstream: says the patch size, whatever the oversampling.
        assert ours.downsampling_ratio == theirs.downsampling_ratio // oversampling
        assert encoded.shape[-1] == -(-audio.shape[-1] // ours.downsampling_ratio)
        assert ours.decode(encoded).shape[-1] == encoded.shape[-1] * ours.downsampling_ratio
        ran += 1
    assert ran >= 50


@torch.no_grad()
def test_oversampled_audio_comes_back_where_it_has_no_highest_octave():
    network = PatchedPretransform(1, 8, 2)
    time = torch.arange(400.0)
    audio = torch.sin(0.3 * time)[None, None]
    decoded = network.decode(network.encode(audio))
    assert (decoded - audio)[..., 50:-50].abs().max() < 1e-2


@pytest.mark.parametrize("oversampling", [1, 2, 3])
def test_spans_are_the_dependencies(oversampling):
    network = PatchedPretransform(1, 6, oversampling).double()
    ratio = network.downsampling_ratio
    audio = torch.randn(1, 1, 40 * ratio, dtype=torch.float64, requires_grad=True)
    network.encode(audio)[..., 20].square().sum().backward()
    touched = audio.grad[0, 0].nonzero()
    first, last = network.encode_span(20, 20)
    assert first <= touched.min() <= first + 2 and last - 2 <= touched.max() <= last
    latents = torch.randn(1, 6, 40, dtype=torch.float64, requires_grad=True)
    network.decode(latents)[..., 20 * ratio].square().sum().backward()
    touched = latents.grad.abs().sum((0, 1)).nonzero()
    first, last = network.decode_span(20 * ratio, 20 * ratio)
    assert first <= touched.min() and touched.max() <= last
