"""What is refused, and what configs say when they are written again."""

from __future__ import annotations

import random

import pytest
import torch

from tests.nets.quantizers.material import DISCRETE, TYPES, encoded, random_config
from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.problems import validate_any
from zoo.errors import ConfigError
from zoo.factory import create_bottleneck_from_config

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


@pytest.mark.parametrize("kind", DISCRETE)
def test_wrong_calls_are_refused_by_name(kind):
    config = random_config(kind, random.Random(9))
    bottleneck = create_bottleneck_from_config(config).eval()
    count = bottleneck.num_quantizers
    with pytest.raises(ValueError, match="tokens have shape"):
        bottleneck.decode_tokens(torch.zeros(1, count + 1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="tokens have shape"):
        bottleneck.decode_tokens(torch.zeros(count, 3, dtype=torch.long))
    if "fsq" not in kind:
        for wrong in (0, count + 1):
            with pytest.raises(ValueError, match="n_quantizers"):
                bottleneck.encode(encoded(config), n_quantizers=wrong)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"type": "rvq", "config": {"dims": 4}}, "config.dims"),
        ({"type": "rvq", "config": {"dim": 0}}, "config.dim"),
        ({"type": "rvq", "config": {"decay": 1.5}}, "config.decay"),
        ({"type": "rvq", "config": {"kmeans_iters": 0}}, "config.kmeans_iters"),
        ({"type": "rvq", "config": {"affine_param": True}}, "config.affine_param"),
        ({"type": "rvq", "config": {"straight_through": True}}, "config.straight_through"),
        ({"type": "rvq", "config": {"learnable_codebook": True}}, "config.ema_update"),
        ({"type": "rvq", "config": {"sync_update_v": 0.5}}, "config.sync_update_v"),
        ({"type": "rvq", "config": {"eval_beam_size": 2}}, "config.eval_beam_size"),
        (
            {
                "type": "rvq",
                "config": {"beam_size": 2, "straight_through": True, "rotation_trick": False},
            },
            "config.beam_size",
        ),
        (
            {"type": "rvq", "config": {"beam_size": 2, "diveq": True}},
            "config.beam_size",
        ),
        (
            {"type": "rvq", "config": {"beam_size": 2, "implicit_neural_codebook": True}},
            "config.beam_size",
        ),
        (
            {"type": "rvq", "config": {"diveq": True, "use_cosine_sim": True}},
            "config.use_cosine_sim",
        ),
        (
            {"type": "rvq", "config": {"beam_score_quantizer_weights": [1.0]}},
            "config.beam_score_quantizer_weights",
        ),
        (
            {"type": "rvq", "config": {"directional_reparam": True, "threshold_ema_dead_code": 0}},
            "config.threshold_ema_dead_code",
        ),
        (
            {"type": "rvq", "config": {"directional_reparam": True, "rotation_trick": True}},
            "config.directional_reparam",
        ),
        (
            {
                "type": "rvq_vae",
                "config": {"quantize_dropout": True, "quantize_dropout_cutoff_index": 8},
            },
            "config.quantize_dropout_cutoff_index",
        ),
        ({"type": "dac_rvq", "config": {"codebook_size": 8}}, "config.n_codebooks"),
        ({"type": "dac_rvq"}, "config"),
        (
            {
                "type": "dac_rvq_vae",
                "config": {"n_codebooks": 3, "codebook_size": 8, "codebook_dim": [2, 2]},
            },
            "config.codebook_dim",
        ),
        (
            {
                "type": "dac_rvq_vae",
                "config": {"n_codebooks": 3, "codebook_size": 8, "noise_augment_dim": 2},
            },
            "config.noise_augment_dim",
        ),
        ({"type": "fsq", "config": {}}, "config.levels"),
        ({"type": "fsq", "config": {"levels": [5, 1]}}, "config.levels.1"),
        ({"type": "fsq", "config": {"levels": [5, 2]}}, "config.levels"),
        ({"type": "fsq", "config": {"levels": [60000] * 4}}, "config.levels"),
        ({"type": "fsq", "config": {"levels": [5], "noise_dropout": 0.5}}, "config.noise_dropout"),
        (
            {
                "type": "fsq",
                "config": {"levels": [5], "num_codebooks": 2, "keep_num_codebooks_dim": False},
            },
            "config.keep_num_codebooks_dim",
        ),
        ({"type": "dithered_fsq", "config": {"dim": 3, "levels": [5, 5]}}, "config.levels"),
        ({"type": "dithered_fsq", "config": {"dim": 3, "levels": 1}}, "config.levels"),
        ({"type": "dithered_fsq", "config": {"dim": 30, "levels": 5}}, "config.levels"),
        ({"type": "softnorm", "config": {"noise_augment_dim": -1}}, "config.noise_augment_dim"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_configs_are_refused_by_name(config, path):
    with pytest.raises(ConfigError) as error:
        create_bottleneck_from_config(config)
    assert path in {problem.path for problem in error.value.problems}


@pytest.mark.parametrize("kind", TYPES)
def test_written_configs_come_back_the_same(kind):
    rng = random.Random(11)
    for _ in range(20):
        config = validate_any(BottleneckConfig, random_config(kind, rng))
        assert validate_any(BottleneckConfig, config.to_dict()) == config
        assert not list(config.contradictions())
