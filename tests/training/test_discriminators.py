"""Each type of discriminator: upstream's losses, and training against it."""

from __future__ import annotations

import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from tests.nets.discriminators.same import assert_same_gradients, randomise
from tests.oracle import import_upstream
from tests.shrunk import SHRUNK
from tests.training.test_autoencoder_module import fit
from zoo.config.discriminators import DiscriminatorConfig
from zoo.config.problems import validate_any
from zoo.config.resolve import resolve_recipe
from zoo.nets.discriminators.oobleck import OobleckDiscriminator
from zoo.nets.discriminators.sub_band_cqt import SubBandCQTDiscriminator
from zoo.training import build
from zoo.training.adversary import Adversary
from zoo.training.build import build_discriminator, build_module

pytestmark = pytest.mark.filterwarnings("ignore")
upstream = import_upstream("stable_audio_tools.models.discriminators")
RATE = 4000
CASES = 2

STFT = {"filters": 2, "n_ffts": [64, 32], "hop_lengths": [16, 8], "win_lengths": [64, 32]}
CQT = {
    "periods": [2, 3],
    "cqtd_filters": 2,
    "cqtd_hop_lengths": [64, 32],
    "cqtd_n_octaves": [3, 4],
    "cqtd_bins_per_octaves": [8, 5],
    "fmin": 60.0,
}
DAC = {"periods": [3], "fft_sizes": [64, 32], "bands": [[0, 0.3], [0.3, 1.0]]}
KINDS = {
    "encodec": ("encodec", STFT),
    "encodec normalised": ("encodec", {**STFT, "normalize_losses": True}),
    "encodec rpgan": ("encodec", {**STFT, "loss_type": "rpgan"}),
    "dac": ("dac", DAC),
    "dac hinge": ("dac", {**DAC, "use_hinge": True}),
    "oobleck": ("oobleck", {}),
    "big_vgan": ("big_vgan", CQT),
    "big_vgan hinge": ("big_vgan", {**CQT, "periods": [3], "use_hinge": True}),
}


def relativistic(real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses that upstream calls and doesn't have, by their formula."""
    return F.softplus(fake - real).mean(), F.softplus(real - fake).mean()


class PublishedCQT(SubBandCQTDiscriminator):
    """The class that upstream calls and doesn't have, with the call of BigVGAN's."""

    def __init__(self, cfg: dict, hop_length: int, n_octaves: int, bins_per_octave: int) -> None:
        super().__init__(
            cfg["sampling_rate"],
            hop_length,
            n_octaves,
            bins_per_octave,
            in_channels=cfg["cqtd_in_channels"],
            out_channels=cfg["cqtd_out_channels"],
            filters=cfg["cqtd_filters"],
            dilations=cfg["cqtd_dilations"],
            fmin=cfg["cqtd_fmin"],
        )


@pytest.fixture(autouse=True)
def whole(monkeypatch):
    """Upstream with what it lacks, and an oobleck discriminator of a thousandth of its size."""
    monkeypatch.setattr(upstream, "get_relativistic_losses", relativistic, raising=False)
    monkeypatch.setattr(upstream, "DiscriminatorCQT", PublishedCQT, raising=False)
    net = partial(upstream.SharedDiscriminatorConvNet, capacity=1)
    monkeypatch.setattr(upstream, "SharedDiscriminatorConvNet", net)
    monkeypatch.setattr(build, "OobleckDiscriminator", partial(OobleckDiscriminator, capacity=1))


def theirs_and_ours(kind: str, channels: int) -> tuple[torch.nn.Module, Adversary]:
    name, given = KINDS[kind]
    match name:
        case "encodec":
            theirs = upstream.EncodecDiscriminator(in_channels=channels, **given)
        case "dac":
            theirs = upstream.DACGANLoss(channels=channels, sample_rate=RATE, **given)
        case "oobleck":
            theirs = upstream.OobleckDiscriminator(in_channels=channels)
        case _:
            theirs = upstream.BigVGANDiscriminator(channels=channels, sample_rate=RATE, **given)
    randomise(theirs)
    config = validate_any(DiscriminatorConfig, {"type": name, "config": given})
    assert not list(config.contradictions(RATE, channels))
    ours = build_discriminator(config, channels, RATE)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, Adversary(ours, config)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_equal_upstreams(kind):
    draw, ran = random.Random(kind), 0
    torch.manual_seed(0)
    for _ in range(CASES):
        channels = draw.randint(1, 2)
        theirs, ours = theirs_and_ours(kind, channels)
        reals, fakes = 0.3 * torch.randn(2, draw.randint(1, 3), channels, draw.randint(100, 900))
        x, y = fakes.clone().requires_grad_(), fakes.clone().requires_grad_()
        of_discriminator, adversarial, features = theirs.loss(reals, x)

        terms = ours.generator_losses(reals, y)
        assert terms["adversarial"].weight == 0.1
        assert terms["feature_matching"].weight == 5.0
        given = (terms["adversarial"].value, terms["feature_matching"].value)
        torch.testing.assert_close(given, (adversarial, features), rtol=1e-5, atol=1e-6)
        (expected,) = torch.autograd.grad(0.1 * adversarial + 5 * features, x, retain_graph=True)
        sum(term.weighted for term in terms.values()).backward()
        assert all(weight.grad is None for weight in ours.discriminator.parameters())
        torch.testing.assert_close(y.grad, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())

        loss = ours.verdict(reals, fakes, judges=False).discriminator
        torch.testing.assert_close(loss, of_discriminator, rtol=1e-5, atol=1e-6)
        loss.backward()
        of_discriminator.backward()
        assert_same_gradients(ours.discriminator, theirs)
        ran += 1
    assert ran == CASES


@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_gives_both_sides_what_two_would(kind):
    recipe = resolve_recipe("oobleck_vae", overrides=overrides(kind))
    torch.manual_seed(0)
    adversary = build_module(recipe).adversary
    weights = list(adversary.discriminator.parameters())
    reals, start = 0.3 * torch.randn(2, 2, 2, 4096)
    loss = adversary.verdict(reals, start, judges=False).discriminator
    of_weights = torch.autograd.grad(loss, weights, allow_unused=True)
    fakes = start.clone().requires_grad_()
    terms = adversary.generator_losses(reals, fakes)
    (of_fakes,) = torch.autograd.grad(sum(t.weighted for t in terms.values()), fakes)

    verdict = adversary.verdict(reals, fakes)
    sum(term.weighted for term in verdict.generator.values()).backward()
    assert all(weight.grad is None for weight in weights)
    torch.testing.assert_close(fakes.grad, of_fakes)
    verdict.discriminator.backward()
    torch.testing.assert_close(fakes.grad, of_fakes)
    assert any(gradient is not None and gradient.any() for gradient in of_weights)
    for weight, gradient in zip(weights, of_weights, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def overrides(kind: str) -> list[str]:
    name, given = KINDS[kind]
    small = [
        "losses.stft.fft_sizes=[256,64]",
        "losses.stft.hop_sizes=[64,16]",
        "losses.stft.win_lengths=[256,64]",
        "trainer.max_steps=2",
        f"discriminator={{type: {name}}}",
    ]
    return [
        *SHRUNK,
        *small,
        *(f"discriminator.config.{key}={value}" for key, value in given.items()),
    ]


@pytest.mark.parametrize("kind", ["encodec rpgan", "dac", "oobleck", "big_vgan hinge"])
def test_two_steps_train_both_networks(kind):
    recipe = resolve_recipe("oobleck_vae", overrides=overrides(kind))
    assert recipe.discriminator.type == KINDS[kind][0]
    torch.manual_seed(0)
    module = build_module(recipe)
    seen = []

    def changes(name: str):
        network = dict(module.networks())[name]
        before = [weight.detach().clone() for weight in network.parameters()]
        return lambda: any(
            not torch.equal(one, other)
            for one, other in zip(before, network.parameters(), strict=True)
        )

    gather, update = module.gather, module.update

    def gradients(name: str):
        return [weight.grad for weight in module.network(name).parameters()]

    def watched_gather(name, *more):
        (other,) = {"autoencoder", "discriminator"} - {name}
        before = [g if g is None else g.clone() for g in gradients(other)]
        gather(name, *more)
        assert any(g is not None and g.any() for g in gradients(name))
        for one, two in zip(before, gradients(other), strict=True):
            assert (one is None and two is None) or torch.equal(one, two)

    def watched_update(name):
        model, judge = changes("autoencoder"), changes("discriminator")
        update(name)
        seen.append((name, model(), judge()))

    module.gather, module.update = watched_gather, watched_update
    fit(module, 0.3 * torch.randn(2, 2, 4096), updates=2)
    assert seen == 2 * [("autoencoder", True, False), ("discriminator", False, True)]
