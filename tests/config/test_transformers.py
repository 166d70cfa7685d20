"""What is refused of the transformers' parameters, and how it is said."""

from __future__ import annotations

import random
from typing import Any

import pytest

import zoo
from tests.examples import random_local_attention, random_taae
from zoo.config.load import load_config
from zoo.errors import ConfigError

TAAE: dict[str, Any] = {
    "channels": 64,
    "c_mults": [1, 2],
    "strides": [2, 4],
    "transformer_depths": [1, 1],
    "latent_dim": 8,
}
LOCAL: dict[str, Any] = {
    "in_channels": 2,
    "out_channels": 8,
    "embed_dims": [12, 24],
    "heads": [2, 3],
    "depths": [1, 1],
    "ratios": [2, 4],
}


def container(kind: str, encoder: dict[str, Any], **model: Any) -> dict[str, Any]:
    """A file with `encoder`, and a decoder of another type."""
    decoder = {"strides": [8], "c_mults": [1], "latent_dim": 8, "channels": 4}
    return {
        "sample_rate": 16000,
        "model": {
            "encoder": {"type": kind, "config": encoder},
            "decoder": {"type": "oobleck", "config": decoder},
            "latent_dim": 8,
            "downsampling_ratio": 8,
            "io_channels": 2,
            **model,
        },
    }


def refusals(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        load_config(data)
    return {problem.path: problem.message for problem in error.value.problems}


@pytest.mark.parametrize(
    ("kind", "sound", "changes", "path", "words"),
    [
        ("taae", TAAE, {"strides": [8]}, "strides", "1 strides, but 2 c_mults"),
        ("taae", TAAE, {"transformer_depths": [1]}, "transformer_depths", "each block"),
        ("taae", TAAE, {"c_mults": [1, 3]}, "c_mults", "3 x 64 channels = 192"),
        ("taae", TAAE, {"strides": [2, 2]}, "strides", "2x2 = 4, but model.downsampling_ratio"),
        ("taae", TAAE, {"latent_dim": 7}, "latent_dim", "7, but must be 8"),
        ("taae", TAAE, {"in_channels": 1}, "in_channels", "1, but must be 2"),
        ("taae", TAAE, {"sliding_window": [3, -2]}, "sliding_window.1", "greater than or equal"),
        ("taae", TAAE, {"sliding_window": [3]}, "sliding_window.1", "missing"),
        ("taae", TAAE, {"sliding_window": [1, 2, 3]}, "sliding_window", "at most 2"),
        ("taae", TAAE, {"sliding_window": 3}, "sliding_window", "must be a valid"),
        ("taae", TAAE, {"sliding_windw": [3, 4]}, "sliding_windw", "did you mean 'sliding_window'"),
        ("taae", TAAE, {"transformer_depths": [1, -1]}, "transformer_depths.1", "greater than"),
        ("local_attn", LOCAL, {"heads": [2]}, "heads", "1 heads, but 2 embed_dims"),
        ("local_attn", LOCAL, {"depths": [1] * 3}, "depths", "3 depths, but 2 embed_dims"),
        ("local_attn", LOCAL, {"ratios": [8]}, "ratios", "each block needs one of each"),
        ("local_attn", LOCAL, {"heads": [2, 5]}, "heads", "5 does not divide"),
        ("local_attn", LOCAL, {"ratios": [2, 2]}, "ratios", "2x2 = 4, but"),
        ("local_attn", LOCAL, {"out_channels": 9}, "out_channels", "9, but must be 8"),
        ("local_attn", LOCAL, {"in_channels": 3}, "in_channels", "3, but must be 2"),
        ("local_attn", LOCAL, {"ff_mult": 0.01}, "ff_mult", "leaves no width"),
        ("local_attn", LOCAL, {"cond_dim": 8}, "cond_dim", "unknown key"),
        ("local_attn", LOCAL, {"cross_attn_cond_dim": 8}, "cross_attn_cond_dim", "unknown key"),
        ("local_attn", LOCAL, {"dim_in": 8}, "dim_in", "unknown key"),
    ],
)
def test_each_fault_is_named(kind, sound, changes, path, words):
    load_config(container(kind, sound))
    problems = refusals(container(kind, {**sound, **changes}))
    assert words in problems[f"model.encoder.config.{path}"]


def test_local_attention_needs_its_channels():
    problems = refusals({"sample_rate": 1, "model": {"encoder": {"type": "local_attn"}}})
    assert problems["model.encoder.config"] == "required, but missing"


def test_a_decoders_latents_are_named_by_its_own_key():
    data = container("taae", TAAE, decoder={"type": "local_attn", "config": {**LOCAL}})
    data["model"]["decoder"]["config"] |= {"in_channels": 7, "out_channels": 3}
    assert set(refusals(data)) == {
        "model.decoder.config.in_channels",
        "model.decoder.config.out_channels",
    }


def test_transformers_deeper_than_zero_alone_bind_the_width():
    load_config(container("taae", {**TAAE, "c_mults": [1, 3], "transformer_depths": [1, 0]}))


def test_configs_survive_a_round_trip():
    for seed in range(20):
        for kind in (random_taae, random_local_attention):
            config = load_config(kind(random.Random(seed)))
            assert load_config(config.to_dict()) == config


def test_every_parameter_is_described_and_null_is_kept():
    window = {"model": {"encoder": {"config": {"sliding_window": None}}}}
    config = load_config(container("taae", {**TAAE, "sliding_window": None}))
    written = config.to_dict()["model"]["encoder"]["config"]
    assert written["sliding_window"] is window["model"]["encoder"]["config"]["sliding_window"]
    for part in (config.model.encoder, load_config(container("local_attn", LOCAL)).model.encoder):
        for name, field in type(part.config).model_fields.items():
            assert field.description, name


def test_the_shipped_config_has_the_size_that_the_docs_say():
    import torch

    with torch.device("meta"):
        model = zoo.from_config("taae_44k")
    assert 120e6 < sum(weight.numel() for weight in model.parameters()) < 130e6
    assert model.latent_dim == 64
