"""One step of the module against the same step written out, with upstream's networks."""

from __future__ import annotations

import copy

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch.utils.data import DataLoader

import zoo
from tests.oracle import import_upstream
from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR
from zoo.config.resolve import resolve_recipe
from zoo.training.build import build_discriminator, build_module

# So large that it shows whose discriminator the autoencoder has heard.
JUDGE_LR = 5.0
AUDIO = [
    *SHRUNK,
    *SMALL_DISCRIMINATOR,
    "losses.stft.fft_sizes=[256,64]",
    "losses.stft.hop_sizes=[64,16]",
    "losses.stft.win_lengths=[256,64]",
    "losses.l1=0.3",
    "losses.kl=0.01",
    "ema=null",
    "optimizers.autoencoder.optimizer={type: SGD, config: {lr: 0.01}}",
    f"optimizers.discriminator.optimizer={{type: SGD, config: {{lr: {JUDGE_LR}}}}}",
    "optimizers.autoencoder.scheduler=null",
    "optimizers.discriminator.scheduler=null",
]


def fit(module, audio, updates: int = 1, batches: int = 1, size: int = 0, **options) -> None:
    """Some updates, each of some batches, on all of `audio`."""
    trainer = Trainer(
        max_steps=updates,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        **options,
    )
    torch.manual_seed(5)
    # A generator of its own leaves the global one, which draws the latents, alone.
    size = size or len(audio) // (updates * batches)
    loader = DataLoader(list(audio), batch_size=size, generator=torch.Generator())
    trainer.fit(module, loader)


@pytest.mark.filterwarnings("ignore")
def test_a_step_equals_upstreams_losses_and_updates(tmp_path):
    recipe = resolve_recipe("oobleck_vae", overrides=AUDIO)
    torch.manual_seed(0)
    module = build_module(recipe)
    audio = 0.3 * torch.randn(2, 2, 8192)

    theirs = zoo.from_config(recipe.container(), engine="stable-audio-tools").train()
    theirs.load_state_dict(module.model.state_dict())
    discriminators = import_upstream("stable_audio_tools.models.discriminators")
    config = recipe.discriminator.config
    judge = discriminators.EncodecDiscriminator(
        filters=config.filters,
        in_channels=2,
        n_ffts=list(config.n_ffts),
        hop_lengths=list(config.hop_lengths),
        win_lengths=list(config.win_lengths),
    )
    judge.load_state_dict(module.adversary.discriminator.state_dict())
    auraloss = import_upstream("stable_audio_tools.training.losses.auraloss")
    settings = {
        "fft_sizes": [256, 64],
        "hop_sizes": [64, 16],
        "win_lengths": [256, 64],
        "sample_rate": 44100,
        "perceptual_weighting": True,
    }
    mid_side = auraloss.SumAndDifferenceSTFTLoss(**settings)
    plain = auraloss.MultiResolutionSTFTLoss(**settings)

    fit(module, audio)

    torch.manual_seed(5)
    latents, info = theirs.encode(audio, return_info=True)
    decoded = theirs.decode(latents)
    loss, adversarial, features = judge.loss(audio, decoded)
    of_judge = torch.autograd.grad(loss, list(judge.parameters()), retain_graph=True)
    total = (
        mid_side(audio, decoded)
        + 0.5 * plain(audio[:, :1], decoded[:, :1])
        + 0.5 * plain(audio[:, 1:], decoded[:, 1:])
        + 0.3 * (audio - decoded).abs().mean()
        + 0.01 * info["kl"]
        + 0.1 * adversarial
        + 5.0 * features
    )
    total.backward()
    # Both gradients are those before either update.
    with torch.no_grad():
        for weight in theirs.parameters():
            weight -= 0.01 * weight.grad
        for weight, gradient in zip(judge.parameters(), of_judge, strict=True):
            weight -= JUDGE_LR * gradient

    given, expected = module.model.state_dict(), theirs.state_dict()
    for key in expected:
        torch.testing.assert_close(given[key], expected[key], atol=1e-5, rtol=1e-4, msg=key)
    given = module.adversary.discriminator.state_dict()
    for key, value in judge.state_dict().items():
        torch.testing.assert_close(given[key], value, atol=1e-5, rtol=1e-4, msg=key)


@pytest.mark.filterwarnings("ignore")
def test_the_noise_of_a_vae_grows_to_its_full_size():
    quiet = ["discriminator=null", "losses.stft.weight=0", "losses.l2=1", "losses.l1=0"]
    overrides = [*AUDIO, *quiet, "schedule.noise_warmup_steps=4"]
    recipe = resolve_recipe("oobleck_vae", overrides=overrides)
    torch.manual_seed(0)
    module = build_module(recipe)
    audio = 0.3 * torch.randn(6, 2, 8192)
    theirs = copy.deepcopy(module.model).train()

    fit(module, audio, updates=6)

    torch.manual_seed(5)
    for batch, share in zip(audio.split(1), (0, 0.25, 0.5, 0.75, 1, 1), strict=True):
        mean, scale = theirs.encoder(batch).chunk(2, dim=1)
        std = torch.nn.functional.softplus(scale) + 1e-4
        decoded = theirs.decoder(mean + share * std * torch.randn_like(mean))
        divergence = (mean.square() + std.square() - std.square().log() - 1).sum(1).mean()
        loss = (decoded - batch).square().mean() + 0.01 * divergence
        gradients = torch.autograd.grad(loss, list(theirs.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(theirs.parameters(), gradients, strict=True):
                weight -= 0.01 * gradient
    expected = theirs.state_dict()
    for key, value in module.model.state_dict().items():
        torch.testing.assert_close(value, expected[key], atol=1e-6, rtol=1e-4, msg=key)


@pytest.mark.parametrize("guard", ["null", "{}"])
def test_an_overflow_of_float16_is_left_out_and_the_next_update_made(guard):
    same = ["model.bottleneck={type: tanh}", "model.encoder.config.latent_dim=64"]
    recipe = resolve_recipe("oobleck_vae", overrides=[*AUDIO, *same, f"guard={guard}"])
    torch.manual_seed(0)
    module = build_module(recipe)
    expected = copy.deepcopy(module)
    before = copy.deepcopy(module.state_dict())
    audio = 0.3 * torch.randn(4, 2, 4096)
    # Too large for any gradient of the first batch, and then small enough.
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, backoff_factor=2.0**-50)
    fit(module, audio, size=2, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    fit(expected, audio[2:], size=2)
    assert module.global_step == expected.global_step == 1
    assert scaler.get_scale() == 2.0**10
    given, wanted = module.state_dict(), expected.state_dict()
    for part in ("model.", "adversary."):
        keys = [key for key in given if key.startswith(part)]
        moved, way, apart = (
            torch.stack([(a[key] - b[key]).norm() for key in keys]).norm()
            for a, b in ((given, before), (wanted, before), (given, wanted))
        )
        # The discriminator's gradients of reals and fakes almost cancel each other at first.
        limit = 0.1 if part == "model." else 1.0
        assert way > 1e-3 and way / 2 < moved < 2 * way and apart < limit * way, part


@pytest.mark.parametrize(
    ("mode", "learns", "judged"), [("adv", True, False), ("full", False, False), (None, True, True)]
)
def test_warm_up(mode, learns, judged):
    more = (
        []
        if mode is None
        else ["discriminator.warmup_steps=5", f"discriminator.warmup_mode={mode}"]
    )
    recipe = resolve_recipe("oobleck_vae", overrides=[*AUDIO, *more])
    torch.manual_seed(0)
    module = build_module(recipe)
    before = copy.deepcopy(module.adversary.discriminator.state_dict())
    # Without a judge, the autoencoder's step must be that of a recipe without discriminator.
    alone = build_module(resolve_recipe("oobleck_vae", overrides=[*AUDIO, "discriminator=null"]))
    alone.model.load_state_dict(module.model.state_dict())
    audio = 0.3 * torch.randn(2, 2, 8192)
    fit(module, audio)
    fit(alone, audio)
    after = module.adversary.discriminator.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before) == learns
    same = all(
        torch.equal(value, alone.model.state_dict()[key])
        for key, value in module.model.state_dict().items()
    )
    assert same != judged


def test_clipping_limits_the_step():
    def change(limit: float) -> float:
        overrides = [*AUDIO, "discriminator=null", f"trainer.gradient_clip_val={limit}"]
        torch.manual_seed(0)
        module = build_module(resolve_recipe("oobleck_vae", overrides=overrides))
        before = copy.deepcopy(module.model.state_dict())
        torch.manual_seed(1)
        fit(module, 0.3 * torch.randn(2, 2, 8192))
        after = module.model.state_dict()
        return float(sum((after[k] - before[k]).double().square().sum() for k in before) ** 0.5)

    assert change(0.001) == pytest.approx(0.01 * 0.001, rel=0.02)
    assert change(0) > 0.01 * 0.002


def test_the_discriminator_has_upstreams_keys():
    recipe = resolve_recipe("oobleck_vae", overrides=AUDIO)
    keys = build_discriminator(recipe.discriminator, 2, 44100).state_dict().keys()
    assert "discriminators.discriminators.0.convs.0.conv.weight_g" in keys
