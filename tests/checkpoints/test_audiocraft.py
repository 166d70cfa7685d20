"""Compression models in the layout of audiocraft, made here by the package encodec."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from tests.checkpoints.material import ours, upstreams
from zoo.checkpoints.published import audiocraft_file, read_audiocraft
from zoo.errors import CheckpointError

SEANET = {
    "dimension": 8,
    "channels": 1,
    "causal": False,
    "n_filters": 4,
    "n_residual_layers": 1,
    "ratios": [3, 2],
    "activation": "ELU",
    "activation_params": {"alpha": 1.0},
    "norm": "weight_norm",
    "norm_params": {},
    "kernel_size": 7,
    "residual_kernel_size": 3,
    "last_kernel_size": 7,
    "dilation_base": 2,
    "pad_mode": "constant",
    "true_skip": True,
    "compress": 2,
    "lstm": 1,
}
DECODER = {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None}
RVQ = {
    "n_q": 3,
    "q_dropout": False,
    "bins": 16,
    "decay": 0.99,
    "kmeans_init": True,
    "kmeans_iters": 50,
    "threshold_ema_dead_code": 2,
    "orthogonal_reg_weight": 0.0,
    "orthogonal_reg_active_codes_only": False,
}
SETTINGS = {
    "compression_model": "encodec",
    "sample_rate": 16000,
    "channels": 1,
    "device": "${oc.env:DEVICE}",
    "encodec": {
        "autoencoder": "seanet",
        "quantizer": "rvq",
        "sample_rate": "${sample_rate}",
        "channels": "${channels}",
        "causal": False,
        "renormalize": False,
    },
    "seanet": {
        **SEANET,
        "channels": "${encodec.channels}",
        "causal": "${encodec.causal}",
        "disable_norm_outer_blocks": 0,
        "encoder": {},
        "decoder": DECODER,
    },
    "rvq": RVQ,
}


def encodec_parts():
    modules = pytest.importorskip("encodec.modules")
    from encodec.quantization import ResidualVectorQuantizer

    torch.manual_seed(0)
    encoder = modules.SEANetEncoder(**SEANET)
    decoder = modules.SEANetDecoder(**SEANET, **DECODER)
    quantizer = ResidualVectorQuantizer(dimension=8, n_q=3, bins=16, kmeans_init=True)
    for layer in quantizer.vq.layers:
        codebook = layer._codebook
        codebook.embed.normal_()
        codebook.embed_avg.copy_(codebook.embed)
        codebook.cluster_size.fill_(1)
        codebook.inited.fill_(1)
    return torch.nn.ModuleDict(
        {"encoder": encoder, "decoder": decoder, "quantizer": quantizer}
    ).eval()


def exported(path: Path, settings=SETTINGS, **more) -> Path:
    state = encodec_parts().state_dict()
    content = {"best_state": dict(state), "xp.cfg": yaml.safe_dump(settings), **more}
    torch.save({**content, "version": "1.0", "exported": True}, path)
    return path


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("build", [upstreams, ours])
def test_audiocraft_gives_the_tokens_and_audio_of_encodec(build, tmp_path):
    pytest.importorskip("vector_quantize_pytorch")
    parts = encodec_parts()
    found = read_audiocraft(exported(tmp_path / "compression_state_dict.bin"))
    assert found.config["model"]["encoder"]["config"]["ratios"] == [2, 3]
    assert found.config["model"]["downsampling_ratio"] == 6
    model = build(found)
    audio = torch.randn(2, 1, 120)
    encoded = parts["encoder"](audio)
    tokens = parts["quantizer"].vq.encode(encoded, n_q=3)
    latents, info = model.encode(audio, return_info=True)
    indices = info["quantizer_indices"]
    # upstream: (batch, frame, quantizer).
    assert torch.equal(indices.mT if build is upstreams else indices, tokens.transpose(0, 1))
    expected = parts["quantizer"].vq.decode(tokens)
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        model.decode(latents), parts["decoder"](expected), atol=1e-5, rtol=1e-5
    )


def changed(path: str, value):
    import copy

    settings = copy.deepcopy(SETTINGS)
    part = settings
    *keys, last = path.split(".")
    for key in keys:
        part = part[key]
    part[last] = value
    return settings


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (changed("encodec.renormalize", True), "renormalize is true, which is not supported"),
        (changed("seanet.disable_norm_outer_blocks", 2), "disable_norm_outer_blocks is 2"),
        (changed("rvq.q_dropout", True), "q_dropout is True"),
        (changed("seanet.channels", "${no.such}"), "xp.cfg: 'no'"),
        (changed("seanet", None), "xp.cfg"),
        ({"a": 1}, "xp.cfg: 'encodec'"),
    ],
)
def test_other_settings_of_audiocraft_are_refused(settings, message, tmp_path):
    path = exported(tmp_path / "model.bin", settings)
    with pytest.raises(CheckpointError) as error:
        read_audiocraft(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_audiocraft_files_are_found_or_asked_for(tmp_path, monkeypatch):
    file = tmp_path / "compression_state_dict.bin"
    assert audiocraft_file(str(tmp_path)) == file
    file.write_bytes(b"weights")
    assert audiocraft_file(str(file)) == file
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as error:
        audiocraft_file("facebook/encodec_32khz")
    assert "download facebook/musicgen-small compression_state_dict.bin" in str(error.value)
    with pytest.raises(CheckpointError, match="not a name"):
        audiocraft_file("not a name")
