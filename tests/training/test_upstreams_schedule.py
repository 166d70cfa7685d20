"""Several steps of our module against upstream's own training wrapper, option by option."""

from __future__ import annotations

import pytest
import torch
from lightning import Trainer
from torch.utils.data import DataLoader

import zoo
from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR
from tests.upstream_training import upstream_wrapper
from zoo.checkpoints.files import CONFIG_KEY
from zoo.config.resolve import resolve_recipe
from zoo.training.build import build_module

# So small that rounding does not grow from step to step.
LR, JUDGE_LR = 1e-4, 1.0
BASE = [
    *SHRUNK,
    *SMALL_DISCRIMINATOR,
    "losses.stft.fft_sizes=[256,64]",
    "losses.stft.hop_sizes=[64,16]",
    "losses.stft.win_lengths=[256,64]",
    "losses.l1=0.3",
    "losses.kl=0.01",
    "ema=null",
    f"optimizers.autoencoder.optimizer={{type: SGD, config: {{lr: {LR}}}}}",
    f"optimizers.discriminator.optimizer={{type: SGD, config: {{lr: {JUDGE_LR}}}}}",
    "optimizers.autoencoder.scheduler=null",
    "optimizers.discriminator.scheduler=null",
]
ALONE = ["discriminator=null"]
TURNS = ["schedule.alternate=true"]
MONO = ["model.in_channels=1", "model.encoder.config.in_channels=1"]


def fit(module, batches, seed: int = 5) -> dict:
    trainer = Trainer(
        max_steps=len(batches),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        log_every_n_steps=1,
    )
    loader = DataLoader(batches, batch_size=None, generator=torch.Generator())
    torch.manual_seed(seed)
    trainer.fit(module, loader)
    assert trainer.global_step == len(batches)
    return {key: float(value) for key, value in trainer.callback_metrics.items()}


def made(overrides):
    recipe = resolve_recipe("oobleck_vae", overrides=[*BASE, *overrides])
    torch.manual_seed(0)
    return recipe, build_module(recipe)


def batches(steps: int) -> list:
    generator = torch.Generator().manual_seed(1)
    lengths = 2048 * torch.randint(1, 3, (steps,), generator=generator)
    return [0.3 * torch.randn(2, 2, int(n), generator=generator) for n in lengths]


def weights(network) -> dict:
    return {key: value.clone() for key, value in network.state_dict().items()}


def assert_same_change(before: dict, ours: dict, theirs: dict) -> None:
    """The weights have moved, and within a thousandth of the way to the same place."""
    way = max((theirs[key] - before[key]).abs().max().item() for key in theirs)
    assert way > 1e-5
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, atol=1e-3 * way, rtol=1e-6, msg=key)


def compare(module, theirs, audio) -> tuple[dict, dict]:
    """Trains both on the same batches, and gives what each has logged."""
    before = weights(module.model)
    judge = None if module.adversary is None else module.adversary.discriminator
    judge_before = {} if judge is None else weights(judge)
    logged = fit(module, audio), fit(theirs, [(batch, None) for batch in audio])
    assert_same_change(before, weights(module.model), weights(theirs.autoencoder))
    if judge is not None:
        assert_same_change(judge_before, weights(judge), weights(theirs.discriminator))
    return logged


WARM = "discriminator.warmup_steps=3"
CASES = {
    "alternate": (TURNS, {}),
    "alternate, warm-up": ([*TURNS, WARM], {"warmup_steps": 3}),
    "alternate, full warm-up, decay": (
        [
            *TURNS,
            WARM,
            "discriminator.warmup_mode=full",
            "losses.stft.weight={weight: 1, decay: 0.9}",
            "losses.l1={weight: 0.3, decay: 0.8}",
        ],
        {"warmup_steps": 3, "warmup_mode": "full"},
    ),
    "decay": (
        [
            *ALONE,
            "losses.stft.weight={weight: 1, decay: 0.9}",
            "losses.l1={weight: 0.3, decay: 0.8}",
        ],
        {},
    ),
    "freeze": (
        [*ALONE, "schedule.freeze_encoder_at=2"],
        {"warmup_steps": 2, "encoder_freeze_on_warmup": True},
    ),
    "mask": ([*ALONE, "schedule.latent_mask=0.4"], {"latent_mask_ratio": 0.4}),
    "mono": ([*ALONE, *MONO, "schedule.force_mono=true"], {"force_input_mono": True}),
    "mrmel": (
        [
            *ALONE,
            "losses.mel.weight=2",
            "losses.mel.n_mels=[5,10]",
            "losses.mel.window_lengths=[64,128]",
            "losses.mel.pow=2",
            "losses.mel.mag_weight=0.5",
        ],
        {},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_training_equals_upstreams(case):
    overrides, options = CASES[case]
    recipe, module = made(overrides)
    theirs = upstream_wrapper(recipe, module, **options)
    compare(module, theirs, batches(6 if "alternate" in case else 3))


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_encoder_stays_and_the_decoder_goes_on():
    _, module = made([*ALONE, "schedule.freeze_encoder_at=0"])
    before = weights(module.model)
    fit(module, batches(1))
    for key, value in module.model.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith("encoder"), key


def saved_teacher(folder):
    recipe, module = made(ALONE)
    state = {f"model.{key}": value for key, value in module.model.state_dict().items()}
    for value in state.values():
        value += 0.02 * torch.randn_like(value)
    path = folder / "teacher.ckpt"
    torch.save({"state_dict": state, CONFIG_KEY: recipe.container().to_dict()}, path)
    return path


QUARTER = "{weight: 0.25, decay: 0.9}"


@pytest.mark.filterwarnings("ignore")
def test_distillation_equals_upstreams(tmp_path):
    path = saved_teacher(tmp_path)
    names = ("latents", "reconstruction", "output", "encoder", "decoder")
    overrides = [
        *ALONE,
        "losses.stft.weight=0",
        "schedule.latent_mask=0.3",
        f"teacher.checkpoint={path}",
        *(f"teacher.weights.{name}={QUARTER}" for name in names),
    ]
    recipe, module = made(overrides)
    settings = {
        "latent_mask_ratio": 0.3,
        # Ours answers upstream's calls, and encodes to the mean as ours does.
        "teacher_model": zoo.from_checkpoint(path).requires_grad_(False),
    }
    theirs = upstream_wrapper(recipe, module, **settings)
    audio = batches(1)
    ours_logged = fit(module, audio)
    logged = fit(theirs, [(batch, None) for batch in audio])
    upstream_names = (
        "latent_distill_loss",
        "mrstft_loss",
        "mrstft_loss_distill",
        "mrstft_loss_own_latents_teacher",
        "mrstft_loss_teacher_latents_own",
    )
    for name, other in zip(names, upstream_names, strict=True):
        assert ours_logged[f"weight/teacher_{name}"] == pytest.approx(0.25 * 0.9)
        weighted = 0.25 * 0.9 * ours_logged[f"train/teacher_{name}"]
        assert weighted == pytest.approx(logged[f"train/{other}"], rel=1e-5), name
        assert weighted > 0
    assert ours_logged["train/loss"] == pytest.approx(logged["train/loss"], rel=1e-5)

    # Upstream's last two terms have values but no gradients.
    silent = [f"teacher.weights.{name}=0" for name in ("encoder", "decoder")]
    recipe, module = made([*overrides, *silent])
    theirs = upstream_wrapper(recipe, module, **settings)
    compare(module, theirs, batches(3))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("term", ["encoder", "decoder"])
def test_each_half_learns_to_work_with_the_teachers_other_half(tmp_path, term):
    path = saved_teacher(tmp_path)
    others = {"latents", "reconstruction", "output", "encoder", "decoder"} - {term}
    _, module = made(
        [
            *ALONE,
            "optimizers.autoencoder.optimizer.config.lr=1",
            "losses.stft.weight=0",
            "losses.l1=0",
            "losses.kl=0",
            f"teacher.checkpoint={path}",
            *(f"teacher.weights.{name}=0" for name in others),
        ]
    )
    teacher = module.teacher.frozen.network
    before = weights(module.model)
    frozen = weights(teacher)
    fit(module, batches(1))
    assert not teacher.training
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, frozen[key])
    for key, value in module.model.state_dict().items():
        assert torch.equal(value, before[key]) == (not key.startswith(term)), key
    assert not any("teacher" in key for key in module.state_dict())
    assert next(module.to(torch.float64).teacher.frozen.network.parameters()).dtype == torch.float64


@pytest.mark.parametrize("mode", ["adv", "full"])
def test_updates_of_the_autoencoder_are_counted_in_turns(mode, monkeypatch):
    for warmup in (0, 3, 4):
        options = [f"discriminator.warmup_steps={warmup}", f"discriminator.warmup_mode={mode}"]
        _, module = made([*TURNS, *options])
        done = 0
        for step in range(12):
            monkeypatch.setattr(type(module), "global_step", property(lambda _, step=step: step))
            assert module.updates == done, (warmup, step)
            done += step % 2 == 0 or not module.adversary.learns(step)
        assert 6 <= done < 12
