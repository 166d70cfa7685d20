"""Autoencoders with each quantising bottleneck: tokens, files, copies, training."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch

import zoo
from tests.shrunk import shrunk
from zoo.checkpoints.files import CONFIG_KEY
from zoo.config.load import load_config
from zoo.errors import ConfigError
from zoo.training.build import build_module
from zoo.training.run import train

FSQ: dict[str, Any] = {
    "type": "fsq",
    "config": {"levels": [5, 4, 5, 3], "noise_augment_dim": 2},
}
BOTTLENECKS: list[dict[str, Any]] = [
    {"type": "rvq", "config": {"dim": 4, "codebook_size": 8, "num_quantizers": 3}},
    {"type": "rvq_vae", "config": {"dim": 4, "codebook_size": 8, "num_quantizers": 3}},
    {
        "type": "dac_rvq",
        "config": {
            "input_dim": 4,
            "n_codebooks": 3,
            "codebook_size": 8,
            "codebook_dim": 2,
            "noise_augment_dim": 1,
        },
    },
    {
        "type": "dac_rvq_vae",
        "config": {"input_dim": 4, "n_codebooks": 3, "codebook_size": 8, "codebook_dim": [2, 3, 2]},
    },
    FSQ,
    {"type": "fsq", "config": {"levels": [5, 3], "num_codebooks": 3, "dim": 4}},
    {"type": "dithered_fsq", "config": {"dim": 2, "levels": 5, "num_codebooks": 2}},
    {"type": "softnorm", "config": {"dim": 4, "noise_augment_dim": 1, "noise_regularize": True}},
]
DISCRETE = BOTTLENECKS[:-1]
LOSSES = {
    "rvq": {"quantizer_loss"},
    "rvq_vae": {"quantizer_loss", "kl"},
    "dac_rvq": {"vq/commitment_loss", "vq/codebook_loss"},
    "dac_rvq_vae": {"vq/commitment_loss", "vq/codebook_loss", "kl"},
    "fsq": set(),
    "dithered_fsq": set(),
    "softnorm": {"softnorm_loss"},
}


def with_bottleneck(tiny: dict[str, Any], bottleneck: dict[str, Any]) -> dict[str, Any]:
    model = tiny["model"]
    model["bottleneck"] = copy.deepcopy(bottleneck)
    model["latent_dim"] = 4
    model["encoder"]["config"]["latent_dim"] = 8 if bottleneck["type"].endswith("vae") else 4
    noise = bottleneck["config"].get("noise_augment_dim", 0)
    model["decoder"]["config"]["latent_dim"] = 4 + noise
    return tiny


def named(bottleneck: dict[str, Any]) -> str:
    return bottleneck["type"]


def decoded(model, latents: torch.Tensor, tokens: torch.Tensor) -> list[torch.Tensor]:
    """What latents and tokens decode to, with the same noise."""
    results = []
    for decode, given in ((model.decode, latents), (model.decode_tokens, tokens)):
        torch.manual_seed(1)
        results.append(decode(given))
    return results


@torch.no_grad()
@pytest.mark.parametrize("bottleneck", DISCRETE, ids=named)
def test_tokens_are_all_that_a_decoder_needs(tiny, bottleneck):
    torch.manual_seed(0)
    model = zoo.from_config(with_bottleneck(tiny, bottleneck))
    assert model.is_discrete
    model.train().encode(torch.randn(2, 2, 400))
    audio = torch.randn(3, 2, 400)
    latents, info = model.eval().encode(audio, return_info=True)
    tokens = info[model.bottleneck.tokens_id]
    assert latents.shape == (3, 4, 50)
    assert tokens.shape == (3, model.bottleneck.num_quantizers, 50)
    first, second = decoded(model, latents, tokens)
    assert torch.equal(first, second)
    chunked, info = model.encode_audio(audio, chunked=True, chunk_size=7, return_info=True)
    assert torch.equal(info[model.bottleneck.tokens_id], tokens)
    torch.testing.assert_close(chunked, latents)
    if "fsq" not in bottleneck["type"]:
        latents, info = model.encode(audio, return_info=True, n_quantizers=2)
        assert torch.equal(info[model.bottleneck.tokens_id], tokens[:, :2])
        first, second = decoded(model, latents, tokens[:, :2])
        assert torch.equal(first, second)


@pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=named)
def test_files_and_copies_are_the_same_model(tiny, tmp_path, bottleneck):
    torch.manual_seed(0)
    config = with_bottleneck(tiny, bottleneck)
    model = zoo.from_config(config)
    audio = torch.randn(2, 2, 400)
    model.train()(audio).sum().backward()
    twin = copy.deepcopy(model).eval()
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": model.eval().state_dict(), CONFIG_KEY: model.config.to_dict()}, path)
    json.dumps(model.config.to_dict())
    again = zoo.from_checkpoint(path)
    with torch.no_grad():
        latents = model.encode(audio)
        assert torch.equal(twin.encode(audio), latents)
        assert torch.equal(again.encode(audio), latents)
        model.train().encode(audio)
        assert torch.equal(twin.encode(audio), latents)


@pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=named)
def test_gradients_reach_the_encoder_and_losses_are_weighed(tiny, tmp_path, bottleneck):
    torch.manual_seed(0)
    recipe = shrunk("oobleck", tmp_path)
    tiny = with_bottleneck(tiny, bottleneck)
    parts = {"model": tiny["model"], "sample_rate": tiny["sample_rate"]}
    module = build_module(recipe.replace(**parts, model_type="autoencoder"))
    audio = torch.randn(2, 2, 512)
    reconstruction = module.reconstruct(audio, 0)
    reconstruction.decoded.square().sum().backward()
    for weight in module.model.encoder.parameters():
        assert weight.grad is not None
    assert sum(weight.grad.abs().sum() for weight in module.model.encoder.parameters()) > 0
    losses = module.objective(
        reconstruction.decoded.detach(), reconstruction.reals, reconstruction.info
    )
    bottlenecks = set(losses) & set(module.objective.bottleneck)
    assert bottlenecks == LOSSES[bottleneck["type"]]
    weights = {"vq/commitment_loss": 0.25, "kl": 1e-6}
    for name in bottlenecks:
        assert losses[name].weight == weights.get(name, 1.0)
        assert torch.isfinite(losses[name].value) and losses[name].value > 0


@pytest.mark.parametrize("bottleneck", [DISCRETE[0], DISCRETE[2]], ids=named)
def test_a_run_trains_and_comes_back(tmp_path, bottleneck):
    given = copy.deepcopy(bottleneck)
    given["config"].pop("noise_augment_dim", None)
    recipe = shrunk(
        "oobleck",
        tmp_path,
        f"model.bottleneck={json.dumps(given)}",
        "model.latent_dim=4",
        "model.encoder.config.latent_dim=4",
        "model.decoder.config.latent_dim=4",
    )
    result = train(recipe)
    model = zoo.from_checkpoint(result.folder)
    before = model.state_dict()
    assert any("quantizer" in key for key in before)
    audio = torch.randn(1, model.io_channels, 3 * model.downsampling_ratio)
    with torch.no_grad():
        latents, info = model.encode(audio, return_info=True)
        first, second = decoded(model, latents, info[model.bottleneck.tokens_id])
    assert torch.equal(first, second)


@pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=named)
def test_widths_are_compared_with_the_model(tiny, bottleneck):
    config = with_bottleneck(tiny, bottleneck)
    load_config(config)
    config["model"]["latent_dim"] = 6
    with pytest.raises(ConfigError) as error:
        load_config(config)
    given = bottleneck["config"]
    name = next(key for key in ("dim", "input_dim", "levels") if key in given)
    assert {
        f"model.bottleneck.config.{name}",
        "model.encoder.config.latent_dim",
        "model.decoder.config.latent_dim",
    } == {problem.path for problem in error.value.problems}


@pytest.mark.parametrize("bottleneck", BOTTLENECKS, ids=named)
def test_upstreams_engine_takes_the_same_config_and_weights(tiny, bottleneck):
    config = with_bottleneck(tiny, bottleneck)
    lacking = bottleneck["type"] == "softnorm", bottleneck == FSQ
    if any(lacking):
        with pytest.raises(ConfigError, match=r"model\.bottleneck"):
            zoo.from_config(config, engine="stable-audio-tools")
    if lacking[0]:
        return
    config["model"]["bottleneck"]["config"] |= (
        {"keep_num_codebooks_dim": True} if lacking[1] else {}
    )
    theirs = zoo.from_config(config, engine="stable-audio-tools")
    audio = torch.randn(2, 2, 400)
    theirs.train().encode(audio)
    ours = zoo.from_config(config)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    if bottleneck["type"].endswith("vae"):
        ours.bottleneck.sample_in_eval = True
    torch.manual_seed(0)
    expected = theirs.eval().encode(audio)
    torch.manual_seed(0)
    torch.testing.assert_close(ours.encode(audio), expected, atol=1e-5, rtol=1e-5)
