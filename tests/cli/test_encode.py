"""What `zoo encode` keeps of one file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import soundfile
import torch
from safetensors.torch import load_file, save_file

import zoo
from tests.conftest import TINY
from tests.data.material import write_waves


def model_files(bottleneck: dict) -> tuple[str, ...]:
    """Options that name a tiny model with random weights."""
    config = copy.deepcopy(TINY)
    if bottleneck["type"] != "vae":
        config["model"]["encoder"]["config"]["latent_dim"] = 3
    config["model"]["bottleneck"] = bottleneck
    torch.manual_seed(0)
    save_file(zoo.from_config(config).state_dict(), "weights.safetensors")
    Path("tiny.json").write_text(json.dumps(config))
    return "--model", "weights.safetensors", "--config", "tiny.json", "--device", "cpu"


def audio() -> str:
    soundfile.write("a.wav", 0.1 * torch.randn(3001, 2).clamp(-5, 5).numpy(), 16000)
    return "a.wav"


def test_channels_that_are_not_heard_are_told(call):
    model = model_files({"type": "vae"})
    write_waves(Path("six.wav"), 500, 6)
    for command in ("encode", "reconstruct"):
        code, _, err = call(command, "six.wav", *model)
        assert (code, "six.wav: of 6 channels the first 2 are heard" in err) == (0, True)


def test_a_file_that_is_cut_is_told(call):
    model, path = model_files({"type": "vae"}), Path(audio())
    path.write_bytes(path.read_bytes()[:4044])
    for command in ("encode", "reconstruct"):
        code, _, err = call(command, "a.wav", *model)
        assert (code, "a.wav: taken as far as it goes, 0.06 s; its header" in err) == (0, True)


def test_compile_reaches_the_codec(call, monkeypatch):
    model, given = model_files({"type": "vae"}), []
    codec = zoo.Codec

    def made(network, **options):
        given.append(options["compiled"])
        return codec(network, device="cpu")

    monkeypatch.setattr("zoo.inference.codec.Codec", made)
    for options in ((), ("--compile",)):
        assert call("encode", audio(), *model, *options)[0] == 0
    assert given == [False, True]
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, _, err = call("encode", "a.wav", *model, "--compile")
    assert (code, "there is no no-such-compiler" in err) == (2, True)


def test_posterior_and_half_precision(call):
    model = model_files({"type": "vae"})
    code, out, _ = call("encode", audio(), *model, "--posterior", "--half")
    assert (code, "3 x 376 latents of 0.19 s" in out) == (0, True)
    kept = load_file("a.safetensors")
    assert {name: tensor.dtype for name, tensor in kept.items()} == {
        "latents": torch.float16,
        "std": torch.float16,
    }
    assert call("encode", "a.wav", *model, "-o", "whole.safetensors")[0] == 0
    whole = load_file("whole.safetensors")
    assert list(whole) == ["latents"]
    assert torch.equal(whole["latents"].half(), kept["latents"])
    assert call("decode", "a.safetensors", *model)[0] == 0


def test_tokens(call):
    model = model_files({"type": "fsq", "config": {"dim": 3, "levels": [5, 5, 5]}})
    code, out, _ = call("encode", audio(), *model)
    assert (code, "1 x 376 tokens of 0.19 s" in out) == (0, True)
    assert load_file("a.safetensors")["tokens"].dtype == torch.int16
    assert call("decode", "a.safetensors", *model, "-o", "back.wav")[0] == 0
    assert soundfile.info("back.wav").frames == 3001
    code, _, err = call("encode", "a.wav", *model, "--posterior")
    assert (code, "FSQBottleneck; encode without the posterior" in err) == (2, True)
