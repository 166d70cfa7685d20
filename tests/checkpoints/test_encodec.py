"""Weight files of EnCodec, of its own package and of transformers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import zoo
from zoo.errors import CheckpointError

SMALL = {"dimension": 8, "n_filters": 4, "ratios": [3, 2], "lstm": 1}


def small_encodec(**options: Any):
    """A small codec of the package, with codes."""
    pytest.importorskip("encodec")
    from encodec.model import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    torch.manual_seed(0)
    networks = [kind(**SMALL, **options) for kind in (SEANetEncoder, SEANetDecoder)]
    quantizer = ResidualVectorQuantizer(dimension=8, n_q=3, bins=16)
    for layer in quantizer.vq.layers:
        layer._codebook.embed.normal_()
        layer._codebook.inited.fill_(1)
    return EncodecModel(*networks, quantizer, [2.0], 6000, options["channels"]).eval()


def encodec_config(**options: Any) -> dict[str, Any]:
    from zoo.config.published import audiocraft_autoencoder

    sizes = {"seanet": {**SMALL, **options}, "rvq": {"n_q": 3, "bins": 16}}
    return audiocraft_autoencoder({"sample_rate": 6000, **sizes})


KINDS = (
    {"channels": 1, "causal": True, "norm": "weight_norm"},
    {"channels": 2, "causal": False, "norm": "time_group_norm"},
    {"channels": 1, "causal": False, "norm": "weight_norm", "true_skip": True},
)


@torch.no_grad()
def equals_encodec(model, theirs) -> None:
    audio = torch.randn(2, theirs.channels, 120)
    encoded = theirs.encoder(audio)
    tokens = theirs.quantizer.vq.encode(encoded, n_q=3)
    expected = theirs.quantizer.vq.decode(tokens)
    latents, info = model.encode(audio, return_info=True)
    assert torch.equal(info["quantizer_indices"], tokens.transpose(0, 1))
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        model.decode(latents), theirs.decoder(expected), atol=1e-5, rtol=1e-5
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", KINDS, ids=lambda given: given["norm"])
def test_encodec(options, tmp_path):
    theirs = small_encodec(**options)
    torch.save(theirs.state_dict(), tmp_path / "codec.th")
    model = zoo.from_config(encodec_config(**options), checkpoint=tmp_path / "codec.th")
    assert model.loaded.layout == "encodec"
    equals_encodec(model, theirs)
    with pytest.raises(CheckpointError, match="holds no config"):
        zoo.from_pretrained(tmp_path / "codec.th")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["encodec_24k", "encodec_48k"])
def test_published_encodecs_are_known_by_their_shapes(name, tmp_path):
    encodec = pytest.importorskip("encodec")
    build = getattr(encodec.EncodecModel, f"encodec_model_{name[-3:]}hz")
    theirs = build(pretrained=False)
    torch.save(theirs.state_dict(), tmp_path / "codec.th")
    model = zoo.from_pretrained(tmp_path / "codec.th")
    assert model.config.model == zoo.config.load.load_config(name).model
    assert (model.sample_rate, model.in_channels) == (theirs.sample_rate, theirs.channels)
    assert model.loaded.complete
    assert model.bottleneck.num_quantizers == theirs.quantizer.n_q
    audio = torch.randn(1, theirs.channels, 3200)
    with torch.no_grad():
        encoded = model.encoder(audio)
        torch.testing.assert_close(encoded, theirs.encoder(audio), atol=1e-5, rtol=1e-5)


# Keys of transformers' EncodecModel, as patterns of those of the package that it converts.
TRANSFORMERS = (
    (r"quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
    (r"(en|de)coder\.model\.(\d+)\.lstm\.", r"\1coder.layers.\2.lstm."),
    (r"decoder\.model\.(\d+)\.convtr\.convtr\.", r"decoder.layers.\1.conv."),
    (r"decoder\.model\.(\d+)\.convtr\.norm\.", r"decoder.layers.\1.norm."),
    (r"(en|de)coder\.model\.([\w.]+)\.conv\.conv\.", r"\1coder.layers.\2.conv."),
    (r"(en|de)coder\.model\.([\w.]+)\.conv\.norm\.", r"\1coder.layers.\2.norm."),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", KINDS, ids=lambda given: given["norm"])
def test_transformers_encodec(options, tmp_path):
    theirs = small_encodec(**options)
    renamed = {}
    for key, value in theirs.state_dict().items():
        changes = [re.sub(pattern, new, key) for pattern, new in TRANSFORMERS]
        (changed,) = {change for change in changes if change != key}
        renamed[changed] = value.contiguous()
    save_file(renamed, tmp_path / "model.safetensors")
    config = {
        "model_type": "encodec",
        "audio_channels": options["channels"],
        "sampling_rate": 6000,
        "hidden_size": 8,
        "num_filters": 4,
        "num_lstm_layers": 1,
        "upsampling_ratios": [3, 2],
        "norm_type": options["norm"],
        "use_causal_conv": options["causal"],
        "use_conv_shortcut": not options.get("true_skip"),
        "codebook_size": 16,
        # 3 quantizers of 10 bits, 1000 times a second.
        "target_bandwidths": [10.0, 30.0],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = zoo.from_pretrained(tmp_path)
    assert model.loaded.layout == "transformers EnCodec"
    equals_encodec(model, theirs)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(CheckpointError, match="of a 'bert', not of an EnCodec"):
        zoo.from_pretrained(tmp_path)
