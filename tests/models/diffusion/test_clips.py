"""Noise of a diffusion autoencoder: the same for a clip in any batch, and what else chooses it."""

from __future__ import annotations

import copy
import random

import pytest
import torch

from tests.models.diffusion.examples import (
    DIFFUSIONS,
    SMALL,
    assert_same,
    lively,
    random_diffusion_autoencoder,
    small,
)
from tests.models.test_tokens import DISCRETE
from zoo.models.diffusion.noise import batch_noise
from zoo.models.diffusion.samplers import SAMPLERS

RANDOM = 12
kinds = pytest.mark.parametrize("kind", DIFFUSIONS)


def with_bottleneck(bottleneck):
    config = copy.deepcopy(SMALL)
    parameters = config["model"]["encoder"]["config"]
    parameters["latent_dim"] = 8 if bottleneck["type"].endswith("vae") else 4
    return small(latent_dim=4, bottleneck=bottleneck, encoder=config["model"]["encoder"])


def assert_each_clip_is_itself(decode, batch):
    """`decode` gives a clip the same audio in any batch; `batch` is latents or tokens."""
    whole = decode(batch)
    assert (whole[0] - whole[1]).abs().max() > 1e-2
    order = [2, 0, 1]
    assert_same(decode(batch[order], clips=order), whole[order])
    for clip in range(3):
        assert_same(decode(batch[clip : clip + 1], clips=[clip]), whole[clip : clip + 1])
    assert_same(decode(batch, iterate_batch=True), whole)
    assert (decode(batch, seed=8) - whole).abs().max() > 1e-2
    assert (decode(batch, clips=[5, 6, 7]) - whole).abs().max() > 1e-2


@torch.no_grad()
@kinds
def test_a_clip_sounds_the_same_in_any_batch(kind):
    ran = 0
    for seed in range(RANDOM):
        rng = random.Random(seed)
        config = random_diffusion_autoencoder(rng, kind, objective=None)
        model = lively(config, seed)
        latents = torch.randn(3, model.latent_dim, 40 // model.inner_ratio + 1)
        # The same latents thrice: only the noise tells the clips apart.
        latents[1] = latents[0]
        sampler = rng.choice(SAMPLERS)

        def decode(batch, model=model, sampler=sampler, **options):
            return model.decode(batch, **({"seed": 7, "steps": 2, "sampler": sampler} | options))

        assert_each_clip_is_itself(decode, latents)
        ran += 1
    assert ran == RANDOM


@torch.no_grad()
@pytest.mark.parametrize("bottleneck", DISCRETE, ids=lambda part: part["type"])
def test_a_clip_of_tokens_sounds_the_same_in_any_batch(bottleneck):
    model = with_bottleneck(bottleneck)
    model.train().encode(torch.randn(2, 2, 400))
    latents, info = model.eval().encode(torch.randn(3, 2, 200), return_info=True)
    tokens = info[model.bottleneck.tokens_id]

    def decode(batch, **options):
        return model.decode_tokens(batch, **({"seed": 7, "steps": 2} | options))

    assert_each_clip_is_itself(decode, tokens)
    assert_same(model.decode(latents, seed=7, steps=2), decode(tokens))


@torch.no_grad()
def test_noise_augmentation_depends_on_the_clip():
    model = with_bottleneck(DISCRETE[2])
    assert model.bottleneck.noise_augment_dim == 1
    latents = model.encode(torch.randn(3, 2, 200))
    noise = torch.zeros(3, 2, 200)

    def decode(batch, **options):
        noise = torch.zeros(len(batch), 2, 200)
        return model.decode(batch, **({"seed": 7, "steps": 2, "noise": noise} | options))

    assert_each_clip_is_itself(decode, latents[:1].expand(3, -1, -1))
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    heard = model.decode(latents, steps=2, noise=noise, generator=first)
    assert_same(model.decode(latents, steps=2, noise=noise, generator=second), heard)
    assert (model.decode(latents, steps=2, noise=noise) - heard).abs().max() > 1e-2


@torch.no_grad()
def test_tokens_take_all_options():
    model = with_bottleneck(DISCRETE[2])
    tokens = torch.randint(8, (2, 3, 9))
    first, second = (torch.Generator().manual_seed(5) for _ in range(2))
    heard = model.decode_tokens(tokens, steps=2, generator=first, chunked=True, chunk_size=4)
    again = model.decode_tokens(tokens, steps=2, generator=second, chunked=True, chunk_size=4)
    assert_same(again, heard)
    other = torch.Generator().manual_seed(6)
    noise = torch.zeros(2, 2, 72)
    heard = model.decode_tokens(tokens, steps=2, noise=noise, generator=first)
    assert (model.decode_tokens(tokens, steps=2, noise=noise, generator=other) - heard).any()
    with pytest.raises(TypeError, match="discrete bottleneck"):
        small().decode_tokens(tokens)


@torch.no_grad()
def test_noise_is_what_seed_and_clips_say_or_what_is_given():
    model = small()
    latents = torch.randn(2, 3, 9)
    heard = model.decode(latents, steps=2, seed=4, clips=[3, 9])
    noise = batch_noise(4, [3, 9], 2, 72)
    assert torch.equal(model.decode(latents, steps=2, noise=noise), heard)
    assert torch.equal(model.decode(latents, steps=2), model.decode(latents, steps=2, seed=0))
    first, second = (torch.Generator().manual_seed(4) for _ in range(2))
    drawn = model.decode(latents, steps=2, generator=first)
    assert torch.equal(drawn, model.decode(latents, steps=2, generator=second))
    assert not torch.equal(drawn, model.decode(latents, steps=2, generator=first))


@pytest.mark.parametrize("shape", [(2, 2, 71), (2, 2, 73), (1, 2, 72), (2, 1, 72), (2, 72)])
def test_noise_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="noise has the shape"):
        small().decode(torch.randn(2, 3, 9), steps=1, noise=torch.zeros(shape))


@torch.no_grad()
@kinds
def test_the_global_generator_is_left_alone(kind):
    for seed in range(5):
        config = random_diffusion_autoencoder(random.Random(seed), kind, objective=None)
        model = lively(config, seed)
        latents = torch.randn(2, model.latent_dim, 40 // model.inner_ratio + 1)
        state = torch.get_rng_state()
        for sampler in SAMPLERS:
            model.decode(latents, steps=2, sampler=sampler)
        model.decode(latents, steps=2, generator=torch.Generator().manual_seed(1))
        assert torch.equal(torch.get_rng_state(), state)
    model = with_bottleneck(DISCRETE[2])
    latents = torch.randn(2, 4, 9)
    state = torch.get_rng_state()
    model.decode(latents, steps=2)
    assert torch.equal(torch.get_rng_state(), state)


@torch.no_grad()
def test_each_clip_has_a_number():
    model = small(bottleneck=None, encoder=None, latent_dim=2, downsampling_ratio=1)
    for clips in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match=f"{len(clips)} numbers of clips for a batch of 2"):
            model.decode(torch.randn(2, 2, 8), steps=1, clips=clips)
