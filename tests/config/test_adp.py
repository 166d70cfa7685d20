"""The config of the U-Net of audio-diffusion-pytorch: what it derives, refuses and accepts."""

from __future__ import annotations

import inspect
import random

import pytest
import torch

from tests.nets.diffusion.examples_adp import random_adp_1d_diffusion
from tests.oracle import import_upstream
from zoo.config.adp import ADP1DConfig, ADP1DParameters
from zoo.config.problems import validate
from zoo.errors import ConfigError
from zoo.nets.diffusion.adp import UNet1d, UNet1DCondWrapper

CHANGED = 300

SOUND = {
    "channels": 32,
    "multipliers": [1, 2, 2],
    "factors": [2, 3],
    "num_blocks": [1, 1],
    "attentions": [0, 0, 1],
    "attention_heads": 2,
    "attention_multiplier": 2,
}
SPECTRAL = {
    "use_stft": True,
    "use_stft_context": True,
    "stft_num_fft": 15,
    "stft_hop_length": 4,
}


def completed(**changes):
    config = {key: value for key, value in (SOUND | changes).items() if value != "absent"}
    return validate(ADP1DConfig, {"type": "adp_1d", "config": config}).completed(2, 8)


def paths(part):
    return [problem.path for problem in part.contradictions(2, 8)]


def test_what_follows_from_the_model_is_derived():
    part = completed()
    assert part.config.in_channels == 2
    assert part.config.context_channels == (8,)
    assert part.completed(5, 6) == part
    assert paths(part) == []
    given = completed(in_channels=3, context_channels=[4])
    assert (given.config.in_channels, given.config.context_channels) == (3, (4,))
    assert given.objective == "v"
    assert completed(diffusion_objective="rectified_flow").objective == "rectified_flow"
    # An empty list means no condition, which isn't the same as no list.
    assert completed(context_channels=[]).config.context_channels == ()


def test_options_are_the_constructors():
    part = completed(diffusion_objective="v", **SPECTRAL, stft_length=64)
    assert paths(part) == []
    known = set(inspect.signature(UNet1d.__init__).parameters)
    assert set(part.options()) <= known
    assert known - {"self"} == set(ADP1DParameters.model_fields) - {
        "diffusion_objective",
        "stft_length",
    }
    UNet1DCondWrapper(**part.options())


def test_ratio_is_that_of_the_lowest_rate():
    assert completed().ratio == 6
    assert completed(patch_size=4).ratio == 24
    assert completed(**SPECTRAL).ratio == 24
    assert completed(**SPECTRAL | {"stft_hop_length": "absent"}).ratio == 6 * 256
    assert completed(stft_hop_length=4).ratio == 6


def test_defaults_are_upstreams():
    module = import_upstream("stable_audio_tools.models.adp")
    theirs = inspect.signature(module.UNet1d.__init__).parameters
    ours = inspect.signature(UNet1d.__init__).parameters
    compared = 0
    for name, parameter in theirs.items():
        if name in ("self", "kwargs"):
            continue
        field = ADP1DParameters.model_fields[name]
        assert ours[name].default == parameter.default
        if name == "in_channels":
            continue
        if parameter.default is inspect.Parameter.empty:
            assert field.is_required()
        else:
            assert field.default == parameter.default
        compared += 1
    assert compared == 18
    stft = inspect.signature(module.STFT.__init__).parameters
    for name in ("hop_length", "window_length", "use_complex"):
        assert ours[f"stft_{name}"].default == stft[name].default


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"in_channels": 3}, ["in_channels"]),
        ({"out_channels": 3}, ["out_channels"]),
        ({"factors": [2]}, ["factors"]),
        ({"num_blocks": [1, 1, 1]}, ["num_blocks"]),
        ({"attentions": [1]}, ["attentions"]),
        ({"multipliers": [1, 2]}, ["factors", "num_blocks"]),
        ({"kernel_multiplier_downsample": 3}, ["kernel_multiplier_downsample"]),
        ({"kernel_multiplier_downsample": 0}, ["kernel_multiplier_downsample"]),
        ({"channels": 33, "attentions": [0] * 3, "resnet_groups": 3}, ["channels"]),
        ({"patch_size": 3}, ["patch_size"]),
        ({"resnet_groups": 6}, ["resnet_groups"]),
        ({"channels": 20, "resnet_groups": 4}, ["attentions"]),
        ({"attention_heads": "absent"}, ["attention_heads"]),
        ({"attention_heads": 65}, ["attention_heads"]),
        ({"attention_heads": "absent", "attention_features": 65}, ["attention_features"]),
        ({"attention_multiplier": "absent"}, ["attention_multiplier"]),
        ({"context_embedding_features": 8}, ["context_embedding_features"]),
        ({"context_features": 8}, ["context_features"]),
        ({"context_channels": [7]}, ["context_channels"]),
        ({"context_channels": []}, ["context_channels"]),
        ({"context_channels": [8, 8]}, ["context_channels"]),
        ({"context_channels": [0, 8]}, ["context_channels"]),
        ({"context_channels": [0, 0, 0, 8]}, ["context_channels"]),
        ({"context_channels": [0, 8], "factors": [1, 2], "num_blocks": [0, 1]}, ["num_blocks"]),
        ({"context_channels": [0, 8], "factors": [1, 2], "resnet_groups": 64}, ["resnet_groups"]),
        ({"use_stft_context": True}, ["use_stft_context"]),
        ({"stft_num_fft": 63, "stft_use_complex": False}, ["stft_num_fft", "stft_use_complex"]),
        ({"use_stft": True, "use_stft_context": True}, ["stft_num_fft"]),
        ({**SPECTRAL, "use_stft_context": False}, ["use_stft_context"]),
        ({**SPECTRAL, "stft_window_length": 16}, ["stft_window_length"]),
        ({**SPECTRAL, "stft_hop_length": 6}, ["stft_hop_length"]),
        ({**SPECTRAL, "stft_hop_length": "absent"}, ["stft_hop_length"]),
        ({"in_channels": 1, "patch_size": 5, "factors": [2]}, ["in_channels", "factors",
                                                               "patch_size"]),
    ],
)  # fmt: skip
def test_contradictions_are_named(changes, expected):
    part = completed(**changes)
    assert paths(part) == [f"config.{name}" for name in expected]


@pytest.mark.parametrize(
    "changes",
    [
        {"attentions": [0, 1]},
        {"attentions": [1, 0, 7, 0]},
        {"attention_heads": 64},
        {"attention_features": 100},
        {"attentions": [0, 0, 0], "attention_heads": "absent", "attention_multiplier": "absent"},
        {"attentions": [0, 0, 0], "context_embedding_features": 8},
        {"context_embedding_features": 0},
        {"multipliers": [2], "factors": [], "num_blocks": [], "attentions": [1]},
        {"context_channels": [8, 0, 0, 5]},
        {"context_channels": [0, 8], "factors": [1, 2]},
        {"kernel_multiplier_downsample": 0, "factors": [1, 1]},
        {"num_blocks": [0, 0]},
        {"use_context_time": False, "channels": 33, "resnet_groups": 11, "attentions": [0, 0]},
        {"num_blocks": [0, 1], "multipliers": [3, 1, 2], "resnet_groups": 64},
    ],
)
@torch.no_grad()
def test_what_upstream_runs_is_accepted(changes):
    part = completed(**changes)
    assert paths(part) == []
    x = torch.randn(2, 2, 2 * part.ratio)
    theirs = import_upstream("stable_audio_tools.models.diffusion").UNet1DCondWrapper
    for network in (UNet1DCondWrapper, theirs):
        assert network(**part.options())(x, torch.rand(2), torch.randn(2, 8, 2)).shape == x.shape


def changed(rng, config):
    """One or two keys of a sound config, set to anything that the schema takes."""

    def numbers(low, high):
        return [rng.randint(low, high) for _ in range(rng.randint(0, 4))]

    choices = {
        "in_channels": lambda: rng.randint(1, 3),
        "channels": lambda: rng.choice((1, 5, 6, 16, 31, 32, 64)),
        "multipliers": lambda: [rng.randint(1, 3), *numbers(1, 3)],
        "factors": lambda: numbers(1, 4),
        "num_blocks": lambda: numbers(0, 2),
        "attentions": lambda: [rng.randint(0, 1), *numbers(0, 1)],
        "patch_size": lambda: rng.randint(1, 7),
        "resnet_groups": lambda: rng.choice((1, 2, 3, 5, 8, 64)),
        "use_context_time": lambda: rng.random() < 0.5,
        "kernel_multiplier_downsample": lambda: rng.randint(0, 4),
        "use_stft_context": lambda: rng.random() < 0.5,
        "context_features": lambda: rng.randint(1, 3),
        "context_embedding_features": lambda: rng.randint(0, 3),
        "context_channels": lambda: [*rng.choice(([3], [3], [0, 3], [])), *numbers(0, 1)],
        "attention_heads": lambda: rng.choice((None, 1, 5, 40)),
        "attention_features": lambda: rng.choice((None, 1, 5, 40)),
        "attention_multiplier": lambda: rng.choice((None, 1, 2)),
        "stft_num_fft": lambda: 5,
    }
    for key in rng.sample(list(choices), rng.randint(1, 2)):
        config[key] = choices[key]()


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@torch.no_grad()
def test_accepts_what_upstream_runs_and_nothing_else():
    theirs = import_upstream("stable_audio_tools.models.diffusion").UNet1DCondWrapper
    rng, ran, accepted = random.Random(0), 0, 0
    while ran < CHANGED:
        torch.manual_seed(ran)
        section = random_adp_1d_diffusion(rng, 2, 3)
        section["config"] |= {"in_channels": 2}
        changed(rng, section["config"])
        part = validate(ADP1DConfig, section).completed(2, 3)
        x, t, condition = torch.randn(2, 2, 2 * part.ratio), torch.rand(2), torch.randn(2, 3, 2)
        problems = list(part.contradictions(2, 3))
        used = part.config.context_channels[: len(part.config.multipliers)]
        try:
            runs = theirs(**part.options())(x, t, input_concat_cond=condition).shape == x.shape
        except (AssertionError, AttributeError, IndexError, RuntimeError, ValueError,
                ZeroDivisionError):  # fmt: skip
            runs = False
        if runs and not any(used):
            # Upstream's network then doesn't see the condition.
            assert "config.context_channels" in [problem.path for problem in problems]
        else:
            assert runs == (not problems), (section, problems)
        if not problems:
            assert UNet1DCondWrapper(**part.options())(x, t, condition).shape == x.shape
            accepted += 1
        ran += 1
    assert ran == CHANGED
    assert 50 < accepted < 250


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factor": [2, 2]}, "factors"),
        ({"channels": 0}, "config.channels"),
        ({"multipliers": []}, "config.multipliers"),
        ({"attentions": []}, "config.attentions"),
        ({"factors": [2, 0]}, "config.factors"),
        ({"num_blocks": [1, -1]}, "config.num_blocks"),
        ({"patch_size": True}, "config.patch_size"),
        ({"diffusion_objective": "x"}, "rf_denoiser"),
        ({"channels": "absent"}, "config.channels"),
    ],
)
def test_the_schema_refuses(changes, message):
    with pytest.raises(ConfigError, match=message):
        completed(**changes)
