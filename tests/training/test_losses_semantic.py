"""Against upstream's loss on a network of a few thousand weights; nothing is downloaded."""

from __future__ import annotations

import random

import pytest
import torch
from torchaudio import models, pipelines
from torchaudio.pipelines._wav2vec2 import utils

from tests.shrunk import SHRUNK
from tests.upstream_training import upstream_training
from zoo.config.distances import SemanticLossConfig
from zoo.config.resolve import resolve_recipe
from zoo.data.resample import resample
from zoo.errors import CheckpointError, ConfigError
from zoo.training.build import build_module
from zoo.training.losses import SemanticLoss, semantic

DEPTH = 3
CASES = 12


def tiny():
    return models.wav2vec2_model(
        extractor_mode="layer_norm",
        extractor_conv_layer_config=[(6, 10, 5), (6, 3, 2)],
        extractor_conv_bias=True,
        encoder_embed_dim=8,
        encoder_projection_dropout=0.1,
        encoder_pos_conv_kernel=4,
        encoder_pos_conv_groups=2,
        encoder_num_layers=DEPTH,
        encoder_num_heads=2,
        encoder_attention_dropout=0.1,
        encoder_ff_interm_features=12,
        encoder_ff_interm_dropout=0.1,
        encoder_dropout=0.1,
        encoder_layer_norm_first=True,
        encoder_layer_drop=0.1,
        aux_num_out=None,
    ).eval()


@pytest.fixture
def network(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setitem(semantic.NETWORKS, "hubert_large", tiny)
    return tiny()


@pytest.fixture
def file(network, tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("normalise", [True, False])
def test_equals_upstreams_loss_at_16_khz(network, normalise, monkeypatch):
    class Bundle:
        @staticmethod
        def get_model():
            return utils._extend_model(network, normalise) if normalise else network

    monkeypatch.setattr(pipelines, "HUBERT_LARGE", Bundle)
    upstream = upstream_training("losses.semantic").HubertLoss
    draw = random.Random(0)
    ran = 0
    for _ in range(CASES):
        # Upstream's [-1], the convolutions alone, works for its normalising networks only.
        layers = draw.choice([None, [0], [1, 2], [0, 2], [2], *([[-1]] if normalise else [])])
        ours = SemanticLoss(network, 16000, layers, normalise=normalise)
        theirs = upstream(layers)
        shape = (draw.randint(1, 2), draw.randint(1, 2), draw.randint(300, 600))
        decoded, reals = torch.randn(2, *shape).requires_grad_()
        value, expected = ours(decoded, reals), theirs(decoded, reals)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(
            torch.autograd.grad(value, decoded)[0], torch.autograd.grad(expected, decoded)[0]
        )
        ran += 1
    assert ran == CASES


def test_other_rates_are_resampled_first(network):
    decoded, reals = torch.randn(2, 1, 2, 1500)
    at_44100 = SemanticLoss(network, 44100)(decoded, reals)
    expected = SemanticLoss(network, 16000)(
        resample(decoded, 44100, 16000), resample(reals, 44100, 16000)
    )
    torch.testing.assert_close(at_44100, expected)
    assert SemanticLoss(network, 16000)(decoded, reals) != at_44100


def test_the_network_is_frozen_moves_and_is_not_saved(network):
    loss = SemanticLoss(network.train(), 16000).train()
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert not any(module.training for module in loss.frozen.network.modules())
    assert not any(weight.requires_grad for weight in loss.frozen.network.parameters())
    loss.to(torch.float64)
    assert all(weight.dtype == torch.float64 for weight in loss.frozen.network.parameters())


def test_a_recipe_trains_on_the_features_of_a_file(network, file):
    overrides = [*SHRUNK, f"losses.semantic={{model: hubert_large, weights: {file}, layers: [1]}}"]
    module = build_module(resolve_recipe("starter", overrides=overrides))
    weight, loss = module.objective.distances["semantic"]
    assert weight == 1.0
    assert loss.layers == (1,)
    decoded, reals = torch.randn(2, 1, 1, 8000)
    rate = module.recipe.sample_rate
    expected = SemanticLoss(network, rate, [1], normalise=True)
    torch.testing.assert_close(loss(decoded, reals), expected(decoded, reals))
    assert not any("objective" in key for key in module.state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such file.*path of hubert_fairseq_large_ll60k\.pth.*HUBERT_LARGE\.get_model"),
        (b"", "not the weights of hubert_large"),
        (b"not a checkpoint", "not the weights of hubert_large"),
        ({"encoder.weight": torch.zeros(2)}, "not the weights of hubert_large"),
        ([1, 2], "not the weights of hubert_large"),
        ({"a": {"b": 1}}, "not the weights of hubert_large"),
    ],
)
def test_a_file_that_is_missing_or_wrong_is_one_clear_error(network, tmp_path, content, message):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    config = SemanticLossConfig(model="hubert_large", weights=str(path))
    with pytest.raises(CheckpointError, match=message) as error:
        semantic.load_semantic_loss(config, 16000)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_without_a_file_says_where_to_get_it():
    with pytest.raises(ConfigError, match=r"semantic\.weights: needs.*wavlm_base_plus\.pth"):
        resolve_recipe("starter", overrides=["losses.semantic.model=wavlm_base_plus"])


def test_layers_that_are_not_there(file):
    config = SemanticLossConfig(model="hubert_large", weights=str(file), layers=(DEPTH,))
    with pytest.raises(CheckpointError, match="has the layers 0 to 2"):
        semantic.load_semantic_loss(config, 16000)


@pytest.mark.parametrize("name", semantic.NETWORKS)
def test_networks_files_and_normalisation_are_those_of_torchaudios_pipelines(name):
    bundle = getattr(pipelines, name.upper())
    with torch.device("meta"):
        ours, theirs = (
            {key: value.shape for key, value in network.state_dict().items()}
            for network in (
                semantic.NETWORKS[name](),
                utils._get_model(bundle._model_type, bundle._params),
            )
        )
    assert ours == theirs
    assert SemanticLossConfig(model=name).file == bundle._path
    assert (name in semantic.NORMALISING) == bundle._normalize_waveform
    assert bundle.sample_rate == semantic.SAMPLE_RATE
