"""Bottlenecks with tokens, and softnorm: against upstream's where it works, else exact."""

from __future__ import annotations

import copy
import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from tests.oracle import import_upstream
from zoo.config.bottlenecks import BottleneckConfig
from zoo.config.problems import validate_any
from zoo.errors import ConfigError
from zoo.factory import create_bottleneck_from_config
from zoo.nets.bottlenecks.discrete import straight_through
from zoo.nets.bottlenecks.residual_quantizer import ResidualVectorQuantize

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
# k-means of so few frames is reported each time.
logger.disable("vector_quantize_pytorch")

TYPES = ("rvq", "rvq_vae", "dac_rvq", "dac_rvq_vae", "fsq", "dithered_fsq", "softnorm")
DISCRETE = TYPES[:-1]
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def random_config(kind: str, rng: random.Random) -> dict[str, Any]:
    """A sound config of a small bottleneck."""
    if kind.startswith("rvq"):
        config = _rvq(rng)
    elif kind.startswith("dac"):
        count = rng.randint(1, 4)
        config = {
            "input_dim": rng.randint(1, 7),
            "n_codebooks": count,
            "codebook_size": rng.randint(1, 12),
            "codebook_dim": rng.choice((rng.randint(1, 4), [rng.randint(1, 4)] * count)),
            "quantizer_dropout": rng.choice((0.0, 0.5, 1.0)),
            "quantize_on_decode": rng.random() < 0.3,
        }
        if kind == "dac_rvq":
            config["noise_augment_dim"] = rng.choice((0, 0, 2))
    elif kind == "fsq":
        symmetric = rng.random() < 0.5
        levels = [rng.randint(2 if symmetric else 3, 9) for _ in range(rng.randint(1, 4))]
        config = {
            "levels": levels,
            "num_codebooks": rng.randint(1, 3),
            "keep_num_codebooks_dim": True,
            "preserve_symmetry": symmetric,
            "noise_dropout": rng.choice((0.0, 0.5)) if symmetric else 0.0,
            "bound_hard_clamp": rng.random() < 0.2,
            "projection_has_bias": rng.random() < 0.5,
            "orthogonal_rotation": rng.random() < 0.3,
            "noise_augment_dim": rng.choice((0, 0, 2)),
        }
        if rng.random() < 0.5:
            config["dim"] = rng.randint(1, 6)
    elif kind == "dithered_fsq":
        dim = rng.randint(1, 4)
        config = {
            "dim": dim,
            "levels": rng.choice((rng.randint(2, 17), [rng.randint(2, 17) for _ in range(dim)])),
            "num_codebooks": rng.randint(1, 3),
            "noise_dropout": rng.choice((0.05, 0.5, 1.0, 0.0)),
        }
    else:
        config = {
            "dim": rng.randint(2, 6),
            "noise_augment_dim": rng.choice((0, 3)),
            "noise_regularize": rng.random() < 0.5,
        }
    return {"type": kind, "config": config}


def _rvq(rng: random.Random) -> dict[str, Any]:
    count = rng.randint(1, 4)
    config: dict[str, Any] = {
        "dim": rng.randint(1, 6),
        "codebook_size": rng.randint(3, 9),
        "num_quantizers": count,
        "kmeans_init": rng.random() < 0.6,
        "kmeans_iters": rng.randint(1, 5),
        "threshold_ema_dead_code": rng.choice((0, 2)),
        "shared_codebook": rng.random() < 0.2,
        "quant_grad_frac": rng.choice((0.0, 0.5)),
        "commitment_weight": rng.choice((1.0, 0.25)),
        "decay": rng.choice((0.8, 0.99)),
    }
    if rng.random() < 0.3:
        config["codebook_dim"] = rng.randint(1, 4)
    if rng.random() < 0.3:
        config |= {"quantize_dropout": True, "quantize_dropout_multiple_of": rng.randint(1, 2)}
        config["quantize_dropout_cutoff_index"] = rng.randrange(count)
    learnt = {"learnable_codebook": True, "ema_update": False}
    config |= rng.choice(
        (
            {},
            {},
            {"use_cosine_sim": True},
            {"straight_through": True, "rotation_trick": False, "stochastic_sample_codes": True},
            {"stochastic_sample_codes": True, "sample_codebook_temp": 0.5},
            {"rotation_trick": False},
            {**learnt, "sync_update_v": 0.3},
            {"directional_reparam": True, "threshold_ema_dead_code": 2},
            {"diveq": True},
            {"orthogonal_reg_weight": 0.5, "orthogonal_reg_active_codes_only": True},
            {"orthogonal_reg_weight": 0.5, "orthogonal_reg_max_codes": 2},
            {"codebook_diversity_loss_weight": 0.3, "codebook_diversity_temperature": 10.0},
            {"commitment_use_cross_entropy_loss": True},
            {"route_gradients_to_input": False},
            {"implicit_neural_codebook": True, "mlp_kwargs": {"depth": 2, "dim_hidden": 3}},
            {"beam_size": 2, "kmeans_init": False},
            {"beam_size": 2, "eval_beam_size": 3, "kmeans_init": False},
        )
    )
    return config


def width(kind: str, config: dict[str, Any]) -> int:
    """Latent channels."""
    if kind == "dithered_fsq":
        return config["dim"] * config["num_codebooks"]
    if kind == "fsq":
        return config.get("dim") or len(config["levels"]) * config["num_codebooks"]
    return config["input_dim"] if kind.startswith("dac") else config["dim"]


def encoded(config: dict[str, Any], batch: int = 3, frames: int = 9) -> torch.Tensor:
    """What an encoder might give the bottleneck."""
    channels = width(config["type"], config["config"])
    return torch.randn(batch, channels * (2 if config["type"].endswith("vae") else 1), frames)


def upstreams(config: dict[str, Any]) -> torch.nn.Module:
    if config["type"] == "softnorm":
        module = import_upstream("stable_audio_tools.models.bottleneck")
        return module.SoftNormBottleneck(**config["config"])
    if config["type"].startswith("dac"):
        import_upstream("dac.nn.quantize")
    factory = import_upstream("stable_audio_tools.models.factory")
    return factory.create_bottleneck_from_config(copy.deepcopy(config))


def both(ours, theirs, x: torch.Tensor, seed: int) -> list[dict[str, Any]]:
    """What each makes of `x`: latents, decoder input, losses, gradients."""
    results = []
    for bottleneck in (ours, theirs):
        bottleneck.zero_grad()
        given = x.clone().requires_grad_()
        torch.manual_seed(seed)
        latents, info = bottleneck.encode(given, return_info=True)
        decoded = bottleneck.decode(latents)
        names = ("kl", "quantizer_loss", "vq/commitment_loss", "vq/codebook_loss", "softnorm_loss")
        losses = {name: info[name] for name in names if name in info}
        total = decoded.sin().sum() + sum(losses.values())
        gradients: dict[str, Any] = {}
        if bottleneck.training and total.requires_grad:
            total.backward()
            gradients = {name: p.grad for name, p in bottleneck.named_parameters()}
            gradients["input"] = given.grad
        tokens = info.get(getattr(bottleneck, "tokens_id", ""))
        results.append(
            {
                "latents": latents.detach(),
                "decoded": decoded.detach(),
                "losses": losses,
                "gradients": gradients,
                "tokens": tokens,
                "others": {name: info[name] for name in ("z", "latents") if name in info},
            }
        )
    return results


def compare(kind: str, mine: dict[str, Any], other: dict[str, Any]) -> None:
    if other["tokens"] is not None:
        transposed = kind.startswith("rvq") or kind == "dithered_fsq"
        tokens = other["tokens"].transpose(1, 2) if transposed else other["tokens"]
        assert torch.equal(mine["tokens"], tokens.long())
    for name in ("latents", "decoded", "losses", "others"):
        torch.testing.assert_close(mine[name], other[name], **CLOSE)
    for name, gradient in other["gradients"].items():
        if gradient is None:
            assert mine["gradients"][name] is None
        else:
            torch.testing.assert_close(mine["gradients"][name], gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_random_configs_equal_upstream(kind):
    rng, compared = random.Random(3), {"train": 0, "eval": 0}
    for seed in range(54):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        theirs, ours = upstreams(config), create_bottleneck_from_config(config)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        if kind.endswith("vae"):
            ours.sample_in_eval = True
        for training in (True, True, False) if kind.startswith("rvq") else (True, False):
            ours.train(training)
            theirs.train(training)
            ready = all(value for key, value in ours.state_dict().items() if "initted" in key)
            # Upstream starts k-means in eval mode, and DiVeQ adds noise there.
            if not training and not (ready and not config["config"].get("diveq")):
                continue
            mine, other = both(ours, theirs, encoded(config), seed)
            compare(kind, mine, other)
            compared["train" if training else "eval"] += 1
        torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), **CLOSE)
    assert compared["train"] >= 54
    assert compared["eval"] >= 50


ROUND_TRIPS: list[str] = []


@torch.no_grad()
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(DISCRETE),
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 3),
    frames=st.integers(1, 20),
    trained=st.booleans(),
)
def test_tokens_decode_to_the_latents_bit_for_bit(kind, seed, batch, frames, trained):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    config = random_config(kind, rng)
    bottleneck = create_bottleneck_from_config(config)
    if trained:
        bottleneck.train().encode(encoded(config))
    before = copy.deepcopy(bottleneck.eval().state_dict())
    x = encoded(config, batch, frames)
    latents, info = bottleneck.encode(x, return_info=True)
    tokens = info[bottleneck.tokens_id]
    assert tokens.shape == (batch, bottleneck.num_quantizers, frames)
    assert tokens.dtype == torch.int64
    assert tokens.min() >= 0 and tokens.max() < bottleneck.codebook_size
    noise = torch.Generator().manual_seed(0)
    decoded = bottleneck.decode(latents, generator=noise)
    again = bottleneck.decode_tokens(tokens, generator=noise.manual_seed(0))
    assert torch.equal(again, decoded)
    channels = width(kind, config["config"]) + config["config"].get("noise_augment_dim", 0)
    assert decoded.shape == (batch, channels, frames)
    if "fsq" not in kind:
        count = rng.randint(1, bottleneck.num_quantizers)
        latents, info = bottleneck.encode(x, return_info=True, n_quantizers=count)
        kept = info[bottleneck.tokens_id]
        assert kept.shape[1] == count
        if not config["config"].get("eval_beam_size") and not config["config"].get("beam_size"):
            assert torch.equal(kept, tokens[:, :count])
        chosen = {"n_quantizers": count} if kind.startswith("dac") else {}
        decoded = bottleneck.decode(latents, generator=noise.manual_seed(0), **chosen)
        again = bottleneck.decode_tokens(kept, generator=noise.manual_seed(0))
        assert torch.equal(again, decoded)
    torch.testing.assert_close(bottleneck.state_dict(), before, rtol=0, atol=0)
    ROUND_TRIPS.append(kind)


def test_how_many_round_trips_ran():
    assert len(ROUND_TRIPS) >= 150
    assert set(ROUND_TRIPS) == set(DISCRETE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", DISCRETE)
@torch.no_grad()
def test_round_trips_in_other_types(kind, dtype):
    rng = random.Random(5)
    for seed in range(6):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck = bottleneck.eval().to(dtype)
        latents, info = bottleneck.encode(encoded(config).to(dtype), return_info=True)
        assert latents.dtype == dtype
        torch.manual_seed(0)
        decoded = bottleneck.decode(latents)
        torch.manual_seed(0)
        assert torch.equal(bottleneck.decode_tokens(info[bottleneck.tokens_id]), decoded)


@pytest.mark.parametrize("kind", DISCRETE)
@torch.no_grad()
def test_autocast_changes_no_token(kind):
    rng = random.Random(6)
    for seed in range(4):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck.eval()
        x = encoded(config)
        tokens = bottleneck.encode(x, return_info=True)[1][bottleneck.tokens_id]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents, info = bottleneck.encode(x, return_info=True)
            halved = info[bottleneck.tokens_id]
            torch.manual_seed(0)
            decoded = bottleneck.decode(latents)
            torch.manual_seed(0)
            assert torch.equal(bottleneck.decode_tokens(halved), decoded)
        # The projections of the others are meant to run in half precision.
        if not kind.startswith("dac") and not (kind == "fsq" and "dim" in config["config"]):
            assert torch.equal(halved, tokens)


@pytest.mark.parametrize("kind", TYPES)
def test_gradients_pass_in_training_and_in_eval_mode(kind):
    rng = random.Random(7)
    for seed in range(8):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        for training in (True, False):
            x = encoded(config).requires_grad_()
            latents, _ = bottleneck.train(training).encode(x, return_info=True)
            if kind.startswith("rvq"):
                latents = latents * 1.0
            weights = torch.randn_like(latents)
            (latents * weights).sum().backward()
            if not config["config"].get("route_gradients_to_input", True) and training:
                continue
            assert x.grad is not None and x.grad.abs().sum() > 0


def test_straight_through_is_exact():
    x = torch.randn(1000, requires_grad=True)
    quantised = (x.detach() * 1e3).round() / 7
    given = straight_through(x, quantised)
    assert torch.equal(given, quantised)
    given.sum().backward()
    assert torch.equal(x.grad, torch.ones(1000))


@pytest.mark.parametrize("kind", DISCRETE)
def test_frozen_bottlenecks_never_change(kind):
    rng = random.Random(8)
    for seed in range(12):
        torch.manual_seed(seed)
        config = random_config(kind, rng)
        bottleneck = create_bottleneck_from_config(config)
        bottleneck.train().encode(encoded(config))
        bottleneck.requires_grad_(False).train()
        before = copy.deepcopy(bottleneck.state_dict())
        x = encoded(config).requires_grad_()
        latents, info = bottleneck.encode(x, return_info=True)
        losses = [info[name] for name in info if name.endswith("loss")]
        (latents.sin().sum() + sum(losses)).backward()
        assert x.grad.abs().sum() > 0
        torch.testing.assert_close(bottleneck.state_dict(), before, rtol=0, atol=0)
        assert not any(weight.requires_grad for weight in bottleneck.parameters())
        if kind.startswith("rvq"):
            # Its codes are those of eval mode, its loss is the pull towards them.
            assert info["quantizer_loss"] > 0 or config["config"]["commitment_weight"] == 0
            bottleneck.requires_grad_(True)
            assert bottleneck.quantizer.training
    config["requires_grad"] = False
    frozen = create_bottleneck_from_config(config)
    assert not any(weight.requires_grad for weight in frozen.parameters())


def test_codes_of_kmeans_are_zero_until_the_first_training_batch():
    config = {"type": "rvq", "config": {"dim": 4, "codebook_size": 5, "num_quantizers": 3}}
    bottleneck = create_bottleneck_from_config(config)
    x = torch.randn(2, 4, 50)
    latents, info = bottleneck.eval().encode(x, return_info=True)
    assert not latents.any() and not info["quantizer_indices"].any()
    assert not any(layer._codebook.initted for layer in bottleneck.quantizer.layers)
    bottleneck.train().encode(x)
    assert all(layer._codebook.initted for layer in bottleneck.quantizer.layers)
    error = (bottleneck.eval().encode(x) - x).square().mean()
    assert error < 0.3


def test_kmeans_starts_a_beam_search():
    # More beams than codes are as many.
    config = {"dim": 4, "codebook_size": 5, "num_quantizers": 3, "beam_size": 9}
    bottleneck = create_bottleneck_from_config({"type": "rvq", "config": config}).train()
    x = torch.randn(4, 4, 50)
    for _ in range(2):
        bottleneck.encode(x)
    beams = (bottleneck.eval().encode(x) - x).square().mean()
    bottleneck.quantizer.eval_beam_size = 1
    assert beams <= (bottleneck.encode(x) - x).square().mean()


def _process(rank: int, folder: Path, config: dict[str, Any]) -> None:
    torch.manual_seed(rank)
    bottleneck = create_bottleneck_from_config(config).train()
    bottleneck.load_state_dict(torch.load(folder / "before.pt"))
    batch = torch.load(folder / "batch.pt").chunk(2)[rank]
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    with torch.no_grad():
        for _ in range(3):
            bottleneck.encode(batch)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    torch.save(bottleneck.state_dict(), folder / f"after{rank}.pt")


@torch.no_grad()
@pytest.mark.parametrize("plain", [True, False])
def test_processes_learn_the_codes_together(tmp_path, plain):
    config: dict[str, Any] = {"dim": 3, "codebook_size": 6, "num_quantizers": 3}
    if plain:
        config |= {"kmeans_init": False, "threshold_ema_dead_code": 0}
    else:
        config["quantize_dropout"] = True
    bottleneck = create_bottleneck_from_config({"type": "rvq", "config": config})
    batch = torch.randn(4, 3, 20)
    torch.save(batch, tmp_path / "batch.pt")
    torch.save(bottleneck.state_dict(), tmp_path / "before.pt")
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path, {"type": "rvq", "config": config})
    processes = [context.Process(target=_process, args=(rank, *arguments)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    first, second = (torch.load(tmp_path / f"after{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    if plain:
        for _ in range(3):
            bottleneck.train().encode(batch)
        torch.testing.assert_close(first, dict(bottleneck.state_dict()), **CLOSE)
    else:
        assert first["quantizer.layers.0._codebook.initted"]


@pytest.mark.parametrize("kind", ["rvq_vae", "dac_rvq_vae"])
def test_variational_ones_quantise_the_mean_unless_told_to_draw(kind):
    torch.manual_seed(0)
    config = random_config(kind, random.Random(0))
    bottleneck = create_bottleneck_from_config(config)
    bottleneck.train().encode(encoded(config))
    bottleneck.eval()
    x = 3 * encoded(config)
    mean, scale = x.chunk(2, 1)
    latents, info = bottleneck.encode(x, return_info=True)
    assert torch.equal(latents, bottleneck.encode(x))
    plain = create_bottleneck_from_config(
        {"type": kind.removesuffix("_vae"), "config": config["config"]}
    ).eval()
    plain.load_state_dict(bottleneck.state_dict())
    assert torch.equal(latents, plain.encode(mean))
    variance = (torch.log1p(scale.double().exp()) + 1e-4) ** 2
    kl = (mean.double() ** 2 + variance - variance.log() - 1).sum(1).mean()
    torch.testing.assert_close(info["kl"].double(), kl, **CLOSE)
    generator = torch.Generator().manual_seed(1)
    drawn = bottleneck.encode(x, sample=True, generator=generator)
    assert torch.equal(drawn, bottleneck.encode(x, sample=True, generator=generator.manual_seed(1)))
    assert not torch.equal(drawn, latents)


def test_usage_and_perplexity_are_their_formulas():
    config = {"n_codebooks": 3, "codebook_size": 10, "input_dim": 2}
    bottleneck = create_bottleneck_from_config({"type": "dac_rvq", "config": config})
    tokens = torch.stack(
        [torch.arange(40).reshape(4, 10) % 10, torch.full((4, 10), 7), torch.full((4, 10), -1)], 1
    )
    tokens[0, 2] = torch.tensor([1, 1, 1, 2, 2, 2, 3, 3, 3, 3])
    facts = bottleneck._facts(tokens)
    shares = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    third = (-(shares * shares.log()).sum()).exp().item()
    torch.testing.assert_close(facts["codebook_usage"], torch.tensor([1.0, 0.1, 0.3]))
    torch.testing.assert_close(facts["perplexity"], torch.tensor([10.0, 1.0, third]))
    _, info = bottleneck.encode(torch.randn(1, 2, 9), return_info=True)
    assert info["perplexity"].shape == info["codebook_usage"].shape == (3,)


def test_dac_quantizer_reads_codes_and_latents():
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantize(6, 3, 8, (2, 3, 4)).eval()
    upstream = import_upstream("dac.nn.quantize").ResidualVectorQuantize(6, 3, 8, [2, 3, 4]).eval()
    quantizer.load_state_dict(upstream.state_dict())
    x = torch.randn(2, 6, 10)
    quantized, expected = quantizer(x), upstream(x)
    assert torch.equal(quantized.tokens, expected[1])
    for columns in (9, 5, 4, 2):
        mine, other = (
            q.from_latents(quantized.latents[:, :columns]) for q in (quantizer, upstream)
        )
        torch.testing.assert_close(mine, other, **CLOSE)
    torch.testing.assert_close(
        quantizer.from_codes(quantized.tokens), upstream.from_codes(expected[1]), **CLOSE
    )
    assert torch.equal(quantizer.from_codes(quantized.tokens)[0], quantized.values)


def test_quantize_on_decode_gives_tokens_and_no_tuple():
    config = {"input_dim": 4, "n_codebooks": 2, "codebook_size": 8, "quantize_on_decode": True}
    bottleneck = create_bottleneck_from_config({"type": "dac_rvq", "config": config})
    x = torch.randn(2, 4, 9)
    assert torch.equal(bottleneck.encode(x), x)
    tokens = bottleneck.encode(x, return_info=True)[1]["codes"]
    decoded = bottleneck.eval().decode(x)
    assert torch.equal(bottleneck.decode_tokens(tokens), decoded)
    assert not torch.equal(decoded, x)


@torch.no_grad()
def test_a_single_fsq_codebook_is_the_formula():
    levels = (3, 4, 8)
    bottleneck = create_bottleneck_from_config({"type": "fsq", "config": {"levels": levels}})
    x = 2 * torch.randn(2, 3, 50)
    latents, info = bottleneck.eval().encode(x, return_info=True)
    token = torch.zeros(2, 50, dtype=torch.long)
    for channel, (level, base) in enumerate(zip(levels, (1, 3, 12), strict=True)):
        half = (level - 1) * (1 + 1e-3) / 2
        offset = 0.5 if level % 2 == 0 else 0.0
        shift = torch.atanh(torch.tensor(offset / half, dtype=torch.float64))
        rounded = (torch.tanh(x[:, channel].double() + shift) * half - offset).round()
        expected = rounded / (level // 2)
        torch.testing.assert_close(latents[:, channel].double(), expected, **CLOSE)
        token += base * (rounded.long() + level // 2)
    assert torch.equal(info["quantizer_indices"][:, 0], token)
    assert bottleneck.codebook_size == 96 and type(bottleneck.codebook_size) is int


@torch.no_grad()
@pytest.mark.parametrize("kind", ["fsq", "dithered_fsq"])
def test_huge_codebooks_keep_every_digit(kind):
    dim = 10
    config: dict[str, Any] = {"levels": [17] * dim}
    if kind == "dithered_fsq":
        config["dim"] = dim
    bottleneck = create_bottleneck_from_config({"type": kind, "config": config}).eval()
    latents, info = bottleneck.encode(torch.randn(2, dim, 500), return_info=True)
    assert bottleneck.codebook_size == 17**dim
    assert torch.equal(bottleneck.decode_tokens(info["quantizer_indices"]), latents)


@torch.no_grad()
def test_dithering_at_inference_is_asked_for():
    config = {"dim": 2, "levels": 5}
    quiet = create_bottleneck_from_config({"type": "dithered_fsq", "config": config}).eval()
    noisy = create_bottleneck_from_config(
        {"type": "dithered_fsq", "config": {**config, "dither_inference": True}}
    ).eval()
    x = torch.full((1, 2, 20_000), 0.3)
    assert torch.equal(quiet.encode(x), noisy.encode(x, dither=False))
    assert len(quiet.encode(x).unique()) == 1
    generator = torch.Generator().manual_seed(1)
    latents, info = noisy.encode(x, return_info=True, generator=generator)
    assert torch.equal(latents, quiet.encode(x, dither=True, generator=generator.manual_seed(1)))
    assert torch.equal(noisy.decode_tokens(info["quantizer_indices"]), latents)
    # Dithered rounding is right on average, which rounding isn't.
    torch.testing.assert_close(latents.mean(), torch.tensor(0.3).tanh(), atol=0.01, rtol=0)
    edge = noisy.encode(torch.full((1, 2, 20_000), 50.0), return_info=True)[1]
    assert edge["quantizer_indices"].max() == 24


@torch.no_grad()
def test_softnorm_of_one_frame_or_channel_is_finite():
    for shape in ((2, 1, 9), (2, 3, 1), (1, 1, 1)):
        config = {"dim": shape[1], "noise_regularize": True}
        bottleneck = create_bottleneck_from_config({"type": "softnorm", "config": config}).train()
        latents, info = bottleneck.encode(torch.randn(shape), return_info=True)
        assert torch.isfinite(info["softnorm_loss"])
        assert torch.isfinite(bottleneck.decode(latents)).all()


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
