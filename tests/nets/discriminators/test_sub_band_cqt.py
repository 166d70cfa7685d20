"""The constant-Q discriminator, written out once more with torch's own layers."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import weight_norm

from tests.nets.discriminators.same import assert_same, randomise
from tests.oracle import import_upstream
from zoo.nets.constant_q import ConstantQ
from zoo.nets.discriminators.big_vgan import BigVGANDiscriminator
from zoo.nets.discriminators.sub_band_cqt import (
    MultiScaleSubBandCQTDiscriminator,
    SubBandCQTDiscriminator,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
upstream = import_upstream("stable_audio_tools.models.discriminators")
CASES = 15


def conv(into: int, out: int, kernel, **more) -> torch.nn.Module:
    dilation = more.get("dilation", (1, 1))
    padding = tuple((k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True))
    return torch.nn.Conv2d(into, out, kernel, padding=padding, **more)


def published(channels: int, octaves: int, filters: int, dilations, out: int) -> torch.nn.Module:
    """The layers of BigVGAN's `DiscriminatorCQT`."""
    net = torch.nn.Module()
    parts = 2 * channels
    net.conv_pres = torch.nn.ModuleList(conv(parts, parts, (3, 9)) for _ in range(octaves))
    net.convs = torch.nn.ModuleList([conv(parts, filters, (3, 9))])
    for dilation in dilations:
        net.convs.append(
            weight_norm(conv(filters, filters, (3, 9), stride=(1, 2), dilation=(dilation, 1)))
        )
    net.convs.append(weight_norm(conv(filters, filters, (3, 3))))
    net.conv_post = weight_norm(conv(filters, out, (3, 3)))
    return net


def test_equals_the_published_layers():
    draw, ran = random.Random(0), 0
    torch.manual_seed(0)
    for _ in range(CASES):
        channels, filters, out = draw.randint(1, 3), draw.randint(1, 5), draw.randint(1, 2)
        octaves, bins, hop = draw.randint(1, 4), draw.choice([5, 8, 12]), draw.choice([16, 64])
        dilations = draw.choice([(1, 2, 4), (3,), ()])
        loud = draw.choice([False, True])
        theirs = published(channels, octaves, filters, dilations, out)
        randomise(theirs)
        ours = SubBandCQTDiscriminator(
            2000,
            hop,
            octaves,
            bins,
            in_channels=channels,
            out_channels=out,
            filters=filters,
            dilations=dilations,
            fmin=60.0,
            normalize_volume=loud,
        )
        ours.load_state_dict(theirs.state_dict(), strict=True)
        x = torch.randn(2, channels, draw.randint(2, 700))
        logits, features = ours(x)

        if loud:
            x = x - x.mean(dim=-1, keepdim=True)
            x = 0.8 * x / x.abs().amax(dim=-1, keepdim=True)
        transform = ConstantQ(2000, hop, octaves, bins, low_hz=60.0, oversampling=2)
        z = torch.view_as_real(transform(x)).permute(0, 4, 1, 3, 2).flatten(1, 2)
        octave = [pre(z[..., i * bins : (i + 1) * bins]) for i, pre in enumerate(theirs.conv_pres)]
        z = torch.cat(octave, dim=-1)
        expected = []
        for layer in theirs.convs:
            z = F.leaky_relu(layer(z), 0.1)
            expected.append(z)
        torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logits, theirs.conv_post(z), rtol=1e-5, atol=1e-5)
        ran += 1
    assert ran == CASES


def test_filters_may_grow():
    judge = MultiScaleSubBandCQTDiscriminator(
        2000, [16], [2], [8], filters=2, filters_scale=2, max_filters=10, fmin=60.0
    )
    (features,) = judge(torch.randn(1, 1, 200)).features
    assert [f.shape[1] for f in features] == [2, 4, 8, 10, 10]
    assert all(f.is_contiguous(memory_format=torch.channels_last) for f in features)


def test_periods_come_first_then_scales():
    settings = {"hop_lengths": [16, 32], "n_octaves": [2, 3], "bins_per_octaves": [8, 5]}
    ours = BigVGANDiscriminator(2000, 2, periods=[2, 3], filters=3, fmin=60.0, **settings)
    x = torch.randn(2, 2, 500)
    theirs = upstream.DACGANLoss(channels=2, periods=[2, 3], fft_sizes=[])
    randomise(theirs)
    ours.mpd.load_state_dict(theirs.state_dict(), strict=True)
    maps = theirs.discriminator(x)
    scales = ours.cqt(x)
    assert_same(
        ours(x),
        [one[-1] for one in maps] + scales.logits,
        [one[:-1] for one in maps] + scales.features,
    )
    assert [logits.shape[2] for logits in scales.logits] == [1000 // 16 + 1, 1000 // 32 + 1]


def test_the_defaults_are_upstreams():
    scales = BigVGANDiscriminator(44100, periods=[]).cqt.discriminators
    assert [scale.cqt.hop_samples for scale in scales] == [512, 256, 256]
    assert [scale.bins_per_octave for scale in scales] == [24, 36, 48]
    assert [len(scale.conv_pres) for scale in scales] == [9, 9, 9]
    keys = set(scales[0].state_dict())
    assert {"conv_pres.8.weight", "convs.0.weight", "convs.4.weight_g", "conv_post.bias"} <= keys
    assert not any("cqt" in key for key in keys)
