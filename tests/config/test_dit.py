"""What a diffusion transformer's config derives, accepts and refuses."""

from __future__ import annotations

import inspect
import random
import re

import pytest
import torch

from tests.nets.diffusion.examples_dit import random_dit_diffusion
from tests.oracle import import_upstream
from zoo.config.dit import DiTConfig, DiTParameters
from zoo.config.problems import validate
from zoo.config.transformer import AttentionParameters, FeedForwardParameters, NormParameters
from zoo.errors import ConfigError
from zoo.interop import quiet
from zoo.nets.diffusion.dit import DiTWrapper

FUZZED = 250
SOUND = {"embed_dim": 64, "num_heads": 2, "depth": 1}


def part(**config):
    return validate(DiTConfig, {"type": "dit", "config": config})


def problems(channels=2, condition=3, **config):
    completed = part(**config).completed(channels, condition)
    return list(completed.contradictions(channels, condition))


def test_what_follows_from_the_model_is_derived():
    given = part(**SOUND)
    assert given.config.io_channels is None
    assert given.objective == "v"
    completed = given.completed(6, 5)
    assert (completed.config.io_channels, completed.config.input_concat_dim) == (6, 5)
    assert completed.config.diffusion_objective == "v"
    assert completed.completed(1, 1) == completed
    assert completed.ratio == 1
    stated = part(**SOUND, io_channels=2, input_concat_dim=0, diffusion_objective="rectified_flow")
    assert stated.completed(2, 3).config.input_concat_dim == 0
    assert stated.completed(2, 3).objective == "rectified_flow"
    assert part(patch_size=7).ratio == 7


def test_options_build_the_network_and_round_trip():
    rng, ran = random.Random(0), 0
    for number in range(50):
        section = random_dit_diffusion(rng, 2, 3, more_conditions=number % 2 == 0)
        completed = validate(DiTConfig, section).completed(2, 3)
        with torch.device("meta"):
            DiTWrapper(**completed.options())
        assert validate(DiTConfig, completed.to_dict()) == completed
        assert "transformer_depth" not in completed.to_dict()["config"]
        ran += 1
    assert ran == 50


def test_transformer_depth_means_depth():
    assert part(transformer_depth=5).config.depth == 5
    with pytest.raises(ConfigError, match=r"config: both depth \(3\) and transformer_depth \(4\)"):
        part(depth=3, transformer_depth=4)
    with pytest.raises(ConfigError, match=r"config\.transformer_depth: must be a valid integer"):
        part(transformer_depth="many")


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"io_channels": 3}, "config.io_channels", "3, but the audio it denoises has 2"),
        ({"input_concat_dim": 0}, "config.input_concat_dim", "0, but the condition .* has 3"),
        ({"num_heads": 4}, "config.num_heads", "4 heads for 64 .* 16 wide, .* at least 32"),
        ({"embed_dim": 100, "num_heads": 3}, "config.num_heads", "33 wide, which must divide 100"),
        (
            {"num_heads": 65, "rotary_pos_emb": False},
            "config.num_heads",
            "each 0 wide, which must divide 64",
        ),
        (
            {"timestep_cond_type": "input_concat"},
            "config.timestep_embed_dim",
            "not given, but timestep_cond_type 'input_concat'",
        ),
        (
            {"use_sinusoidal_emb": True, "embed_dim": 65, "num_heads": 1},
            "config.embed_dim",
            "65, but use_sinusoidal_emb",
        ),
        (
            {"ff_kwargs": {"use_conv": True, "conv_kernel_size": 4}},
            "config.ff_kwargs.conv_kernel_size",
            "4, but an even kernel",
        ),
        ({"ff_kwargs": {"mult": 0.01}}, "config.ff_kwargs.mult", "0.01 x 64 .* at least 0.0156"),
        ({"ff_kwargs": {"dim_out": 65}}, "config.ff_kwargs.dim_out", "65, but the output"),
        (
            {"attn_kwargs": {"dim_context": 65}},
            "config.attn_kwargs.dim_context",
            "65, but self-attention",
        ),
        (
            {"attn_kwargs": {"dim_context": 64}, "cond_token_dim": 3},
            "config.attn_kwargs.dim_context",
            "64, but with cross-attention",
        ),
    ],
)
def test_each_contradiction_is_refused_by_name(change, path, words):
    (problem,) = problems(**SOUND | change)
    assert problem.path == path
    assert re.search(words, problem.message), problem.message


def test_every_contradiction_at_once():
    found = problems(
        **SOUND | {"num_heads": 4, "io_channels": 9, "timestep_cond_type": "input_concat"},
        ff_kwargs={"use_conv": True, "conv_kernel_size": 2},
    )
    assert [problem.path for problem in found] == [
        "config.io_channels",
        "config.timestep_embed_dim",
        "config.num_heads",
        "config.ff_kwargs.conv_kernel_size",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_head": 2}, "config.num_head: unknown key; did you mean 'num_heads'"),
        ({"attn_kwargs": {"qknorm": "ln"}}, "qknorm: unknown key; did you mean 'qk_norm'"),
        ({"attn_kwargs": {"causal": True}}, "config.attn_kwargs.causal: unknown key"),
        ({"depth": -1}, "config.depth"),
        ({"embed_dim": 0}, "config.embed_dim"),
        ({"global_cond_type": "adaln"}, "did you mean 'adaLN'"),
        ({"transformer_type": "x-transformers"}, "config.transformer_type: unknown value"),
        ({"sliding_window": [3]}, "config.sliding_window"),
        ({"norm_kwargs": {"eps": -1}}, "config.norm_kwargs.eps"),
    ],
)
def test_what_no_network_can_be_built_from_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        part(**SOUND | change)


def test_defaults_are_upstreams():
    transformer = import_upstream("stable_audio_tools.models.transformer")
    dit = import_upstream("stable_audio_tools.models.dit").DiffusionTransformer
    from_the_model = {"io_channels", "input_concat_dim", "diffusion_objective"}
    # What the network itself passes on to its parts, so that a config can't.
    stack = {"dim", "dim_in", "dim_out", "dim_heads", "cross_attend", "dim_context", "layer_ix"}
    attention = {"dim", "dim_heads", "causal", "zero_init_output"}
    network = (transformer.TransformerBlock, transformer.ContinuousTransformer, dit)
    compared = 0
    for parameters, classes, passed in (
        (DiTParameters, network, stack),
        (AttentionParameters, (transformer.Attention,), attention),
        (FeedForwardParameters, (transformer.FeedForward,), {"dim", "zero_init_output"}),
        (NormParameters, (transformer.LayerNorm,), {"dim"}),
    ):
        theirs = {}
        for cls in classes:
            signature = inspect.signature(cls.__init__).parameters
            theirs |= {name: parameter.default for name, parameter in signature.items()}
        names = theirs.keys() - passed - {"self", "kwargs"}
        assert names == set(parameters.model_fields)
        ours = parameters().model_dump()
        for name in names - from_the_model:
            if name.endswith("_kwargs"):
                assert theirs[name] == {}
            else:
                assert ours.get(name) == theirs[name], name
                compared += 1
    assert compared > 35


def anything(rng):
    """A config of any kind, many of which can't work."""
    config = random_dit_diffusion(rng, 2, 3)["config"]
    config["sliding_window"] = None
    for name, values in (
        ("embed_dim", (24, 33, 64, 66, 96, 100)),
        ("num_heads", (1, 2, 3, 7, 40)),
        ("rotary_pos_emb", (True, False)),
        ("use_sinusoidal_emb", (True, False)),
        ("use_abs_pos_emb", (True, False)),
        ("io_channels", (2, 2, 2, 2, 3)),
        ("input_concat_dim", (3, 3, 3, 3, 0, 4)),
        ("cond_token_dim", (0, 0, 5)),
        ("project_cond_tokens", (True, False)),
        ("global_cond_dim", (0, 5)),
        ("project_global_cond", (True, False)),
        ("final_cross_attn_ix", (-2, -1, 0, 7)),
        ("timestep_embed_dim", (None, 1)),
    ):
        config[name] = rng.choice(values)
    for name, values in (
        ("dim_out", (None, None, None, config["embed_dim"], 7)),
        ("mult", (1, 2, 2, 0.02)),
        ("conv_kernel_size", (1, 2, 3)),
    ):
        config["ff_kwargs"][name] = rng.choice(values)
    config["attn_kwargs"]["dim_context"] = rng.choice((None, None, None, config["embed_dim"], 64))
    config.pop("transformer_depth", None)
    config["depth"] = rng.choice((0, 1, 1, 2, 2))
    return config


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_accepts_what_upstream_can_run_and_nothing_that_fails_here():
    upstream = import_upstream("stable_audio_tools.models.diffusion").DiTWrapper
    rng, accepted, both = random.Random(0), 0, 0
    for number in range(FUZZED):
        torch.manual_seed(number)
        config = anything(rng)
        completed = part(**config).completed(2, 3)
        found = list(completed.contradictions(2, 3))
        arguments = {
            "x": torch.randn(2, 2, 4 * completed.config.patch_size),
            "t": torch.rand(2),
            "input_concat_cond": torch.randn(2, 3, 2),
        }
        try:
            with quiet():
                expected = upstream(**completed.options())(**arguments)
        except Exception:
            runs = False
        else:
            # Without any width the feed-forward network is a constant.
            runs = expected.shape == arguments["x"].shape
            runs &= int(completed.config.ff_kwargs.mult * completed.config.embed_dim) > 0 or not (
                completed.config.depth
            )
        if not found:
            assert DiTWrapper(**completed.options())(**arguments).shape == arguments["x"].shape
            accepted += 1
            both += runs
        else:
            assert not runs, (found, config)
    assert 40 < both <= accepted < FUZZED - 40
