"""What a diffusion autoencoder's config derives, accepts and gives upstream."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from tests.config.small_diffusion import (
    AROUND,
    DECODING,
    NO_ENCODER,
    NO_ENCODER_AROUND,
    changed,
    config,
)
from tests.diffusion_examples import NETWORKS, random_diffusion_autoencoder
from tests.oracle import import_upstream
from zoo import factory
from zoo.config.load import load_config
from zoo.errors import ConfigError
from zoo.interop import quiet, upstream_form

ROUND_TRIPS: list[str] = []


@pytest.mark.parametrize(
    ("kind", "derived"),
    [
        ("dit", {"io_channels": 2, "input_concat_dim": 3, "diffusion_objective": "v"}),
        ("adp_1d", {"in_channels": 2, "context_channels": (3,)}),
        ("DAU1d", {"io_channels": 2, "cond_dim": 3}),
    ],
)
def test_what_follows_from_the_rest_is_filled_in(kind, derived):
    loaded = load_config(config(kind))
    assert loaded.model_type == "diffusion_autoencoder"
    assert loaded.model.diffusion.objective == "v"
    for key, value in derived.items():
        assert getattr(loaded.model.diffusion.config, key) == value
        assert load_config(config(kind, **{key: value})) == loaded


def test_transformer_depth_is_written_as_depth():
    both = config(transformer_depth=2)
    with pytest.raises(ConfigError, match=r"both depth \(1\) and transformer_depth \(2\)"):
        load_config(both)
    del both["model"]["diffusion"]["config"]["depth"]
    written = load_config(both).to_dict()["model"]["diffusion"]["config"]
    assert written["depth"] == 2
    assert "transformer_depth" not in written


def test_parts_that_are_null_are_absent():
    nothing = {"model.encoder": None, "model.latent_dim": 2, "model.downsampling_ratio": 1}
    for part in ("decoder", "bottleneck", "pretransform", "sampling"):
        nothing[f"model.{part}"] = None
    loaded = load_config(changed(config(), nothing))
    assert loaded == load_config(changed(config(), NO_ENCODER))
    # upstream: fails on parts that are null.
    assert (
        not {"encoder", "decoder", "bottleneck", "pretransform"} & loaded.to_dict()["model"].keys()
    )


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(NETWORKS)))
def test_a_loaded_config_round_trips(seed, kind):
    written = random_diffusion_autoencoder(random.Random(seed), kind)
    before = copy.deepcopy(written)
    loaded = load_config(written)
    assert written == before
    assert load_config(loaded.to_dict()) == loaded
    assert load_config(loaded) == loaded
    assert loaded.completed() == loaded
    ROUND_TRIPS.append(kind)


def test_how_many_round_trips_ran():
    assert len(ROUND_TRIPS) >= 100
    assert set(ROUND_TRIPS) == set(NETWORKS)


@pytest.mark.parametrize("function", ["create_diffAE_from_config", "create_model_from_config"])
@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_upstreams_names_take_upstreams_dicts(function, kind):
    given_config = {**config(kind), "model_type": "diffusion_autoencoder"}
    before = copy.deepcopy(given_config)
    model = getattr(factory, function)(given_config)
    assert given_config == before
    assert model.config == load_config(given_config)
    assert not model.training
    with torch.no_grad():
        assert model.decode(torch.randn(1, 3, 4), steps=1).shape == (1, 2, 32)


def test_factories_refuse_the_other_kind(tiny):
    with pytest.raises(ConfigError, match="autoencoder is not a diffusion autoencoder"):
        factory.create_diffAE_from_config(tiny)
    with pytest.raises(ConfigError, match="diffusion_autoencoder is not a standard autoencoder"):
        factory.create_autoencoder_from_config(config())


def test_sampling_is_that_of_the_file_else_of_the_objective():
    def decoding(objective: str, **sampling: Any) -> tuple[str, int]:
        base = changed(config(diffusion_objective=objective), {"model.sampling": sampling or None})
        model = factory.create_model_from_config(base)
        assert load_config(base).model.decoding.steps == model.steps
        return model.sampler, model.steps

    assert decoding("v") == decoding("rectified_flow") == ("ddim", 100)
    assert decoding("rf_denoiser") == ("pingpong", 8)
    assert decoding("rf_denoiser", steps=3) == ("pingpong", 3)
    assert decoding("v", sampler="heun") == ("heun", 100)


def inner_form(total: dict[str, Any]) -> dict[str, Any]:
    """The file with ratio and channels inside of the pretransform."""
    return changed(total, {"model.downsampling_ratio": 8, "model.io_channels": 4})


def test_ratio_and_channels_inside_of_a_pretransform_become_those_of_the_audio():
    total = changed(config(), AROUND)
    loaded = load_config(total)
    assert (loaded.model.downsampling_ratio, loaded.model.io_channels) == (16, 2)
    assert load_config(inner_form(total)) == loaded
    assert load_config(changed(total, {"model.io_channels": 4})) == loaded
    assert load_config(changed(total, {"model.downsampling_ratio": 8})) == loaded
    no_encoder = changed(config(), NO_ENCODER_AROUND)
    inner = changed(no_encoder, {"model.downsampling_ratio": 1, "model.io_channels": 4})
    assert load_config(inner) == load_config(no_encoder)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dit", "adp_1d"])
def test_upstream_runs_what_is_written_back(kind):
    autoencoders = import_upstream("stable_audio_tools.models.autoencoders")
    written = upstream_form(load_config(changed(config(kind), AROUND)))
    assert (written["model"]["downsampling_ratio"], written["model"]["io_channels"]) == (8, 4)
    assert load_config(written) == load_config(changed(config(kind), AROUND))
    with quiet():
        theirs = autoencoders.create_diffAE_from_config(written).eval()
        ours = zoo.from_config(written)
        ours.load_state_dict(theirs.state_dict())
        latents = ours.encode(torch.randn(1, 2, 160))
        torch.manual_seed(0)
        expected = theirs.decode(latents, steps=4)
        torch.manual_seed(0)
        noise = torch.randn(1, 4, 80)
    assert latents.shape == (1, 3, 10)
    decoded = ours.decode(latents, steps=4, noise=noise)
    torch.testing.assert_close(decoded, expected, atol=1e-5, rtol=1e-4)
    built = zoo.from_config(changed(config(kind), AROUND), engine="stable-audio-tools")
    assert built.state_dict().keys() == ours.state_dict().keys()


@torch.no_grad()
def test_upstream_builds_random_files_with_a_pretransform():
    rng, ran = random.Random(0), 0
    while ran < 20:
        kind = rng.choice(("dit", "adp_1d"))
        given_config = random_diffusion_autoencoder(rng, kind, decoder=False, pretransform=True)
        given_config["model"].pop("sampling", None)
        try:
            theirs = zoo.from_config(given_config, engine="stable-audio-tools")
        except ConfigError:
            continue
        ours = zoo.from_config(given_config)
        ours.load_state_dict(theirs.state_dict())
        assert load_config(upstream_form(ours.config)) == ours.config
        assert theirs.downsampling_ratio == ours.inner_ratio
        assert theirs.io_channels == ours.inner_channels
        ran += 1


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("DAU1d", {}, r"model\.diffusion\.type: upstream can't build a 'DAU1d'"),
        ("dit", DECODING, r"model\.decoder: upstream can't decode with one"),
        (
            "dit",
            {"model.diffusion.config.diffusion_objective": "rectified_flow"},
            r"model\.diffusion\.config\.diffusion_objective: 'rectified_flow', but upstream",
        ),
        (
            "dit",
            {"model.sampling": {"sampler": "heun"}},
            r"model\.sampling\.sampler: 'heun', but upstream decodes with 'ddim' alone",
        ),
        (
            "adp_1d",
            {"model.diffusion.config.diffusion_objective": "v"},
            r"model\.diffusion\.config\.diffusion_objective: no such key upstream",
        ),
    ],
)
def test_the_engine_of_upstream_refuses_what_it_has_not(kind, change, message):
    chosen = changed(config(kind), change)
    load_config(chosen)
    with pytest.raises(ConfigError, match=message):
        zoo.from_config(chosen, engine="stable-audio-tools")
