"""A config of stable-audio-tools trains here as that package's own factory trains it."""

from __future__ import annotations

import copy
import json

import pytest
import torch

import zoo
from tests.config.upstream_sections import shipped
from tests.training.test_upstreams_schedule import batches, compare, fit
from tests.upstream_training import upstream_training
from zoo.cli import main as cli
from zoo.config.resolve import resolve_recipe
from zoo.training.build import build_module

LR, JUDGE_LR = 1e-4, 1.0
SPECTRA = {"fft_sizes": [256, 64], "hop_sizes": [64, 16], "win_lengths": [256, 64]}
JUDGE = {"filters": 2, "n_ffts": [256, 64], "hop_lengths": [64, 16], "win_lengths": [256, 64]}
# Losses that the shipped sections don't have.
MORE = {
    "time": {"type": "l1", "weights": {"l1": 0.3, "l2": 0.2}, "decay": 0.9},
    "mrmel": {
        "config": {
            "n_mels": [5, 10],
            "window_lengths": [64, 128],
            "pow": 2.0,
            "log_weight": 1.0,
            "mag_weight": 0.5,
        },
        "weights": {"mrmel": 2.0},
    },
    "bottleneck": {"type": "kl", "weights": {"kl": 0.01}},
}
NAMES = {
    "stft": ("mrstft_loss", "stft_loss_left", "stft_loss_right"),
    "adversarial": ("loss_adv",),
    "feature_matching": ("feature_matching_loss",),
    "kl": ("kl_loss",),
    "l1": ("l1_time_loss",),
    "l2": ("l2_time_loss",),
    "mel": ("mrmel_loss",),
}


def config(name: str = "stable_audio_2_0_vae", sgd: bool = True, **training) -> dict:
    """A shipped config, its networks and spectra made small."""
    small = copy.deepcopy(shipped()[name])
    small["model"] = copy.deepcopy(shipped()["stable_audio_2_0_vae"]["model"])
    small["audio_channels"] = 2
    for part in ("encoder", "decoder"):
        small["model"][part]["config"]["channels"] = 4
    section = small["training"]
    section["use_ema"] = False
    losses = section["loss_configs"]
    losses["spectral"]["config"] |= SPECTRA
    losses["discriminator"]["config"] |= JUDGE
    if sgd:
        section["optimizer_configs"] = {
            network: {"optimizer": {"type": "SGD", "config": {"lr": lr}}}
            for network, lr in (("autoencoder", LR), ("discriminator", JUDGE_LR))
        }
    losses |= training.pop("loss_configs", {})
    section |= training
    return small


def both(tmp_path, small: dict):
    """Our module and upstream's wrapper, both from one file and with the same weights."""
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(small))
    recipe = resolve_recipe(model=str(path), overrides=["trainer.accelerator=cpu"])
    torch.manual_seed(0)
    module = build_module(recipe)
    model = zoo.from_config(recipe.container(), engine="stable-audio-tools").train()
    model.load_state_dict(module.model.state_dict())
    given = json.loads(path.read_text())
    # The factory imports it only when it is called.
    upstream_training("autoencoders")
    wrapper = upstream_training("factory").create_training_wrapper_from_config(given, model)
    if module.adversary is not None:
        wrapper.discriminator.load_state_dict(module.adversary.discriminator.state_dict())
    return recipe, module, wrapper


CASES = {
    "as shipped": {},
    "warm-up": {"warmup_steps": 3},
    "more losses": {"loss_configs": MORE},
    "mask": {"latent_mask_ratio": 0.4},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_losses_and_weights_equal_upstreams_from_the_same_file(case, tmp_path):
    _, module, wrapper = both(tmp_path, config(**copy.deepcopy(CASES[case])))
    compare(module, wrapper, batches(5))


@pytest.mark.filterwarnings("ignore")
def test_each_loss_of_an_update_is_upstreams(tmp_path):
    _, module, wrapper = both(tmp_path, config(loss_configs=MORE))
    audio = batches(1)
    ours, theirs = fit(module, audio), fit(wrapper, [(batch, None) for batch in audio])
    assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-5)
    terms = module.objective
    weights = {name: weight for name, (weight, _) in terms.distances.items()} | terms.bottleneck
    judge = module.adversary.config.weights
    weights |= {"adversarial": judge.adversarial, "feature_matching": judge.feature_matching}
    for name, parts in NAMES.items():
        weight = ours.get(f"weight/{name}", weights[name])
        total = sum(theirs[f"train/{part}"] for part in parts)
        assert total != 0
        assert weight * ours[f"train/{name}"] == pytest.approx(total, rel=1e-4), name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("without", [(), ("loss_configs",)])
def test_optimizers_averages_and_defaults_are_upstreams(without, tmp_path):
    small = config("stable_audio_1_0_vae" if not without else "dac_2048_32_vae", sgd=False)
    for key in without:
        del small["training"][key]
    small["training"]["use_ema"] = True
    recipe, module, wrapper = both(tmp_path, small)
    names = ["autoencoder", "discriminator"]
    theirs = wrapper.configure_optimizers()
    optimizers, schedulers = theirs if isinstance(theirs, tuple) else (theirs, [None, None])
    networks = [network for _, network in module.networks()]
    for name, network, optimizer, scheduler in zip(
        names, networks, optimizers, schedulers, strict=True
    ):
        ours, our_scheduler = module.configure[name](network)
        assert type(ours) is type(optimizer)
        given, wanted = dict(ours.defaults), dict(optimizer.defaults)
        # How it is computed, not what.
        assert given.pop("fused") and not wanted.pop("fused")
        assert tuple(given.pop("betas")) == tuple(wanted.pop("betas"))
        assert given == wanted
        assert type(our_scheduler) is type(scheduler)
        if scheduler is not None:
            assert our_scheduler.gamma == scheduler.gamma
    average = wrapper.autoencoder_ema
    assert (recipe.ema.beta, recipe.ema.power) == (average.beta, average.power)
    judge = module.adversary.discriminator.state_dict()
    assert wrapper.discriminator.state_dict().keys() == judge.keys()
    stft, theirs = module.objective.distances["stft"][1], wrapper.lrstft
    assert [t.fft_size for t in theirs.stft_losses] == list(recipe.losses.stft.fft_sizes)
    assert len(stft.transforms) == len(theirs.stft_losses)


@pytest.mark.filterwarnings("ignore")
def test_a_teacher_in_upstreams_form_is_read(tmp_path):
    small = config()
    teacher = zoo.from_config({key: value for key, value in small.items() if key != "training"})
    path = tmp_path / "teacher.ckpt"
    torch.save({"state_dict": teacher.state_dict()}, path)
    form = {key: value for key, value in small.items() if key != "training"}
    small["training"] |= {"teacher_model": form, "teacher_model_ckpt": str(path)}
    small["training"]["loss_configs"]["spectral"]["decay"] = 0.9
    _, module, wrapper = both(tmp_path, small)
    # Upstream's teacher draws its latents, ours gives their mean.
    wrapper.teacher_model = teacher.requires_grad_(False)
    audio = batches(1)
    ours, theirs = fit(module, audio), fit(wrapper, [(batch, None) for batch in audio])
    assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-5)
    assert ours["weight/teacher_output"] == pytest.approx(0.25 * 0.9)


def test_zoo_train_takes_the_file_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = config(learning_rate=5e-5, eval_loss_configs={"sisdr": {}})
    (tmp_path / "their config.json").write_text(json.dumps(small))
    few = ["data.workers=0", "data.batch_size=1", "data.synthesis.files=3", "logger.type=csv"]
    few += ["data.synthesis.seconds=1", "data.segment_samples=8192", "data.validation_crops=1"]
    few += ["trainer.accelerator=cpu", "trainer.max_steps=2", "trainer.val_check_interval=2"]
    monkeypatch.setattr("sys.argv", ["zoo", "train", "model=their config.json", *few])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err
    assert not stop.value.code, said
    assert "zoo: training.learning_rate: not used: optimizer_configs has the rates" in said
    assert "zoo: training.eval_loss_configs: not used" in said
    (run,) = (tmp_path / "runs" / "their_config").iterdir()
    recipe = resolve_recipe(str(run / "recipe.yaml"))
    assert recipe.training == small["training"]
    assert recipe.schedule.alternate
    exported = zoo.from_checkpoint(run).config.to_dict()
    assert exported["training"] == small["training"]
