"""Local attention against upstream's class, freed of the two arguments that it can't take."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from safetensors.torch import save_file

import zoo
from tests.examples import random_local_attention
from tests.oracle import import_upstream
from zoo.nets.attention import Attention
from zoo.nets.local_attention import LocalAttentionDecoder, LocalAttentionEncoder, LocalTransformer
from zoo.nets.span import input_span

CONFIGS = 60
COMPARED = 50


@pytest.fixture
def upstream(monkeypatch):
    module = import_upstream("stable_audio_tools.models.local_attention")
    attention = module.Attention

    class Swallowing(attention):
        def __init__(self, *args, natten_kernel_size=None, **kwargs):
            super().__init__(*args, **kwargs)

        def forward(self, x, mask=None, **kwargs):
            return super().forward(x, **kwargs)

    monkeypatch.setattr(module, "Attention", Swallowing)
    return module


def randomised(network):
    with torch.no_grad():
        for weight in network.parameters():
            if weight.count_nonzero() == 0:
                weight.uniform_(-0.3, 0.3)
    return network


@torch.no_grad()
def test_random_configs_equal_upstream_where_the_window_covers_all(upstream, capsys):
    rng, ran = random.Random(0), 0
    for number in range(COMPARED):
        torch.manual_seed(number)
        blocks = rng.randint(1, 3)
        heads = [rng.randint(1, 2) for _ in range(blocks)]
        ratios = [rng.randint(1, 3) for _ in range(blocks)]
        causal = rng.random() < 0.3
        sizes = {
            "embed_dims": [count * rng.randint(32, 70) for count in heads],
            "heads": heads,
            "depths": [rng.randint(1, 2) for _ in range(blocks)],
            "ratios": ratios,
            "causal": causal,
            "ff_mult": rng.choice((1, 2, 1.5)),
        }
        ratio = torch.tensor(ratios).prod().item()
        for ours, theirs, given in (
            (LocalAttentionEncoder, upstream.TransformerEncoder1D, torch.randn(2, 2, 5 * ratio)),
            (LocalAttentionDecoder, upstream.TransformerDecoder1D, torch.randn(2, 2, 5)),
        ):
            reference = randomised(theirs(2, 2, **sizes))
            network = ours(2, 2, **sizes, local_attn_window_size=2 * 5 * ratio)
            state = reference.state_dict()
            shapes = {key: value.shape for key, value in network.state_dict().items()}
            assert shapes == {key: value.shape for key, value in state.items()}
            network.load_state_dict(state)
            torch.testing.assert_close(network(given), reference(given), atol=1e-5, rtol=1e-5)
        ran += 1
    assert ran == COMPARED >= 50


def test_random_configs_train_save_reload_and_copy(tmp_path):
    rng, ran = random.Random(0), 0
    for number in range(CONFIGS):
        torch.manual_seed(number)
        config = random_local_attention(rng)
        model = randomised(zoo.from_config(config)).train()
        audio = torch.randn(2, model.io_channels, rng.randint(1, 9 * model.downsampling_ratio))
        model(audio).square().mean().backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all(), name
        model.eval()
        with torch.no_grad():
            expected = model(audio)
            assert expected.shape == audio.shape
            torch.testing.assert_close(copy.deepcopy(model)(audio), expected)
            save_file(model.state_dict(), tmp_path / "weights.safetensors")
            again = zoo.from_config(config, checkpoint=tmp_path / "weights.safetensors")
            torch.testing.assert_close(again(audio), expected)
            chunked = model.encode_audio(audio, chunked=True, chunk_size=3)
            torch.testing.assert_close(chunked, model.encode(audio), atol=1e-5, rtol=0)
            decoded = model.decode_audio(chunked, chunked=True, chunk_size=3)
            torch.testing.assert_close(decoded, model.decode(chunked), atol=1e-5, rtol=0)
        ran += 1
    assert ran == CONFIGS >= 50


@pytest.mark.parametrize(
    ("size", "causal", "window"),
    [
        (1, False, (0, 0)),
        (2, False, (0, 1)),
        (7, False, (3, 3)),
        (64, False, (31, 32)),
        (1, True, (0, 0)),
        (64, True, (63, 0)),
    ],
)
def test_window_size_counts_the_frame_itself(size, causal, window):
    transformer = LocalTransformer(8, 2, 2, window_size=size, causal=causal, ff_mult=2)
    assert {m.window for m in transformer.modules() if isinstance(m, Attention)} == {window}
    assert input_span(transformer, 0, 0) == (-2 * window[0], 2 * window[1])


def test_upstreams_defaults_build_here():
    """Upstream's own heads are 8 channels wide, of which it would rotate 32."""
    with torch.device("meta"):
        encoder, decoder = LocalAttentionEncoder(2, 64), LocalAttentionDecoder(64, 2)
        audio = torch.randn(1, 2, 160)
        latents = encoder(audio)
        assert latents.shape == (1, 64, 10)
        assert decoder(latents).shape == audio.shape


@torch.no_grad()
def test_compiles_without_breaks():
    sizes = {"embed_dims": (8, 12), "heads": (2, 1), "depths": (1, 1), "ratios": (2, 3)}
    encoder = randomised(LocalAttentionEncoder(1, 3, **sizes, local_attn_window_size=9))
    audio = torch.randn(1, 1, 600)
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(audio), encoder(audio))
