import random
from functools import partial

import auraloss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import import_upstream
from zoo.training.losses import MidSideSTFTLoss, MultiResolutionSTFTLoss, StereoSTFTLoss

vendored = import_upstream("stable_audio_tools.training.losses.auraloss")
CASES = 60
SIZES = {"fft_sizes": (64, 32), "hop_sizes": (16, 8), "win_lengths": (64, 20)}


def random_config(draw: random.Random) -> dict:
    scales = draw.randint(1, 4)
    ffts = [draw.choice([16, 32, 64, 100, 256]) for _ in range(scales)]
    config = {
        "fft_sizes": ffts,
        "hop_sizes": [max(1, n // draw.choice([2, 4, 5])) for n in ffts],
        "win_lengths": [draw.choice([n, n // 2]) for n in ffts],
        "sample_rate": draw.choice([8000, 44100]),
    }
    optional = {
        "w_sc": draw.choice([0.0, 0.7]),
        "w_log_mag": draw.choice([0.0, 1.3]),
        "w_lin_mag": draw.choice([0.0, 0.5]),
        "w_phs": draw.choice([0.0, 0.2]),
        "perceptual_weighting": draw.choice([True, False]),
        "eps": draw.choice([1e-8, 1e-5]),
        "mag_distance": draw.choice(["L1", "L2"]),
        "log_eps": draw.choice([0.0, 1.0]),
        "log_fac": draw.choice([1.0, 10.0]),
    }
    config |= {key: value for key, value in optional.items() if draw.random() < 0.6}
    terms = ("w_lin_mag", "w_phs")
    if config.get("w_sc") == config.get("w_log_mag") == 0 and not any(map(config.get, terms)):
        config["w_log_mag"] = 1.0  # Upstream fails without any term.
    if draw.random() < 0.3:
        config |= {"scale": "mel", "n_bins": [max(1, n // 16) for n in ffts]}
    return config


def value_and_gradient(loss, decoded, reals):
    decoded = decoded.clone().requires_grad_()
    value = loss(decoded, reals)
    value.backward()
    return value.detach(), decoded.grad


def upstreams_composition(config, decoded, reals):
    """As AutoencoderTrainingWrapper weighs the terms, with its swapped arguments."""
    if decoded.shape[1] != 2:
        return vendored.MultiResolutionSTFTLoss(**config)(reals, decoded)
    both = vendored.SumAndDifferenceSTFTLoss(**config)(reals, decoded)
    one = vendored.MultiResolutionSTFTLoss(**config)
    left, right = (one(reals[:, i : i + 1], decoded[:, i : i + 1]) for i in (0, 1))
    return both + left / 2 + right / 2


@pytest.mark.filterwarnings("ignore")
def test_equals_upstreams_composition_on_random_configs():
    draw = random.Random(0)
    torch.manual_seed(0)
    ran = 0
    for _ in range(CASES):
        config = random_config(draw)
        shape = (draw.randint(1, 3), draw.choice([1, 2, 2, 3]), draw.randint(130, 500))
        decoded, reals = 0.3 * torch.randn(shape), 0.3 * torch.randn(shape)
        ours, grad = value_and_gradient(StereoSTFTLoss(**config), decoded, reals)
        theirs, expected = value_and_gradient(
            partial(upstreams_composition, config), decoded, reals
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
        scale = expected.abs().max()
        torch.testing.assert_close(grad, expected, rtol=1e-3, atol=1e-4 * float(scale) + 1e-9)
        ran += 1
    assert ran == CASES


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("perceptual", [True, False])
@pytest.mark.parametrize("mel", [{}, {"scale": "mel", "n_bins": 8}])
def test_equals_auraloss_for_one_signal(perceptual, mel):
    # One signal, so that the norm of the batch is the norm of the item.
    decoded, reals = torch.randn(2, 1, 1, 3000)
    settings = {
        "fft_sizes": (512, 256),
        "hop_sizes": (100, 64),
        "win_lengths": (300, 256),
        "w_lin_mag": 0.5,
        "perceptual_weighting": perceptual,
        "sample_rate": 44100,
    }
    theirs = auraloss.freq.MultiResolutionSTFTLoss(**settings, **mel)
    if mel:
        mel = {**mel, "n_bins": (8, 8)}
    ours = MultiResolutionSTFTLoss(**settings, **mel, convergence_by="reals")
    torch.testing.assert_close(ours(decoded, reals), theirs(decoded, reals), rtol=1e-5, atol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_mid_and_side_are_upstreams(channels):
    decoded, reals = torch.randn(2, 3, channels, 400)
    kind = "SumAndDifferenceSTFTLoss" if channels == 2 else "MultiResolutionSTFTLoss"
    settings = {**SIZES, "perceptual_weighting": True, "sample_rate": 44100}
    theirs = getattr(vendored, kind)(**settings)(reals, decoded)
    ours = MidSideSTFTLoss(**settings)(decoded, reals)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_finite_for_any_signal_and_zero_only_for_equals():
    ran = 0

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 2),
        st.integers(1, 3),
        st.integers(1, 200),
        st.sampled_from([0.0, 1e-6, 1.0, 1e3]),
    )
    def check(batch, channels, samples, gain):
        nonlocal ran
        ran += 1
        x = gain * torch.randn(batch, channels, samples)
        loss = StereoSTFTLoss(**SIZES, perceptual_weighting=True, sample_rate=44100)
        same, grad = value_and_gradient(loss, x, x)
        assert same == 0
        assert torch.isfinite(grad).all()
        silence, grad = value_and_gradient(loss, torch.zeros_like(x), x)
        assert torch.isfinite(silence)
        assert torch.isfinite(grad).all()
        if gain >= 1:
            assert silence > 0

    check()
    assert ran >= 60


def test_empty_mel_filters_do_no_harm():
    loss = MultiResolutionSTFTLoss(**SIZES, scale="mel", n_bins=(40, 40), sample_rate=44100)
    value, grad = value_and_gradient(loss, *torch.randn(2, 1, 1, 200))
    assert torch.isfinite(value)
    assert torch.isfinite(grad).all()


def test_one_transform_per_resolution_and_signal():
    loss = StereoSTFTLoss(**SIZES)
    calls = []
    for transform in loss.transforms:
        transform.register_forward_hook(lambda *_: calls.append(1))
    loss(torch.randn(1, 2, 200), torch.randn(1, 2, 200))
    assert len(calls) == 4


def test_float32_under_autocast_and_nothing_to_save():
    loss = StereoSTFTLoss(
        **SIZES, perceptual_weighting=True, scale="mel", n_bins=(8, 4), sample_rate=44100
    )
    decoded, reals = torch.randn(2, 2, 2, 300)
    expected = loss(decoded, reals)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(decoded, reals), expected, rtol=0, atol=0)
    torch.testing.assert_close(loss.to(torch.bfloat16)(decoded, reals), expected, rtol=0, atol=0)
    assert not loss.state_dict()
