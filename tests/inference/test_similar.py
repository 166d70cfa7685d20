"""Clips of several lengths side by side give what each gives alone."""

from __future__ import annotations

import copy

import pytest
import torch

import zoo
from tests.conftest import TINY
from tests.inference.batch.material import FSQ, tiny_codec

DAC = {
    "encoder": {"type": "dac", "config": {"d_model": 4, "strides": [2, 4], "latent_dim": 6}},
    "decoder": {"type": "dac", "config": {"channels": 8, "rates": [4, 2], "latent_dim": 3}},
}


def dac_codec() -> zoo.Codec:
    config = copy.deepcopy(TINY)
    config["model"] |= copy.deepcopy(DAC)
    config["model"] |= {"io_channels": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return zoo.Codec(zoo.from_config(config), device="cpu")


@pytest.mark.parametrize(
    "make", [tiny_codec, lambda: tiny_codec(FSQ), dac_codec], ids=["vae", "fsq", "dac"]
)
def test_there_and_back(make):
    codec = make()
    posterior = codec.model.bottleneck.__class__.__name__ == "VAEBottleneck"
    least = max(sum(codec.model.encoder_context), sum(codec.model.decoder_context))
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(least, 2 * least, (9,), generator=draw).tolist()
    frames += [least, least + 1]
    channels = codec.model.in_channels
    clips = [torch.rand(channels, 8 * count, generator=draw) - 0.5 for count in frames]
    made = codec.encode_batch(clips, posterior=posterior)
    alone = [codec.encode(clip, posterior=posterior) for clip in clips]
    for clip, each, expected in zip(clips, made, alone, strict=True):
        facts = (16000, clip.shape[-1], channels, codec.fingerprint)
        for name, tensor in each.of_one_clip(*facts).tensors().items():
            torch.testing.assert_close(tensor, expected.tensors()[name], atol=1e-5, rtol=0)
    for audio, latents in zip(codec.decode_batch(alone), alone, strict=True):
        torch.testing.assert_close(audio, codec.decode(latents), atol=1e-5, rtol=0)


def test_plain_padding_would_not_do():
    codec = tiny_codec()
    short, long = torch.rand(2, 800) - 0.5, torch.rand(2, 1600) - 0.5
    padded = torch.stack([torch.nn.functional.pad(short, (0, 800)), long])
    values = codec.model.encode(padded)[0, :, :100]
    assert (values - codec.encode(short).values).abs().max() > 1e-4
