import copy
import random

import pytest
import torch

from tests.oracle import import_upstream
from zoo.nets.conv2d import WNConv2d
from zoo.nets.discriminators.multi_scale_stft import (
    EncodecDiscriminator,
    MultiScaleSTFTDiscriminator,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
discriminators = import_upstream("stable_audio_tools.models.discriminators")
CASES = 50
SMALL = {"filters": 3, "n_ffts": [64, 32], "hop_lengths": [16, 8], "win_lengths": [64, 20]}


def random_config(draw: random.Random) -> dict:
    scales = draw.randint(1, 3)
    n_ffts = [draw.choice([16, 31, 32, 64]) for _ in range(scales)]
    activation, params = draw.choice(
        [("LeakyReLU", {"negative_slope": 0.1}), ("ELU", {"alpha": 1.0}), ("SiLU", {})]
    )
    config = {
        "filters": draw.randint(1, 6),
        "in_channels": draw.randint(1, 3),
        "out_channels": draw.randint(1, 2),
        "n_ffts": n_ffts,
        "hop_lengths": [max(1, n // draw.choice([2, 4])) for n in n_ffts],
        "win_lengths": [draw.choice([n, max(2, n // 2)]) for n in n_ffts],
    }
    optional = {
        "max_filters": draw.choice([8, 1024]),
        "kernel_size": draw.choice([(3, 9), (5, 3), (1, 1), (3, 4)]),
        "dilations": draw.choice([[1, 2, 4], [1], [3, 1], []]),
        "stride": draw.choice([(1, 1), (1, 2), (2, 2)]),
        "normalized": draw.choice([True, False]),
        "activation": activation,
        "activation_params": params,
        "spec_scale_pow": draw.choice([0.0, 0.3]),
    }
    kept = {key: value for key, value in optional.items() if draw.random() < 0.7}
    if "activation" in kept:
        kept["activation_params"] = params
    else:
        kept.pop("activation_params", None)
    return {**config, **kept}


# oneDNN's AVX2 code writes past its memory in the backward pass of a 1 × 1 kernel with a stride.
@torch.backends.mkldnn.flags(enabled=False)
def test_equals_upstream_on_random_configs():
    draw = random.Random(0)
    torch.manual_seed(0)
    ran = 0
    for _ in range(CASES):
        config = random_config(draw)
        theirs = discriminators.EncodecDiscriminator(**config)
        ours = EncodecDiscriminator(**config)
        missing = ours.load_state_dict(theirs.state_dict(), strict=True)
        assert not missing.missing_keys
        assert not missing.unexpected_keys
        samples = draw.randint(0, 150) + max(config["n_ffts"])
        x = torch.randn(draw.randint(1, 2), config["in_channels"], samples)
        x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        judged = ours(x_ours)
        logits, features = theirs(x_theirs)
        torch.testing.assert_close(judged.logits, logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(judged.features, features, rtol=1e-5, atol=1e-5)
        sum(z.square().mean() for z in judged.logits).backward()
        sum(z.square().mean() for z in logits).backward()
        torch.testing.assert_close(x_ours.grad, x_theirs.grad, rtol=1e-4, atol=1e-6)
        for (name, mine), (_, other) in zip(
            sorted(ours.named_parameters()), sorted(theirs.named_parameters()), strict=True
        ):
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5, msg=name)
        ran += 1
    assert ran == CASES


def test_upstream_loads_ours():
    theirs = discriminators.EncodecDiscriminator(in_channels=2, **SMALL)
    ours = EncodecDiscriminator(in_channels=2, **SMALL)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(1, 2, 300)
    torch.testing.assert_close(ours(x).logits, theirs(x)[0], rtol=1e-5, atol=1e-5)


def test_begins_as_upstream_from_the_same_seed():
    torch.manual_seed(3)
    theirs = discriminators.EncodecDiscriminator(**SMALL).state_dict()
    torch.manual_seed(3)
    ours = EncodecDiscriminator(**SMALL).state_dict()
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-6, atol=1e-7, msg=key)


@pytest.mark.parametrize("samples", [1, 5, 31, 63])
def test_signal_shorter_than_a_window(samples):
    discriminator = EncodecDiscriminator(**SMALL)
    x = torch.randn(2, 1, samples)
    padded = torch.nn.functional.pad(x, (0, 64 - samples))
    logits = discriminator(x).logits
    torch.testing.assert_close(logits[0], discriminator(padded).logits[0])
    assert all(torch.isfinite(z).all() for z in logits)


def test_filters_may_grow():
    discriminator = MultiScaleSTFTDiscriminator(
        2, n_ffts=[32], hop_lengths=[8], win_lengths=[32], filters_scale=2, max_filters=10
    )
    features = discriminator(torch.randn(1, 1, 200)).features[0]
    assert [f.shape[1] for f in features] == [2, 4, 8, 10, 10]


def test_works_on_channels_last():
    features = EncodecDiscriminator(**SMALL)(torch.randn(1, 1, 300)).features
    last = torch.channels_last
    assert all(f.is_contiguous(memory_format=last) for scale in features for f in scale)


def test_copies_deeply_and_runs_under_autocast():
    discriminator = EncodecDiscriminator(**SMALL)
    x = torch.randn(1, 1, 300)
    copied = copy.deepcopy(discriminator)
    torch.testing.assert_close(copied(x).logits, discriminator(x).logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = discriminator(x).logits
    torch.testing.assert_close(logits[0].float(), copied(x).logits[0], rtol=0.1, atol=0.05)


def test_convolution_equals_torchs_weight_norm():
    theirs = torch.nn.utils.parametrizations.weight_norm(
        torch.nn.Conv2d(3, 5, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
    )
    ours = WNConv2d(3, 5, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
    weight = theirs.parametrizations.weight
    with torch.no_grad():
        ours.weight_g.copy_(weight.original0 * 1.5)
        weight.original0.mul_(1.5)
        ours.weight_v.copy_(weight.original1)
        ours.bias.copy_(theirs.bias)
    x = torch.randn(2, 3, 8, 9)
    torch.testing.assert_close(ours(x), theirs(x))
