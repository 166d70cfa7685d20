"""Encoder and decoder as ONNX files and as programs of torch.export."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from tests.checkpoints.test_layouts import random_model
from tests.shrunk import shrunk_autoencoder
from zoo.errors import CheckpointError, ZooError
from zoo.inference.export import onnx as our_onnx
from zoo.inference.export.networks import Side, difference, sides

# Tracing takes its time for every layer.
SMALL: dict[str, Any] = {"c_mults": [1], "strides": [3], "channels": 4, "use_snake": True}
VAE = {
    "sample_rate": 16000,
    "model": {
        "encoder": {"type": "oobleck", "config": {**SMALL, "in_channels": 2, "latent_dim": 6}},
        "decoder": {"type": "oobleck", "config": {**SMALL, "out_channels": 2, "latent_dim": 3}},
        "bottleneck": {"type": "vae"},
        "latent_dim": 3,
        "downsampling_ratio": 3,
        "io_channels": 2,
    },
}


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_onnx_and_programs_compute_what_the_model_does(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = random_model(config=VAE)
    done = zoo.export(model, "onnx", tmp_path / "onnx", title="Mine")
    assert [note.split(":")[0] for note in done.notes] == ["encoder.onnx", "decoder.onnx"]
    assert all("by onnxruntime, differs from the model by at most" in note for note in done.notes)
    programs = zoo.export(model, "torch-export", tmp_path / "programs")
    assert all("reloaded, differs" in note for note in programs.notes)
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "onnx" / f"{side}.onnx")
        for side in ("encoder", "decoder")
    )
    reload = {
        side: torch.export.load(tmp_path / "programs" / f"{side}.pt2").module()
        for side in ("encoder", "decoder")
    }
    for batch, samples in ((1, 100), (4, 31)):
        audio = torch.randn(batch, 2, samples)
        latents = model.encode(audio)
        decoded = model.decode(latents)
        (found,) = encoder.run(None, {"audio": audio.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), latents, atol=1e-4, rtol=1e-4)
        (found,) = decoder.run(None, {"latents": latents.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), decoded, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(reload["encoder"](audio), latents, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(reload["decoder"](latents), decoded, atol=1e-5, rtol=1e-5)
    written = json.loads((tmp_path / "onnx" / "model_config.json").read_text())
    assert written == model.config.to_dict()
    # No places of this machine.
    here = str(Path(zoo.__file__).parent).encode()
    for path in (tmp_path / "onnx", tmp_path / "programs"):
        assert not [file.name for file in path.iterdir() if here in file.read_bytes()]
    # The model itself keeps its form.
    assert model.encoder.layers[0].weight_g is not None
    assert "# Mine" in (tmp_path / "onnx" / "README.md").read_text()


PRETRANSFORMS: dict[str, dict[str, Any]] = {
    "wavelet": {"levels": 2, "wavelet": "bior4.4"},
    "patched": {"patch_size": 4},
}


def with_pretransform(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """`VAE` behind a pretransform of ratio 4."""
    config = copy.deepcopy(VAE)
    part = {"type": kind, "config": {"channels": 2, **options}}
    config["model"] |= {"pretransform": part, "downsampling_ratio": 8}
    config["model"]["encoder"]["config"] |= {"in_channels": 8, "strides": [2]}
    config["model"]["decoder"]["config"] |= {"out_channels": 8, "strides": [2]}
    return config


@pytest.mark.filterwarnings("ignore")
def test_a_filter_bank_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    model = random_model(config=with_pretransform("pqmf", {"num_bands": 4}))
    with pytest.raises(CheckpointError, match=r"torch\.export can't follow the encoder"):
        zoo.export(model, "onnx", tmp_path / "out")


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PRETRANSFORMS)
def test_a_pretransform_is_part_of_the_file(tmp_path, kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = random_model(config=with_pretransform(kind, PRETRANSFORMS[kind]))
    zoo.export(model, "onnx", tmp_path)
    audio = torch.randn(2, 2, 91)
    (found,) = onnxruntime.InferenceSession(tmp_path / "encoder.onnx").run(
        None, {"audio": audio.numpy()}
    )
    latents = model.encode(audio)
    torch.testing.assert_close(torch.from_numpy(found), latents, atol=1e-4, rtol=1e-4)
    (found,) = onnxruntime.InferenceSession(tmp_path / "decoder.onnx").run(
        None, {"latents": latents.numpy()}
    )
    torch.testing.assert_close(torch.from_numpy(found), model.decode(latents), atol=1e-4, rtol=1e-4)


def test_folded_kernels_are_those_of_weight_norm():
    model = random_model(config=VAE)
    (encoder, decoder), audio = sides(model), torch.randn(1, 2, 30)
    with torch.no_grad():
        latents = model.encode(audio)
        torch.testing.assert_close(encoder.network(audio), latents, atol=1e-6, rtol=1e-5)
        expected = model.decode(latents)
        torch.testing.assert_close(decoder.network(latents), expected, atol=1e-6, rtol=1e-5)
    assert not [key for key in encoder.network.state_dict() if key.endswith("weight_g")]


def test_what_differs_is_not_written():
    (side, _), ours = sides(random_model(config=VAE)), random_model(config=VAE)
    with torch.no_grad():
        next(ours.parameters()).add_(0.01)
    with pytest.raises(CheckpointError, match=r"encoder: differs from the model by .*more than 1e"):
        difference(side, ours.encode)
    with pytest.raises(CheckpointError, match=r"encoder: gives \(2, 3, 4\) for"):
        difference(side, lambda audio: ours.encode(audio)[..., :-1])
    with pytest.raises(CheckpointError, match="differs from the model by nan"):
        difference(side, lambda audio: ours.encode(audio) * torch.nan)


class Unfollowable(nn.Module):
    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return audio * float(audio.sum())


def test_what_onnxruntime_cannot_run_is_refused(tmp_path, monkeypatch):
    def runtime(path, side):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda given: session.run(None, {"audio": given[0].numpy()})

    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(our_onnx, "_runtime", runtime)
    with pytest.raises(CheckpointError, match="onnxruntime can't run the encoder of this network"):
        zoo.export(zoo.from_config(VAE), "onnx", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_has_no_such_form_is_refused(tmp_path, monkeypatch):
    from zoo.inference.export.program import traced

    example = torch.ones(2, 1, 5)
    side = Side("encoder", Unfollowable(), "audio", "latents", example, ())
    with pytest.raises(CheckpointError, match=r"torch\.export can't follow the encoder"):
        traced(side)
    diffusion = zoo.from_config(shrunk_autoencoder("dit_example_44k"))
    with pytest.raises(CheckpointError, match="decodes in steps"):
        zoo.export(diffusion, "onnx", tmp_path / "out")
    with pytest.raises(ZooError, match="half precision: not for onnx"):
        zoo.export(diffusion, "onnx", tmp_path / "out", half=True)
    monkeypatch.setattr(our_onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooError, match=r"need onnx and onnxscript: pip install 'zoo\[export\]'"):
        zoo.export(diffusion, "onnx", tmp_path / "out")
    assert not list(tmp_path.iterdir())
