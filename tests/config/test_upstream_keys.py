"""Every key of upstream's `training` sections is honoured or refused."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from tests.config.test_upstream_training import DIFFUSION, FULL, WEIGHTS, problems
from tests.config.upstream_sections import keys_read, source
from tests.oracle import import_upstream
from tests.upstream_training import upstream_training

# What the wrapper passes itself, so that a config can't.
_PASSED = {"self", "args", "kwargs", "sample_rate", "sampling_rate", "channels", "cqt_kwargs"}
_PASSED |= {"discriminator_kwargs"}


def keys_of_the_factory() -> set[str]:
    tree = source("training/factory.py")
    roots = {"training_config": "", "demo_config": "demo"}
    keys = keys_read(tree, roots)
    losses = {
        "loss_config": "loss_configs",
        "eval_loss_config": "eval_loss_configs",
        "optimizer_configs": "optimizer_configs",
    }
    keys |= keys_read(source("training/autoencoders.py"), losses)
    return keys


def keys_of_constructors() -> dict[str, set[str]]:
    """Discriminator type, or a part's path → what upstream's class takes."""
    wrappers = upstream_training("autoencoders")
    discriminators = inspect.getmodule(wrappers.DACGANLoss)
    encodec = import_upstream("stable_audio_tools.models.encodec")

    def names(*classes: type) -> set[str]:
        return {name for cls in classes for name in inspect.signature(cls.__init__).parameters}

    losses = wrappers.auraloss
    cqt = keys_read(source("models/discriminators.py"), {"cfg": ""})
    return {
        "encodec": names(
            wrappers.EncodecDiscriminator,
            encodec.MultiScaleSTFTDiscriminator,
            encodec.DiscriminatorSTFT,
        )
        - {"n_fft", "hop_length", "win_length", "in_channels"},
        "oobleck": names(wrappers.OobleckDiscriminator),
        "dac": names(wrappers.DACGANLoss, discriminators.DACDiscriminator),
        "big_vgan": names(wrappers.BigVGANDiscriminator) | cqt - {"cqtd_in_channels", "cqtd_fmin"},
        "spectral": names(
            losses.SumAndDifferenceSTFTLoss, losses.MultiResolutionSTFTLoss, losses.STFTLoss
        )
        - {"fft_size", "hop_size", "win_length", "n_mels"},
        "hubert": names(wrappers.HubertLoss) - {"weight"},
    }


def put(section: dict, path: str, value: Any) -> dict:
    changed = copy.deepcopy(section)
    *parents, last = path.split(".")
    here = changed
    for key in parents:
        here = here.setdefault(key, {})
    here[last] = value
    return changed


def assert_named(section: dict, path: str, kind: str = "autoencoder") -> None:
    """A senseless value is noticed at its key, which is known."""
    refused, told = problems(put(section, path, ["?"]), kind)
    at = [message for key, message in refused.items() if f"{key}.".startswith(f"{path}.")]
    above = [key for key in refused if path.startswith(f"{key}.")]
    heard = any(path == note or path.startswith(f"{note}.") for note in told)
    assert at or heard or above, f"{path} is ignored"
    assert not any("unknown key" in message for message in at), path
    assert not any("unknown key" in refused[key] for key in above), path


def test_every_key_that_upstream_reads_is_honoured_or_refused():
    keys = keys_of_the_factory()
    assert {"warmup_steps", "demo.demo_every", "loss_configs.mrmel.config.n_mels"} <= keys
    assert {"loss_configs.time.weights.l2", "eval_loss_configs.pesq"} <= keys
    assert {"optimizer_configs.autoencoder.scheduler", "clip_grad_norm"} <= keys
    assert len(keys) > 60
    for path in sorted(keys):
        assert_named(FULL, path)
        if "." not in path or path.startswith("demo."):
            assert_named(DIFFUSION, path, "diffusion_autoencoder")


def test_every_argument_of_upstreams_losses_is_honoured_or_refused():
    parts = keys_of_constructors()
    assert len(parts["big_vgan"]) > 8
    for part, names in parts.items():
        section, path = FULL, f"loss_configs.{part}.config"
        if part not in ("spectral", "hubert"):
            path = "loss_configs.discriminator.config"
            judge = {"type": part, "config": {}, "weights": WEIGHTS}
            section = put(FULL, "loss_configs.discriminator", judge)
            assert problems(section) == ({}, [])
        for name in sorted(names - _PASSED):
            assert_named(section, f"{path}.{name}")


def test_unknown_keys_are_refused_with_a_guess():
    cases = {
        "warmup_step": "warmup_steps",
        "loss_configs.spectrall": "spectral",
        "loss_configs.spectral.weights.mrsft": "mrstft",
        "loss_configs.discriminator.config.filter": "filters",
        "optimizer_configs.autoencoder.optimizer.config.beta": "betas",
        "demo.demo_evry": "demo_every",
    }
    for path, meant in cases.items():
        refused, _ = problems(put(FULL, path, 1))
        assert f"did you mean '{meant}'?" in refused[path], path


def test_what_upstream_needs_is_asked_for():
    assert problems({})[0] == {"learning_rate": "required, but missing"}
    for path in (
        "optimizer_configs.discriminator",
        "optimizer_configs.autoencoder.optimizer",
        "loss_configs.spectral",
        "loss_configs.spectral.weights",
        "loss_configs.discriminator.weights.adversarial",
        "loss_configs.mrmel.config.pow",
    ):
        section = copy.deepcopy(FULL)
        here = section
        *parents, last = path.split(".")
        for key in parents:
            here = here[key]
        del here[last]
        assert problems(section)[0] == {path: "required, but missing"}
