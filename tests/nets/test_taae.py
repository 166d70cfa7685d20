"""The transformer autoencoder against outputs of upstream's, and what upstream can't do."""

from __future__ import annotations

import copy
import json
import random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import zoo
from tests.examples import random_taae
from tests.golden.make_taae import CASES, FILE, arguments, fill
from zoo.nets.attention import Attention
from zoo.nets.checkpointing import Checkpointed, set_checkpointing
from zoo.nets.taae import TAAEDecoder, TAAEEncoder
from zoo.nets.transformer import TransformerBlock

CONFIGS = 60


@pytest.fixture(scope="module")
def golden():
    with safe_open(FILE, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(  # noqa: SIM118
            file.metadata()["shapes"]
        )


def randomised(network):
    """Weights that start at zero or nearly so would hide what they are multiplied with."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("scale"):
                weight.uniform_(0.5, 1)
            elif weight.count_nonzero() == 0:
                weight.uniform_(-0.3, 0.3)
    return network


@torch.no_grad()
@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_equal_upstreams(golden, name, side):
    tensors, shapes = golden
    network = {"encoder": TAAEEncoder, "decoder": TAAEDecoder}[side](**arguments(name, side))
    fill(network, tensors["table"])
    state = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert state == shapes[f"{name}.{side}"]
    given = network(tensors[f"{name}.{side}.input"])
    expected = tensors[f"{name}.{side}.output"]
    assert expected.std() > 0.05
    # Snake in sum with others amplifies rounding, ours on this machine and that of the golden file.
    exact = network.double()(tensors[f"{name}.{side}.input"].double())
    rounding = float((given - exact).abs().max())
    assert rounding < 1e-5 * max(1, float(exact.abs().max()))
    assert (expected - exact).abs().max() < 1e-5 + 2 * rounding


def test_the_golden_file_is_small():
    assert FILE.stat().st_size < 1_000_000


def test_attention_matters_in_the_golden_outputs(golden):
    tensors, _ = golden
    network = TAAEEncoder(**{**arguments("plain", "encoder"), "sliding_window": (3, 3)})
    fill(network, tensors["table"])
    difference = network(tensors["plain.encoder.input"]) - tensors["plain.encoder.output"]
    assert difference.abs().max() > 0.01


def test_random_configs_train_save_reload_and_copy(tmp_path):
    rng, ran = random.Random(0), 0
    for number in range(CONFIGS):
        torch.manual_seed(number)
        config = random_taae(rng)
        model = randomised(zoo.from_config(config)).train()
        audio = torch.randn(2, model.io_channels, rng.randint(1, 5 * model.downsampling_ratio))
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
        ran += 1
    assert ran == CONFIGS >= 50


@pytest.mark.parametrize("use_snake", [False, True])
@pytest.mark.parametrize("strides", [(1,), (3,), (1, 2), (5, 3), (2, 1), (3, 1, 4)])
def test_lengths_are_exact_for_any_stride(strides, use_snake):
    ratio = 1
    for stride in strides:
        ratio *= stride
    sizes = {
        "channels": 3,
        "latent_dim": 4,
        "c_mults": (1, 2, 3)[: len(strides)],
        "strides": strides,
        "transformer_depths": (1, 1, 1)[: len(strides)],
    }
    encoder = TAAEEncoder(1, **sizes, use_snake=use_snake)
    decoder = TAAEDecoder(1, **sizes, use_snake=use_snake)
    for frames in (1, 2, 5):
        latents = encoder(torch.randn(1, 1, frames * ratio))
        assert latents.shape[-1] == frames
        assert decoder(latents).shape[-1] == frames * ratio


def test_defaults_are_upstreams():
    with torch.device("meta"):
        for network in (TAAEEncoder(), TAAEDecoder()):
            blocks = [m for m in network.modules() if isinstance(m, TransformerBlock)]
            assert len(blocks) == 12
            assert {block.self_attn.window for block in blocks} == {(63, 64)}
            assert {block.self_attn.dim_heads for block in blocks} == {128}


@torch.no_grad()
@pytest.mark.parametrize("conformer", [False, True])
def test_chunked_equals_unchunked(conformer):
    rng = random.Random(3)
    config = random_taae(rng, strides=(2, 3))
    for side in ("encoder", "decoder"):
        config["model"][side]["config"] |= {
            "sliding_window": [4, 3],
            "transformer_depths": [1] * len(config["model"][side]["config"]["strides"]),
            "conformer": conformer,
        }
    model = randomised(zoo.from_config(config)).eval()
    ratio = model.downsampling_ratio
    for frames, chunk in ((200, 16), (131, 50), (3, 1)):
        audio = torch.randn(1, model.io_channels, frames * ratio - 1)
        expected = model.encode(audio)
        given = model.encode_audio(audio, chunked=True, chunk_size=chunk)
        close = 1e-5 * max(1, expected.abs().max().item())
        torch.testing.assert_close(given, expected, atol=close, rtol=0)
        expected = model.decode(given)
        decoded = model.decode_audio(given, chunked=True, chunk_size=chunk)
        close = 1e-5 * max(1, expected.abs().max().item())
        torch.testing.assert_close(decoded, expected, atol=close, rtol=0)


def test_global_attention_has_no_context():
    config = random_taae(random.Random(5))
    for side in ("encoder", "decoder"):
        strides = config["model"][side]["config"]["strides"]
        config["model"][side]["config"] |= {
            "sliding_window": None,
            "transformer_depths": [1] * len(strides),
        }
    model = zoo.from_config(config)
    for side in ("encoder_context", "decoder_context"):
        with pytest.raises(NotImplementedError, match="the whole signal"):
            getattr(model, side)
    assert model.config.to_dict()["model"]["encoder"]["config"]["sliding_window"] is None


@torch.no_grad()
def test_compiles_without_breaks():
    sizes = {"channels": 4, "latent_dim": 3, "c_mults": (2,), "strides": (3,)}
    options = {"transformer_depths": (1,), "sliding_window": (5, 4), "conformer": True}
    encoder = randomised(TAAEEncoder(1, **sizes, **options))
    decoder = randomised(TAAEDecoder(1, **sizes, **options))
    audio = torch.randn(1, 1, 900)
    for network, given in ((encoder, audio), (decoder, encoder(audio))):
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(given), network(given))


def test_checkpointing_changes_memory_not_gradients():
    torch.manual_seed(0)
    sizes = {"channels": 4, "latent_dim": 3, "c_mults": (1, 2), "strides": (2, 2)}
    options = {"transformer_depths": (1, 2), "use_dilated_conv": True}
    plain = randomised(TAAEEncoder(1, **sizes, **options))
    saving = TAAEEncoder(1, **sizes, **options, checkpointing=True)
    saving.load_state_dict(plain.state_dict())
    parts = [m for m in saving.modules() if isinstance(m, Checkpointed)]
    assert len(parts) == 3 + 6
    assert all(part.checkpointing for part in parts)
    audio = torch.randn(1, 1, 200)
    kept = []
    for network in (plain, saving):
        sizes_kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes_kept=sizes_kept: (sizes_kept.append(x.numel()), x)[1], lambda x: x
        ):
            output = network(audio).square().sum()
        kept.append(sum(sizes_kept))
        output.backward()
    for mine, other in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert kept[1] < 0.5 * kept[0]
    set_checkpointing(saving, False)
    assert not any(part.checkpointing for part in parts)


def test_window_of_one_frame_is_its_own_value():
    """With a window of (0, 0) the softmax has one term, so attention is linear in each frame."""
    attention = Attention(6, 3, window=(0, 0), qk_norm="ln", zero_init_output=False)
    x = torch.randn(2, 77, 6)
    expected = attention.to_out(attention.to_qkv(x)[..., 12:])
    torch.testing.assert_close(attention(x), expected)
