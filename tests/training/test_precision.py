"""Losses under bf16-mixed are those of float32, and networks of other precisions train."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.shrunk import shrunk
from tests.training.test_discriminators import KINDS, overrides
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import resolve_recipe
from zoo.nets.discriminators.oobleck import OobleckDiscriminator
from zoo.training import build
from zoo.training.adversary import Adversary
from zoo.training.losses import (
    MidSideSTFTLoss,
    MultiResolutionMelLoss,
    MultiResolutionSTFTLoss,
    StereoSTFTLoss,
    l1,
    l2,
    normalised_l2,
    si_sdr,
)
from zoo.training.run import train

STFT = {"fft_sizes": (256, 64), "hop_sizes": (64, 16), "win_lengths": (256, 64)}
LOSSES = {
    "stereo": lambda: StereoSTFTLoss(**STFT, sample_rate=44100, perceptual_weighting=True),
    "mid side": lambda: MidSideSTFTLoss(**STFT, sample_rate=44100),
    "stft": lambda: MultiResolutionSTFTLoss(**STFT, sample_rate=44100, scale="mel", n_bins=(8, 8)),
    "mel": lambda: MultiResolutionMelLoss(44100, (5, 10), (64, 128), mag_weight=1.0),
    "l1": lambda: l1,
    "l2": lambda: l2,
    "normalised_l2": lambda: normalised_l2,
    "si_sdr": lambda: si_sdr,
}


def signals() -> tuple[torch.Tensor, torch.Tensor]:
    """Real and decoded audio; an autoencoder under autocast may well give bfloat16."""
    torch.manual_seed(0)
    return 0.3 * torch.randn(1, 2, 2048), (0.3 * torch.randn(1, 2, 2048)).bfloat16()


@pytest.mark.parametrize("name", LOSSES)
def test_a_distance(name):
    loss = LOSSES[name]()
    reals, decoded = signals()
    expected = loss(decoded.float(), reals)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = loss(decoded, reals)
    assert given.dtype == torch.float32
    assert torch.equal(given, expected)


def adversary(kind: str, monkeypatch, *more: str) -> Adversary:
    small = lambda channels: OobleckDiscriminator(channels, capacity=1)  # noqa: E731
    monkeypatch.setattr(build, "OobleckDiscriminator", small)
    recipe = resolve_recipe("oobleck_vae", overrides=[*overrides(kind), *more])
    torch.manual_seed(0)
    return Adversary(
        build.build_discriminator(recipe.discriminator, 2, 44100), recipe.discriminator
    )


def found(judge: Adversary, reals, decoded) -> list[torch.Tensor]:
    """All losses, and the gradient of the audio and of the discriminator."""
    decoded = decoded.clone().requires_grad_()
    loss = judge.verdict(reals, decoded.detach(), judges=False).discriminator
    weights = torch.autograd.grad(loss, [w for w in judge.parameters() if w.requires_grad])
    terms = [term.value for term in judge.generator_losses(reals, decoded).values()]
    (audio,) = torch.autograd.grad(sum(terms), decoded)
    return [loss.detach(), *(term.detach() for term in terms), *weights, audio.float()]


def kinds_of_output(judge: Adversary) -> set[torch.dtype]:
    kinds: set[torch.dtype] = set()
    for part in judge.discriminator.modules():
        if "Conv" in type(part).__name__ and isinstance(part, nn.Module):
            part.register_forward_hook(
                lambda part, given, output: (
                    kinds.add(output.dtype) if isinstance(output, torch.Tensor) else None
                )
            )
    return kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_discriminator(kind, monkeypatch):
    judge = adversary(kind, monkeypatch)
    reals, decoded = signals()
    decoded = decoded.float()
    expected = found(judge, reals, decoded)
    kinds = kinds_of_output(judge)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = found(judge, reals, decoded)
    assert kinds == {torch.float32}
    for one, other in zip(given, expected, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_it_may_follow_the_autoencoder(monkeypatch):
    judge = adversary("encodec", monkeypatch, "discriminator.float32=false")
    kinds = kinds_of_output(judge)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = found(judge, *signals())
    assert torch.bfloat16 in kinds
    # The losses are sums, and stay exact.
    assert all(value.dtype == torch.float32 for value in given[:3])


@pytest.mark.parametrize("kind", ["encodec", "dac", "big_vgan"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_discriminator_of_another_precision(kind, dtype, monkeypatch):
    judge = adversary(kind, monkeypatch)
    reals, decoded = (x[..., :512].float() for x in signals())
    expected = found(judge, reals, decoded)
    given = found(judge.to(dtype), reals.to(dtype), decoded.to(dtype))
    assert {gradient.dtype for gradient in given[3:-1]} == {dtype}
    one, other = (torch.cat([x.double().flatten() for x in y]) for y in (given, expected))
    assert (one - other).norm() < (0.1 if dtype == torch.bfloat16 else 1e-5) * other.norm()


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_a_run_in_another_precision(precision, tmp_path):
    run = train(shrunk("oobleck_vae", tmp_path, f"trainer.precision={precision}"))
    assert run.steps == 2
    content = read_ckpt(run.last_checkpoint)
    dtype = torch.float64 if precision == "64-true" else torch.bfloat16
    for weights in (content["state_dict"], content[EMA_KEY]):
        kinds = {key: value.dtype for key, value in weights.items() if "window" not in key}
        assert set(kinds.values()) == {dtype}
