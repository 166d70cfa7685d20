"""The diffusion transformer against upstream's, and what upstream can't do against formulas."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch.nn import functional as F

from tests.nets.diffusion.examples_dit import random_dit_diffusion
from tests.nets.test_attention import LargestTensor, turned
from tests.oracle import import_upstream
from zoo.config.dit import DiTConfig
from zoo.interop import quiet
from zoo.nets.attention import attend
from zoo.nets.checkpointing import set_checkpointing
from zoo.nets.diffusion.dit import DiTWrapper
from zoo.nets.rotary import RotaryEmbedding

COMPARED = 120
WINDOWED = 50
SMALL = {"embed_dim": 64, "num_heads": 2, "depth": 2, "io_channels": 2, "input_concat_dim": 3}


@pytest.fixture(scope="module")
def upstream():
    return import_upstream("stable_audio_tools.models.diffusion").DiTWrapper


def randomised(network):
    """Weights that start at zero, one or nearly so would hide what they are multiplied with."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            fan = weight[0].numel() if weight.ndim > 1 and "embed.weight" not in name else 1
            weight.normal_(0, 0.3 if fan == 1 else 1 / fan**0.5)
            if name.endswith(("gamma", "alpha", "norm.weight")):
                weight.add_(1)
    return network


def given(rng, config, *, batch=2):
    """Random arguments of a call, by upstream's names."""
    frames = rng.randint(1, 40)
    samples = frames * config.patch_size
    arguments = {
        "x": torch.randn(batch, config.io_channels, samples),
        "t": torch.rand(batch),
        "input_concat_cond": torch.randn(
            batch, config.input_concat_dim, rng.choice((samples, rng.randint(1, samples)))
        ),
    }
    if config.cond_token_dim:
        tokens = rng.randint(1, 5)
        arguments["cross_attn_cond"] = torch.randn(batch, tokens, config.cond_token_dim)
    if config.global_cond_dim:
        arguments["global_cond"] = torch.randn(batch, config.global_cond_dim)
    if config.prepend_cond_dim:
        tokens = rng.randint(1, 5)
        arguments["prepend_cond"] = torch.randn(batch, tokens, config.prepend_cond_dim)
    return arguments


def reference_output(reference, arguments):
    """Upstream's, with the timestep at the input put there by hand where it is wanted."""
    model, arguments = reference.model, dict(arguments)
    if model.timestep_cond_type == "input_concat":
        model.timestep_cond_type = "by hand"
    if model.timestep_cond_type == "by hand":
        embedding = model.to_timestep_embed(model.timestep_features(arguments["t"][:, None]))
        samples = arguments["x"].shape[-1]
        stretched = F.interpolate(arguments["input_concat_cond"], samples, mode="nearest")
        spread = embedding[..., None].expand(-1, -1, samples)
        arguments["input_concat_cond"] = torch.cat((stretched, spread), dim=1)
    if "prepend_cond" in arguments:
        # Without a mask, which it does not use, upstream fails.
        arguments["prepend_cond_mask"] = torch.ones(arguments["prepend_cond"].shape[:2])
    with quiet():
        return reference(**arguments)


def pair(upstream, section, channels, condition):
    """Our network and upstream's with the same random weights."""
    part = DiTConfig.model_validate(section).completed(channels, condition)
    assert list(part.contradictions(channels, condition)) == []
    options = part.options()
    with quiet():
        reference = randomised(upstream(**options)).eval()
    network = DiTWrapper(**options).eval()
    state = reference.state_dict()
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes == {key: value.shape for key, value in state.items()}
    network.load_state_dict(state, strict=True)
    return part.config, network, reference


def assert_equal(output, expected):
    peak = expected.abs().max().item()
    assert peak > 1e-3
    torch.testing.assert_close(output, expected, atol=1e-5 * peak, rtol=0)


@pytest.mark.parametrize("more_conditions", [False, True])
def test_random_configs_equal_upstream_where_the_window_covers_all(upstream, more_conditions):
    rng, ran, unheard = random.Random(int(more_conditions)), 0, 0
    for number in range(COMPARED):
        torch.manual_seed(number)
        channels, condition = rng.randint(1, 3), rng.randint(1, 4)
        section = random_dit_diffusion(rng, channels, condition, more_conditions=more_conditions)
        if section["config"]["sliding_window"] is not None:
            section["config"]["sliding_window"] = [1000, 1000]
        config, network, reference = pair(upstream, section, channels, condition)
        arguments = given(rng, config)
        for name in arguments:
            arguments[name].requires_grad_(name != "x")
        output = network(**arguments)
        with torch.no_grad():
            assert_equal(output.detach(), reference_output(reference, arguments))
        output.square().sum().backward()
        for name in arguments.keys() - {"x"}:
            gradient = arguments[name].grad
            assert gradient is not None and gradient.isfinite().all(), name
            unheard += int(gradient.count_nonzero() == 0)
        for name, weight in network.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all(), name
        ran += 1
    assert ran == COMPARED >= 50
    # One token of one value may be normalised away, but for rounding.
    assert unheard <= 2


@torch.no_grad()
def test_random_windows_equal_upstream_with_a_mask(upstream, monkeypatch):
    """Upstream's network with the attention that a window means, written out as a mask."""
    seen = {}

    def masked(self, q, k, v, causal=None, **_):
        k, v = (x.repeat_interleave(self.num_heads // self.kv_heads, dim=1) for x in (k, v))
        query, key = torch.arange(q.shape[2])[:, None], torch.arange(k.shape[2])
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
        if q.shape[2] == k.shape[2]:
            left, right = (side if side >= 0 else 10**6 for side in seen["window"])
            near = (key >= query - left) & (key <= query + right)
            mask = near | (query < seen["prefix"]) | (key < seen["prefix"])
        if causal:
            mask &= key <= query
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    attention = import_upstream("stable_audio_tools.models.transformer").Attention
    monkeypatch.setattr(attention, "apply_attn", masked)
    rng, ran, mattered = random.Random(2), 0, 0
    for number in range(WINDOWED):
        torch.manual_seed(number)
        section = random_dit_diffusion(rng, 2, 3)
        section["config"]["sliding_window"] = [rng.randint(-1, 12), rng.randint(-1, 12)]
        config, network, reference = pair(upstream, section, 2, 3)
        arguments = given(rng, config)
        arguments["x"] = torch.randn(2, 2, rng.randint(1, 200) * config.patch_size)
        seen["window"] = config.sliding_window
        seen["prefix"] = config.num_memory_tokens
        in_prefix = config.global_cond_type == "prepend" and config.timestep_cond_type == "global"
        seen["prefix"] += int(in_prefix)
        expected = reference_output(reference, arguments)
        assert_equal(network(**arguments), expected)
        seen["window"] = (-1, -1)
        difference = reference_output(reference, arguments) - expected
        mattered += int(difference.abs().max() > 0.01 * expected.abs().max())
        ran += 1
    assert ran == WINDOWED >= 50
    assert mattered > WINDOWED // 2


def test_prefixed_attention_equals_the_formula_with_a_mask():
    rng, ran = random.Random(0), 0
    for number in range(150):
        torch.manual_seed(number)
        prefix, frames = rng.randint(0, 5), rng.choice((rng.randint(1, 9), rng.randint(1, 300)))
        left, right = (rng.choice((-1, rng.randint(0, 9), rng.randint(0, 300))) for _ in "lr")
        causal, rotary = rng.random() < 0.3, RotaryEmbedding(4).double()
        q, k, v = torch.randn(3, 2, 2, prefix + frames, 6, dtype=torch.float64).unbind()
        inputs = [x.requires_grad_() for x in (q, k, v)]
        output = attend(*inputs, (left, right), rotary, causal=causal, prefix=prefix)

        query, key = torch.arange(prefix + frames)[:, None], torch.arange(prefix + frames)
        visible = torch.ones(prefix + frames, prefix + frames, dtype=torch.bool)
        visible &= (key >= query - left) | (left < 0)
        visible &= (key <= query + right) | (right < 0)
        visible |= (query < prefix) | (key < prefix)
        visible &= (key <= query) | (not causal)
        scores = turned(q, rotary.inv_freq) @ turned(k, rotary.inv_freq).mT / 6**0.5
        expected = scores.masked_fill(~visible, -torch.inf).softmax(-1) @ v
        torch.testing.assert_close(output, expected)
        weight = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, inputs, weight)
        found = torch.autograd.grad(output, inputs, weight)
        for mine, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, other)
        ran += 1
    assert ran == 150


def test_every_frame_learns_the_timestep_and_the_memory_whatever_the_window():
    torch.manual_seed(0)
    network = randomised(DiTWrapper(**SMALL | {"depth": 1}, sliding_window=(2, 2)))
    x, condition = torch.randn(1, 2, 500), torch.randn(1, 3, 5)
    early, late = (network(x, torch.full((1,), t), condition) for t in (0.1, 0.9))
    assert ((early - late).abs().amax(1) > 1e-4).all()


def test_memory_grows_with_the_length_alone():
    network = DiTWrapper(**SMALL, sliding_window=(15, 16), num_memory_tokens=2)
    kept, largest = [], []
    for samples in (1000, 4000):
        saved: list[int] = []
        with (
            LargestTensor() as watched,
            torch.autograd.graph.saved_tensors_hooks(
                lambda x, saved=saved: (saved.append(x.numel()), x)[1], lambda x: x
            ),
        ):
            network(
                torch.randn(1, 2, samples), torch.rand(1), torch.randn(1, 3, 9)
            ).sum().backward()
        kept.append(sum(saved))
        largest.append(watched.elements)
    assert kept[1] <= 4.5 * kept[0]
    assert largest[1] <= 4.5 * largest[0]
    assert largest[1] < 4000 * 64 * 10


@torch.no_grad()
@pytest.mark.parametrize("window", [None, (7, 9)])
def test_other_precisions_stay_close(window):
    torch.manual_seed(0)
    network = randomised(DiTWrapper(**SMALL, sliding_window=window, num_memory_tokens=1)).eval()
    x, t, condition = torch.randn(2, 2, 90), torch.rand(2), torch.randn(2, 3, 9)
    expected = network(x, t, condition)
    with torch.autocast("cpu", torch.bfloat16):
        automatic = network(x, t, condition)
    peak = expected.abs().max().item()
    torch.testing.assert_close(automatic.float(), expected, atol=0.1 * peak, rtol=0)
    for kind, close in ((torch.bfloat16, 0.1), (torch.float64, 1e-5)):
        converted = copy.deepcopy(network).to(kind)
        output = converted(x.to(kind), t, condition.to(kind))
        assert output.dtype is kind
        torch.testing.assert_close(output.float(), expected, atol=close * peak, rtol=0)


def test_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    network = randomised(DiTWrapper(**SMALL, global_cond_type="adaLN", cond_token_dim=4))
    arguments = torch.randn(2, 2, 20), torch.rand(2), torch.randn(2, 3, 4)
    tokens, gradients = torch.randn(2, 3, 4), []
    for on in (False, True):
        set_checkpointing(network, on)
        network.zero_grad()
        network(*arguments, cross_attn_cond=tokens).square().sum().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other)


def test_too_long_for_trained_positions_says_so():
    network = DiTWrapper(**SMALL, use_abs_pos_emb=True, abs_pos_emb_max_length=10)
    with pytest.raises(ValueError, match="abs_pos_emb_max_length"):
        network(torch.randn(1, 2, 10), torch.rand(1), torch.randn(1, 3, 10))


def test_starts_as_upstream_does(upstream):
    """Constant weights are equal, and random ones have the same spread."""
    options = SMALL | {"depth": 1, "embed_dim": 128, "global_cond_type": "adaLN"}
    options |= {"num_memory_tokens": 50, "use_abs_pos_emb": True, "cond_token_dim": 5}
    ran = 0
    for more in ({}, {"layer_scale": True, "conformer": True}, {"remove_norms": True}):
        with quiet():
            reference = upstream(diffusion_objective="v", **options, **more).state_dict()
        for name, weight in DiTWrapper("v", **options, **more).state_dict().items():
            other = reference[name]
            if other.unique().numel() == 1 or "inv_freq" in name:
                torch.testing.assert_close(weight, other, msg=name)
            else:
                assert 0.7 < weight.std() / other.std() < 1.4, name
            ran += 1
    assert ran > 60


@torch.no_grad()
def test_compiles_without_breaks():
    network = randomised(DiTWrapper(**SMALL, sliding_window=(5, 4), num_memory_tokens=1)).eval()
    arguments = torch.randn(1, 2, 300), torch.rand(1), torch.randn(1, 3, 10)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*arguments), network(*arguments))
