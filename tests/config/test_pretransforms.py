"""Pretransforms and what is inside them are refused by name."""

from __future__ import annotations

import copy

import pytest

from tests.models.test_pretransform import OVERSAMPLED, PATCHED, PQMF, WAVELET, around, each
from zoo.config.load import load_config
from zoo.config.published import (
    AUDIOCRAFT_SIZES,
    DAC_SIZES,
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.errors import ConfigError
from zoo.factory import create_pretransform_from_config
from zoo.nets.pretransforms.wavelet import WAVELETS

INNER = each()[4]


def refusals(config) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        load_config(config)
    return {problem.path: problem.message for problem in error.value.problems}


def changed(config, path, value):
    config = copy.deepcopy(config)
    part = config
    *keys, last = path.split(".")
    for key in keys:
        part = part[key]
    part[last] = value
    return config


@pytest.mark.parametrize("pretransform", each())
def test_sound_ones_are_accepted_and_come_back_the_same(pretransform, tiny):
    config = load_config(around(pretransform, tiny))
    assert load_config(config.to_dict()) == config
    assert config.model.pretransform.type == pretransform["type"]


@pytest.mark.parametrize(
    ("pretransform", "path", "value", "message"),
    [
        (WAVELET, "config.wavelet", "haar", "unknown value 'haar' (allowed: bior2.2,"),
        (WAVELET, "config.wavelet", "bior2.3", "did you mean 'bior"),
        (WAVELET, "config.levels", -1, "greater than or equal to 0"),
        (WAVELET, "config.level", 2, "unknown key; did you mean 'levels'?"),
        (WAVELET, "type", "wavlet", "did you mean 'wavelet'?"),
        (WAVELET, "config.channels", 1, "1, but model.io_channels is 2"),
        (PATCHED, "config.patchsize", 2, "unknown key; did you mean 'patch_size'?"),
        (PATCHED, "config.oversampling", 0, "greater than 0"),
        (OVERSAMPLED, "config.oversampling", 3, "3 does not divide patch_size 8"),
        (PATCHED, "config.channels", 1, "1, but model.io_channels is 2"),
        (PQMF, "config.num_bands", 0, "greater than 0"),
        (PQMF, "config.attenuation", 1, "greater than or equal to 20"),
        (PQMF, "config.attenuation", True, "must be a number"),
        (PQMF, "config.channels", 1, "1, but model.io_channels is 2"),
        (INNER, "scale", 0, "greater than 0"),
        (INNER, "chunkd", True, "unknown key; did you mean 'chunked'?"),
        (INNER, "config.scale", 2.0, "unknown key"),
        (INNER, "config.io_channels", 1, "1, but model.io_channels is 2"),
        (INNER, "config.in_channels", 1, "1, but model.io_channels is 2"),
        (INNER, "config.encoder.config.stride", 2, "unknown key; did you mean 'strides'?"),
        (INNER, "config.encoder.config.in_channels", 1, "1, but must be 2 for model.pretransform."),
        (INNER, "config.decoder.type", "ooblek", "did you mean 'oobleck'?"),
        (INNER, "config.decoder.config.latent_dim", 99, "for model.pretransform.config.latent_dim"),
        (INNER, "config.pretransform", {"type": "none"}, None),
    ],
)
def test_bad_ones_are_refused_by_name(pretransform, path, value, message, tiny):
    config = around(pretransform, tiny)
    problems = refusals(changed(config, f"model.pretransform.{path}", value))
    key = f"model.pretransform.{path}" + (".type" if isinstance(value, dict) else "")
    assert key in problems
    assert message is None or message in problems[key]


def test_all_problems_of_both_networks_at_once(tiny):
    config = around(INNER, tiny)
    config["model"]["downsampling_ratio"] += 1
    inner = config["model"]["pretransform"]["config"]
    inner["decoder"]["config"]["c_mults"] = [1] * 9
    inner["encoder"]["config"]["latent_dim"] += 1
    assert {
        "model.encoder.config.strides",
        "model.decoder.config.strides",
        "model.pretransform.config.decoder.config.strides",
        "model.pretransform.config.encoder.config.latent_dim",
    } <= set(refusals(config))


def test_a_part_by_itself_is_checked_with_its_own_paths():
    bad = changed(INNER, "config.downsampling_ratio", 1)
    with pytest.raises(ConfigError, match=r"config\.encoder\.config\.strides: .* but config\.down"):
        create_pretransform_from_config(bad, 16000)
    with pytest.raises(ConfigError, match=r"config\.oversampling: 3 does not divide"):
        create_pretransform_from_config(changed(OVERSAMPLED, "config.oversampling", 3), 16000)


def test_folded_samples_and_bands_take_any_number_of_channels(tiny):
    for pretransform in (PATCHED, PQMF):
        config = around(pretransform, tiny)
        config["model"]["in_channels"] = 1
        config["model"]["encoder"]["config"]["in_channels"] = 4
        assert load_config(config).model.in_channels == 1


def test_the_wavelets_are_those_of_the_network():
    for wavelet in WAVELETS:
        config = changed(WAVELET, "config.wavelet", wavelet)
        assert create_pretransform_from_config(config, 16000).encoded_channels == 8


@pytest.mark.parametrize("pretransform", [None, WAVELET])
def test_a_hyperencoder_needs_an_autoencoder_inside(pretransform, tiny):
    config = around(pretransform, tiny) if pretransform else tiny
    assert "model.pretransform" in refusals(config | {"model_type": "hyperencoder"})
    load_config(around(INNER, tiny) | {"model_type": "hyperencoder"})


def test_sizes_of_published_codecs():
    for model_type, bitrate in DAC_SIZES:
        data = {"type": "dac_pretrained", "config": {"model_type": model_type}}
        data["config"]["model_bitrate"] = bitrate
        config = DACPretrainedPretransformConfig.model_validate(data)
        assert config.ratio == (512 if model_type == "44khz" else 320)
        assert config.encoded_channels(1) == (128 if bitrate == "16kbps" else 1024)
        assert not list(config.contradictions())
    config = config.replace(config={"model_type": "16khz", "model_bitrate": "16kbps"})
    assert [problem.path for problem in config.contradictions()] == ["config.model_bitrate"]
    for name in AUDIOCRAFT_SIZES:
        data = {"type": "audiocraft_pretrained", "config": {"model_type": name}}
        config = AudiocraftPretrainedPretransformConfig.model_validate(data)
        assert (config.ratio, config.encoded_channels(1)) in {(640, 128), (320, 128)}
