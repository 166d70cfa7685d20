"""The SEANet networks against upstream's."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import get_args

import pytest
import torch
from torch import nn

import zoo
from tests.examples import random_seanet
from zoo.config.decoders import SeanetDecoderParameters
from zoo.config.encoders import SeanetEncoderParameters
from zoo.config.library import folder
from zoo.config.seanet import Activation
from zoo.factory import create_decoder_from_config, create_encoder_from_config
from zoo.nets.activations import POINTWISE, pointwise
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.padded_conv import ChannelNorm, padded
from zoo.nets.seanet import SeanetDecoder, SeanetEncoder
from zoo.nets.span import input_span

CONFIGS = 80

MUSICGEN = json.loads((folder("configs") / "encodec_musicgen_32k.json").read_text())


def pair(config):
    """Upstream's model and ours with its weights, their singular values found if need be."""
    theirs = zoo.from_config(config, engine="stable-audio-tools")
    if config["model"]["encoder"]["config"]["norm"] == "spectral_norm":
        theirs.train()
        with torch.no_grad():
            for _ in range(5):
                theirs.encoder(torch.randn(1, theirs.io_channels, 20 * theirs.downsampling_ratio))
                theirs.decoder(torch.randn(1, theirs.latent_dim, 20))
        theirs.eval()
    ours = zoo.from_config(config)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@torch.no_grad()
def test_random_configs_equal_upstream():
    rng, ran = random.Random(0), Counter()
    for seed in range(CONFIGS):
        torch.manual_seed(seed)
        config = random_seanet(rng)
        ours, theirs = pair(config)
        parts = config["model"]["encoder"]["config"]
        frames = rng.randint(1, 10)
        if parts["pad_mode"] == "circular":
            # Upstream can't pad by more than the signal has.
            frames += 20
        audio = torch.randn(2, ours.io_channels, frames * ours.downsampling_ratio)
        torch.testing.assert_close(
            ours.encode(audio, skip_bottleneck=True),
            theirs.encode(audio, skip_bottleneck=True),
            atol=1e-5,
            rtol=1e-5,
        )
        latents = torch.randn(2, ours.latent_dim, frames)
        decoded = ours.decode(latents)
        assert decoded.shape[-1] == frames * ours.downsampling_ratio
        torch.testing.assert_close(decoded, theirs.decode(latents), atol=1e-5, rtol=1e-5)
        # The networks themselves take any length.
        short = audio[..., : max(1, audio.shape[-1] - rng.randint(0, 8))]
        torch.testing.assert_close(ours.encoder(short), theirs.encoder(short), atol=1e-5, rtol=1e-5)
        ran.update([parts["norm"], parts["pad_mode"], f"causal {parts['causal']}"])
        ran.update(["lstm" if parts["lstm"] else "no lstm", "all"])
    assert ran["all"] == CONFIGS >= 50
    assert min(ran.values()) >= 5
    assert len(ran) == 1 + 5 + 4 + 2 + 2


def test_musicgen_has_upstreams_keys_and_counts():
    before = copy.deepcopy(MUSICGEN)
    with torch.device("meta"):
        model = zoo.from_config(MUSICGEN)
        theirs = zoo.from_config(MUSICGEN, engine="stable-audio-tools").state_dict()
        again = zoo.from_config(MUSICGEN).state_dict()
    # upstream: building reverses the ratios in the config, so that each second build differs.
    assert before == MUSICGEN
    for weights in (theirs, again):
        assert {k: v.shape for k, v in model.state_dict().items()} == {
            k: v.shape for k, v in weights.items()
        }
    assert sum(weight.numel() for weight in model.encoder.parameters()) == 28_792_064
    assert sum(weight.numel() for weight in model.decoder.parameters()) == 24_467_394
    assert sum(weight.numel() for weight in model.parameters()) == 53_259_458
    strides = [layer.stride for layer in model.encoder.layers if getattr(layer, "stride", 1) > 1]
    assert strides == [4, 4, 5, 8]
    assert (model.bottleneck.num_quantizers, model.bottleneck.codebook_size) == (4, 2048)


def test_defaults_of_both_sides_agree():
    encoder, decoder = SeanetEncoderParameters(), SeanetDecoderParameters()
    shared = SeanetEncoderParameters.model_fields
    assert encoder.to_dict() == {key: decoder.to_dict()[key] for key in shared}
    assert encoder.ratios == (8, 5, 4, 2)
    assert encoder.activation_params == {"alpha": 1.0}
    assert SeanetEncoderParameters(activation="ReLU").to_dict()["activation_params"] == {}


@torch.no_grad()
@pytest.mark.parametrize("mode", ["reflect", "constant", "replicate", "circular"])
def test_padding_is_that_of_the_formula_for_any_length(mode):
    for samples in (1, 2, 3, 9):
        x = torch.randn(1, 2, samples)
        for left, right in ((0, 0), (0, 3), (4, 0), (5, 7)):
            whole = padded(x, left, right, mode)
            assert whole.shape[-1] == left + samples + right
            for position in range(-left, samples + right):
                at = {
                    "reflect": abs(position),
                    "constant": position,
                    "replicate": min(max(position, 0), samples - 1),
                    "circular": position % samples,
                }[mode]
                if mode == "reflect" and samples > max(left, right):
                    at = min(at, 2 * (samples - 1) - at)
                if mode == "reflect" and samples <= max(left, right) and position >= samples:
                    # Zeros, and behind them the reflection about the last of these.
                    at = min(position, 2 * max(left, right) - position)
                expected = x[..., at] if 0 <= at < samples else torch.zeros(1, 2)
                assert torch.equal(whole[..., position + left], expected)


@torch.no_grad()
@pytest.mark.parametrize("causal", [False, True])
def test_a_causal_network_sees_nothing_later(causal):
    torch.manual_seed(0)
    encoder = SeanetEncoder(1, 3, 2, ratios=(2, 3), causal=causal, lstm=1)
    decoder = SeanetDecoder(1, 3, 2, ratios=(3, 2), causal=causal, lstm=1)
    for network, x, at, before in (
        (encoder, torch.randn(1, 1, 240), 120, 20),
        (decoder, torch.randn(1, 3, 40), 20, 120),
    ):
        changed = x.clone()
        changed[..., at:] += 1
        same = torch.isclose(network(x), network(changed)).all(1)[0]
        assert bool(same[:before].all()) == causal
        assert not same[before : before + 6].all()


def test_spectral_norm_trains_as_upstreams():
    rng = random.Random(0)
    config = next(
        config
        for config in iter(lambda: random_seanet(rng), None)
        if config["model"]["encoder"]["config"]["norm"] == "spectral_norm"
    )
    ours, theirs = pair(config)
    audio = torch.randn(1, ours.io_channels, 8 * ours.downsampling_ratio)
    for model in (ours.train(), theirs.train()):
        for _ in range(2):
            model.decoder(model.encoder(audio)[:, : ours.latent_dim]).square().sum().backward()
    expected = theirs.state_dict()
    torch.testing.assert_close(ours.state_dict(), expected, atol=1e-5, rtol=1e-5)
    for (name, mine), (other_name, other) in zip(
        sorted(ours.named_parameters()), sorted(theirs.named_parameters()), strict=True
    ):
        assert name == other_name
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-4, rtol=1e-4)


def test_layer_norm_is_over_the_channels_of_each_sample():
    norm = ChannelNorm(4, eps=1e-3).double()
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    x = torch.randn(2, 4, 9, dtype=torch.float64)
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    expected = norm.weight[:, None] * (x - mean) / (variance + 1e-3).sqrt() + norm.bias[:, None]
    torch.testing.assert_close(norm(x), expected)
    config = {"norm": "layer_norm", "n_filters": 2, "lstm": 0, "norm_params": {"eps": 1e-3}}
    encoder = create_encoder_from_config({"type": "seanet", "config": config})
    assert encoder.state_dict()["model.0.conv.norm.weight"].shape == (2,)
    assert encoder(torch.randn(1, 1, 640)).shape == (1, 128, 2)
    assert input_span(encoder, 0, 0)


def test_every_activation_of_the_config_can_be_built():
    names = set(get_args(Activation))
    assert names == {kind.__name__ for kind in POINTWISE}
    for name in names:
        assert isinstance(pointwise(name, {}), getattr(nn, name))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"activation": "ReLU", "activation_params": {"alpha": 1.0}}, "activation_params.alpha"),
        ({"activation": "Softmax"}, "activation"),
        ({"norm": "weight_norm", "norm_params": {"eps": 1e-3}}, "norm_params.eps"),
        ({"norm": "time_group_norm", "norm_params": {"eps": True}}, "norm_params.eps"),
        ({"norm": "time_group_norm", "norm_params": {"affine": 1}}, "norm_params.affine"),
        ({"norm": "time_group_norm", "causal": True}, "norm"),
        ({"norm": "batch_norm"}, "norm"),
        ({"n_filters": 2, "compress": 3}, "compress"),
        ({"pad_mode": "zero"}, "pad_mode"),
        ({"trim_right_ratio": 0.5}, "trim_right_ratio"),
        ({"trim_right_ratio": 1.5, "causal": True}, "trim_right_ratio"),
        ({"final_activation": "Tanh", "final_activation_params": {"x": 1}}, "final_activation_par"),
        ({"rations": [2]}, "rations"),
        ({"lstm": True}, "lstm"),
    ],
)
def test_contradictions_are_named(changes, path):
    config = random_seanet(random.Random(0), finite=True)
    decoder = config["model"]["decoder"]["config"]
    for key in ("final_activation", "final_activation_params", "trim_right_ratio"):
        decoder.pop(key, None)
    decoder.update({"causal": False, "norm": "none"})
    zoo.from_config(config)
    decoder.update(changes)
    with pytest.raises(zoo.ConfigError) as error:
        zoo.from_config(config)
    assert [p.path[: len(path) + 21] for p in error.value.problems] == [
        f"model.decoder.config.{path}"
    ]


def test_widths_ratios_and_channels_are_compared_under_their_own_names():
    config = random_seanet(random.Random(0))
    config["model"].update(latent_dim=99, downsampling_ratio=97, io_channels=98)
    with pytest.raises(zoo.ConfigError) as error:
        zoo.from_config(config)
    assert {problem.path for problem in error.value.problems} == {
        f"model.{part}.config.{key}"
        for part in ("encoder", "decoder")
        for key in ("dimension", "ratios", "channels")
    }


def test_a_step_reaches_every_weight_and_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    config = copy.deepcopy(MUSICGEN)
    for part in ("encoder", "decoder"):
        config["model"][part]["config"].update(n_filters=2, ratios=[2, 3], lstm=1)
    config["model"]["downsampling_ratio"] = 6
    del config["sample_size"]
    plain = zoo.from_config(config).train()
    saving = copy.deepcopy(plain)
    set_checkpointing(saving, True)
    audio = torch.randn(1, plain.io_channels, 12 * plain.downsampling_ratio)
    for model in (plain, saving):
        torch.manual_seed(1)
        model.decode(model.encode(audio)).square().sum().backward()
    for (name, mine), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert mine.grad is not None, name
        assert mine.grad.isfinite().all()
        torch.testing.assert_close(mine.grad, other.grad)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_copies_are_independent_and_compile_without_breaks(norm):
    shared = {"n_filters": 2, "lstm": 0, "norm": norm}
    for create, ratios, given in (
        (create_encoder_from_config, [2, 3], torch.randn(1, 1, 60)),
        (create_decoder_from_config, [3, 2], torch.randn(1, 128, 10)),
    ):
        network = create({"type": "seanet", "config": {**shared, "ratios": ratios}}).eval()
        twin, expected = copy.deepcopy(network), network(given)
        for weight in twin.parameters():
            weight.zero_()
        torch.testing.assert_close(network(given), expected)
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(given), expected)


def test_a_copy_can_be_made_after_a_step():
    model = zoo.from_config(random_seanet(random.Random(11))).train()
    audio = torch.randn(1, model.io_channels, 12 * model.downsampling_ratio)
    model(audio).sum().backward()
    assert copy.deepcopy(model).state_dict().keys() == model.state_dict().keys()
