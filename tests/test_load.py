"""Models that get their weights without random ones before."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

import zoo
from tests.inference.export.test_round_trips import randomised
from tests.shrunk import shrunk_autoencoder
from zoo.checkpoints.files import CONFIG_KEY

# Each kind of network, and whether it is all in its file.
KINDS = {
    "oobleck_vae_44k": True,
    "dac_44k": True,
    "taae_44k": True,
    "hyperencoder_44k": True,
    "dit_example_44k": True,
    "adp_diffae_44k": True,
    "dau_diffae_44k": True,
    "encodec_24k": False,
}


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_it_is_the_model_built_in_full(name, tmp_path):
    model = randomised(shrunk_autoencoder(name))
    path = tmp_path / "a.safetensors"
    state = {key: value.clone() for key, value in model.state_dict().items()}
    save_file(state, path, {CONFIG_KEY: json.dumps(model.config.to_dict())})
    before = torch.get_rng_state()
    found = zoo.from_checkpoint(path)
    # Nothing is drawn where the file has all.
    assert torch.equal(torch.get_rng_state(), before) == KINDS[name]
    assert not found.training
    assert found.config == model.config
    for one, other in (
        (model.named_parameters(), found.named_parameters()),
        (model.named_buffers(), found.named_buffers()),
    ):
        ours, theirs = dict(one), dict(other)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert theirs[key].dtype == value.dtype
            assert theirs[key].requires_grad == value.requires_grad
            assert torch.equal(theirs[key], value), key
    audio = torch.randn(1, model.in_channels, model.min_length)
    latents = model.encode(audio)
    assert torch.equal(found.encode(audio), latents)
    options = {"steps": 1} if hasattr(model, "diffusion") else {}
    assert torch.equal(found.decode(latents, **options), model.decode(latents, **options))
