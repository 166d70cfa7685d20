"""Files in the layouts that others publish, made here by their own packages."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import zoo
from tests.checkpoints.material import ours, upstreams
from zoo.checkpoints import published
from zoo.checkpoints.published import dac_file, read_audiocraft, read_dac
from zoo.config.published import DAC_SIZES
from zoo.errors import CheckpointError, ConfigError

SIZES = {
    "encoder_dim": 4,
    "encoder_rates": [2, 4],
    "decoder_dim": 16,
    "decoder_rates": [4, 2],
    "n_codebooks": 3,
    "codebook_size": 32,
    "codebook_dim": 4,
    "sample_rate": 16000,
}


def small_dac(path: Path, latent_dim: int | None = None):
    """A small codec of the package, saved at `path`."""
    dac = pytest.importorskip("dac")
    torch.manual_seed(0)
    codec = dac.DAC(**SIZES, latent_dim=latent_dim).eval()
    codec.save(path, package=False)
    return codec


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("build", [upstreams, ours])
@pytest.mark.parametrize("latent_dim", [None, 5])
def test_dac_gives_the_tokens_and_audio_of_the_package(latent_dim, build, tmp_path):
    codec = small_dac(tmp_path / "weights.pth", latent_dim)
    found = read_dac(tmp_path / "weights.pth")
    assert found.config["sample_rate"] == 16000
    assert found.config["model"]["downsampling_ratio"] == 8
    model = build(found)
    audio = torch.randn(2, 1, 160)
    expected, tokens, *_ = codec.encode(audio)
    latents, info = model.encode(audio, return_info=True)
    assert torch.equal(info["codes"], tokens)
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.decode(latents), codec.decode(expected), atol=1e-5, rtol=1e-5)


def around(kind: str, channels: int, ratio: int, **options):
    """A small network behind a published codec."""
    shared = {"strides": [2], "c_mults": [1], "channels": 4, "latent_dim": 3}
    encoder, decoder = {**shared, "in_channels": channels}, {**shared, "out_channels": channels}
    return {
        "sample_rate": 16000,
        "model": {
            "encoder": {"type": "oobleck", "config": encoder},
            "decoder": {"type": "oobleck", "config": {**decoder, "final_tanh": False}},
            "pretransform": {"type": kind, "config": options},
            "latent_dim": 3,
            "downsampling_ratio": 2 * ratio,
            "io_channels": 1,
        },
    }


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_a_published_codec_as_a_pretransform_has_its_weights(tmp_path, monkeypatch):
    codec = small_dac(tmp_path / "weights.pth")
    monkeypatch.setitem(DAC_SIZES, ("16khz", "8kbps"), SIZES)  # type: ignore[arg-type]
    monkeypatch.setattr("zoo.load.dac_file", lambda *given: tmp_path / "weights.pth")
    config = around("dac_pretrained", 16, 8, model_type="16khz", scale=2.0)
    model = zoo.from_config(config)
    audio = torch.randn(2, 1, 160)
    torch.testing.assert_close(
        model.pretransform.encode(audio), codec.encoder(audio) / 2, atol=1e-5, rtol=1e-5
    )
    expected, tokens, *_ = codec.encode(audio)
    assert torch.equal(model.pretransform.tokenize(audio), tokens)
    torch.testing.assert_close(
        model.pretransform.decode(model.pretransform.encode(audio)),
        codec.decode(expected),
        atol=1e-5,
        rtol=1e-5,
    )
    latents = model.encode(audio)
    torch.testing.assert_close(model.encode_audio(audio, chunked=True, chunk_size=3), latents)

    # What was trained around it brings those weights along.
    torch.save(model.state_dict(), tmp_path / "model.ckpt")
    monkeypatch.setattr("zoo.load.dac_file", lambda *given: pytest.fail("read"))
    again = zoo.from_config(config, checkpoint=tmp_path / "model.ckpt")
    torch.testing.assert_close(again.encode(audio), latents)
    with pytest.raises(ConfigError, match=r"pretransform.type: 'dac_pretrained' needs another"):
        zoo.from_config(config, engine="stable-audio-tools")


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"sample_rate": 44100}, "config.model_type", "made for 16000 Hz, but sample_rate"),
        ({"io_channels": 2}, "type", "is mono, but model.io_channels is 2"),
        ({"model_bitrate": "16kbps"}, "config.model_bitrate", "exists for 44khz only"),
    ],
)
def test_what_does_not_fit_a_published_codec_is_named(change, path, words):
    config = around("dac_pretrained", 1024, 320, model_type="16khz")
    for part in (config, config["model"], config["model"]["pretransform"]["config"]):
        part |= {key: change[key] for key in change if key in part or key == "model_bitrate"}
    for part in (config, config["model"]):
        part.pop("model_bitrate", None)
    with pytest.raises(ConfigError) as error:
        zoo.from_config(config)
    problems = {problem.path: problem.message for problem in error.value.problems}
    assert words in problems[f"model.pretransform.{path}"]


def test_published_codecs_are_built_in_full():
    from zoo.factory import create_model_from_config

    for kind, channels, ratio, options in (
        ("dac_pretrained", 1024, 320, {"model_type": "16khz"}),
        ("audiocraft_pretrained", 128, 320, {"model_type": "facebook/audiogen-medium"}),
    ):
        with torch.device("meta"):
            model = create_model_from_config(around(kind, channels, ratio, **options))
        assert model.pretransform.encoded_channels == channels
        assert not any(weight.requires_grad for weight in model.pretransform.parameters())


@pytest.mark.parametrize("read", [read_dac, read_audiocraft])
def test_other_files_are_refused(read, tmp_path):
    path = tmp_path / "file.bin"
    torch.save({"state_dict": {"a": torch.ones(1)}, "metadata": {"kwargs": {}}, "xp.cfg": 1}, path)
    with pytest.raises(CheckpointError, match=r"file\.bin: not a"):
        read(path)
    torch.save({"pretrained": "facebook/encodec_32khz"}, path)
    with pytest.raises(
        CheckpointError, match=r"file\.bin: (not a|holds no weights.*encodec_32khz)"
    ):
        read(path)
    path.write_bytes(random.Random(0).randbytes(300))
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        read(path)
    torch.save({"state_dict": random.Random(0), "metadata": {}}, path)
    with pytest.raises(CheckpointError, match="holds code"):
        read(path)


@pytest.mark.parametrize("given", list(published._DAC_FILES))
def test_without_a_network_the_error_says_what_to_put_where(given, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as error:
        dac_file(*given)
    words = str(error.value).split()
    path = Path(words[-1])
    assert words[words.index("download") + 1].startswith("https://github.com/descriptinc/")
    assert not path.exists()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert dac_file(*given) == path


def test_a_download_that_fails_is_told_with_its_reason(tmp_path, monkeypatch):
    def fail(url, path, sha256):
        raise OSError("no route to host")

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("zoo.checkpoints.download.download", fail)
    with pytest.raises(CheckpointError, match="no route to host"):
        dac_file("44khz", "8kbps")
