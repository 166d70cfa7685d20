"""Weight files of every layout, written by the packages that they are from."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import zoo
from tests.conftest import TINY
from tests.oracle import import_upstream
from tests.upstream_training import upstream_training
from zoo.checkpoints.files import CONFIG_KEY, EMA_KEY
from zoo.checkpoints.reading import read_checkpoint
from zoo.errors import CheckpointError


def random_model(seed: int = 0, config: Any = TINY):
    """A model whose weights, Snake's too, are far from those of another seed."""
    torch.manual_seed(seed)
    model = zoo.from_config(copy.deepcopy(config))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


def prefixed(prefix: str, model: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in model.state_dict().items()}


def same(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


TEXT_TO_AUDIO = {
    "model_type": "diffusion_cond",
    "sample_size": 4096,
    "sample_rate": 16000,
    "audio_channels": 2,
    "model": {
        "pretransform": {
            "type": "autoencoder",
            "iterate_batch": True,
            "config": TINY["model"],
        },
        "conditioning": {"configs": [], "cond_dim": 8},
        "diffusion": {"type": "dit", "config": {}},
        "io_channels": 3,
    },
    "training": {"learning_rate": 1e-4},
}
OTHERS = {"model.model.timestep_features.weight": torch.ones(3), "conditioner.x": torch.ones(2)}
STEP = {"step": torch.tensor(3), "initted": torch.tensor(True)}


@pytest.mark.parametrize("wrapper", ["autoencoder", "diffae"])
@pytest.mark.parametrize("config_in", ["file", "folder"])
def test_training_checkpoints_of_upstream(wrapper, config_in, tmp_path):
    online, averaged, disc = random_model(0), random_model(1), nn.Conv1d(1, 1, 1)
    state = {
        **prefixed(f"{wrapper}.", online),
        **prefixed(f"{wrapper}_ema.online_model.", online),
        **prefixed(f"{wrapper}_ema.ema_model.", averaged),
        **{f"{wrapper}_ema.{key}": value for key, value in STEP.items()},
        **prefixed("discriminator.", disc),
    }
    content = {"state_dict": state, "pytorch-lightning_version": "2.1.0", "optimizer_states": []}
    if config_in == "file":
        content["model_config"] = TINY
    else:
        (tmp_path / "model_config.json").write_text(json.dumps(TINY))
    path = tmp_path / "model.ckpt"
    torch.save(content, path)
    model = zoo.from_pretrained(path)
    assert same(model, averaged)
    assert "averaged" in model.loaded.layout
    assert len(model.loaded.matched) == len(online.state_dict())
    assert same(zoo.from_pretrained(path, weights="online"), online)
    without = {key: value for key, value in state.items() if "_ema" not in key}
    torch.save({**content, "state_dict": without}, path)
    model = zoo.from_pretrained(path)
    assert same(model, online)
    assert "online" in model.loaded.layout
    with pytest.raises(CheckpointError, match=r"weights 'newest': unknown"):
        zoo.from_pretrained(path, weights="newest")  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "diffusion."])
@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_the_autoencoder_of_a_text_to_audio_model(prefix, suffix, tmp_path):
    inner = random_model()
    state = {f"{prefix}{key}": value for key, value in OTHERS.items()}
    state |= prefixed(f"{prefix}pretransform.model.", inner)
    path = tmp_path / f"model{suffix}"
    if suffix == ".ckpt":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    (tmp_path / "model_config.json").write_text(json.dumps(TEXT_TO_AUDIO))
    model = zoo.from_pretrained(tmp_path)
    assert same(model, inner)
    assert (model.sample_rate, model.config.training) == (16000, None)
    assert "text-to-audio" in model.loaded.layout
    part = f"{prefix}pretransform.model"
    assert read_checkpoint(path, part=part).weights.keys() == inner.state_dict().keys()
    with pytest.raises(CheckpointError, match=r"no key begins with 'vae\.'"):
        read_checkpoint(path, part="vae")


def test_ours_with_both_kinds_of_weights(tmp_path):
    online, averaged = random_model(0), random_model(1)
    content = {"state_dict": prefixed("model.", online), CONFIG_KEY: TINY}
    torch.save({**content, EMA_KEY: dict(averaged.state_dict())}, tmp_path / "last.ckpt")
    assert same(zoo.from_checkpoint(tmp_path / "last.ckpt"), averaged)
    assert same(zoo.from_checkpoint(tmp_path / "last.ckpt", weights="online"), online)
    save_file(online.state_dict(), tmp_path / "a.safetensors", {CONFIG_KEY: json.dumps(TINY)})
    assert same(zoo.from_pretrained(tmp_path / "a.safetensors"), online)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_wrappers_of_torch_are_taken_off(wrapper, tmp_path):
    model = random_model()
    torch.save(prefixed(wrapper, model), tmp_path / "a.pt")
    assert same(zoo.from_config(TINY, checkpoint=tmp_path / "a.pt"), model)


@pytest.mark.parametrize("part", ["encoder", "diffusion"])
def test_a_pretransform_of_ours_is_not_taken_for_a_text_to_audio_model(part, tmp_path):
    state = {f"{part}.layers.0.bias": torch.ones(1), "pretransform.model.a": torch.ones(1)}
    torch.save(state, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").weights.keys() == state.keys()


def renormed(model: nn.Module, kind: str) -> dict[str, torch.Tensor]:
    """The state with kernels as torch's own implementations write them."""
    state = dict(model.state_dict())
    for key in [key for key in state if key.endswith(".weight_g")]:
        stem = key.removesuffix(".weight_g")
        g, v = state.pop(key), state.pop(f"{stem}.weight_v")
        conv = nn.Conv1d(v.shape[1], v.shape[0], v.shape[2], bias=False)
        conv = nn.utils.parametrizations.weight_norm(conv)
        conv.load_state_dict({"weight_g": g, "weight_v": v})
        if kind == "folded":
            nn.utils.parametrize.remove_parametrizations(conv, "weight")
        state |= {f"{stem}.{name}": value.detach() for name, value in conv.state_dict().items()}
    return state


@torch.no_grad()
@pytest.mark.parametrize("kind", ["new", "folded"])
@pytest.mark.parametrize("half", [False, True])
def test_every_form_of_weight_norm(kind, half, tmp_path):
    model, audio = random_model(), torch.randn(1, 2, 64)
    state = renormed(model, kind)
    if half:
        state = {key: value.half() for key, value in state.items()}
    torch.save(state, tmp_path / "a.pt")
    again = zoo.from_config(TINY, checkpoint=tmp_path / "a.pt")
    assert next(again.parameters()).dtype == torch.float32
    close = {"atol": 2e-2, "rtol": 2e-2} if half else {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(again.encode(audio), model.encode(audio), **close)
    latents = model.encode(audio)
    torch.testing.assert_close(again.decode(latents), model.decode(latents), **close)


def test_kernels_become_plain_and_a_kernel_of_zeros_stays_one():
    from zoo.checkpoints.weight_norm import fitted

    conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 5))
    plain = fitted(conv.state_dict(), {"weight", "bias"})
    # Without a name in front, only a key with a dot is a layer's.
    assert plain.keys() == conv.state_dict().keys()
    named = {f"a.{key}": value for key, value in conv.state_dict().items()}
    plain = fitted(named, {"a.weight", "a.bias"})
    torch.testing.assert_close(plain["a.weight"], conv.weight)
    parts = fitted({"a.weight": torch.zeros(2, 3, 4)}, {"a.weight_g", "a.weight_v"})
    folded = fitted(parts, {"a.weight"})
    assert torch.equal(folded["a.weight"], torch.zeros(2, 3, 4))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", ["", "vae"])
def test_diffusers(where, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderOobleck(
        encoder_hidden_size=8,
        downsampling_ratios=[2, 4, 6],
        channel_multiples=[1, 2, 3],
        decoder_channels=6,
        decoder_input_channels=4,
        audio_channels=1,
        sampling_rate=24000,
    ).eval()
    for weight in theirs.parameters():
        weight.add_(0.1 * torch.randn_like(weight))
    theirs.save_pretrained(tmp_path / where)
    ours = zoo.from_pretrained(tmp_path)
    assert ours.loaded.layout == "diffusers AutoencoderOobleck"
    assert (ours.sample_rate, ours.downsampling_ratio, ours.latent_dim) == (24000, 48, 4)
    audio = torch.randn(1, 1, 480)
    mean = theirs.encode(audio).latent_dist.mode()
    torch.testing.assert_close(ours.encode(audio), mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decode(mean), theirs.decode(mean).sample, atol=1e-5, rtol=1e-5)


def test_diffusers_in_full_size_is_the_config_of_stable_audio_2():
    from zoo.checkpoints.diffusers import container
    from zoo.config.load import load_config

    config = container({"_class_name": "AutoencoderOobleck"}, Path("config.json"))
    assert config is not None
    assert load_config(config).model == load_config("oobleck_vae_44k").model
    with pytest.raises(CheckpointError, match="of a AutoencoderKL, not of"):
        container({"_class_name": "AutoencoderKL"}, Path("config.json"))


@pytest.mark.filterwarnings("ignore")
def test_every_key_of_diffusers_in_full_size_has_its_place():
    diffusers = pytest.importorskip("diffusers")
    from zoo.checkpoints.diffusers import to_upstream
    from zoo.checkpoints.weights import check_weights
    from zoo.load import built

    with torch.device("meta"):
        theirs, ours = diffusers.AutoencoderOobleck(), built("oobleck_diffusers_44k")
    assert len(check_weights(ours, to_upstream(theirs.state_dict()), "file").matched) == 365


@pytest.mark.filterwarnings("ignore")
def test_dac_and_audiocraft_by_their_content(tmp_path):
    from tests.checkpoints.test_audiocraft import exported
    from tests.checkpoints.test_published import SIZES, small_dac

    small_dac(tmp_path / "any.bin")
    model = zoo.from_pretrained(tmp_path / "any.bin")
    assert (model.loaded.layout, model.sample_rate) == ("descript-audio-codec", 16000)
    assert model.bottleneck.num_quantizers == SIZES["n_codebooks"]
    (tmp_path / "folder").mkdir()
    exported(tmp_path / "folder" / "compression_state_dict.bin")
    model = zoo.from_pretrained(tmp_path / "folder")
    assert (model.loaded.layout, model.downsampling_ratio) == ("audiocraft", 6)


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_upstreams_own_wrapper(tmp_path):
    factory = import_upstream("stable_audio_tools.models.autoencoders")
    wrapper = upstream_training("autoencoders")
    theirs = factory.create_autoencoder_from_config(copy.deepcopy(TINY))
    losses = {
        "spectral": {"type": "mrstft", "config": {"fft_sizes": [64], "hop_sizes": [16],
                     "win_lengths": [64]}, "weights": {"mrstft": 1.0}},
        "time": {"weights": {"l1": 1.0}},
        "bottleneck": {"type": "kl", "weights": {"kl": 1e-4}},
    }  # fmt: skip
    module = wrapper.AutoencoderTrainingWrapper(
        theirs, lr=1e-4, loss_config=losses, sample_rate=16000, use_ema=True,
        ema_copy=factory.create_autoencoder_from_config(copy.deepcopy(TINY)),
    )  # fmt: skip
    torch.save({"state_dict": module.state_dict(), "model_config": TINY}, tmp_path / "a.ckpt")
    assert same(zoo.from_pretrained(tmp_path / "a.ckpt", weights="online"), theirs)
    averaged = module.autoencoder_ema.ema_model
    assert same(zoo.from_pretrained(tmp_path / "a.ckpt"), averaged)
