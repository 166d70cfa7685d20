"""Training of diffusion autoencoders: one step against upstream's, freezing, resuming."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch

import zoo
from tests.oracle import import_upstream
from tests.shrunk import shrunk
from tests.training.test_autoencoder_module import fit
from zoo.config.resolve import parse_recipe
from zoo.training.build import build_module
from zoo.training.losses import StereoSTFTLoss
from zoo.training.run import train

PLAIN = [
    "ema=null",
    "optimizers.autoencoder.optimizer={type: SGD, config: {lr: 0.01}}",
    "optimizers.autoencoder.scheduler=null",
    "trainer.gradient_clip_val=null",
]
SPECTRA = (
    "losses.stft={weight: 0.1, fft_sizes: [256, 64], hop_sizes: [64, 16], win_lengths: [256, 64]}"
)


class Times:
    """Stands for upstream's Sobol sequence."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    def draw(self, count: int) -> torch.Tensor:
        return self.values[:count, None]


def upstreams_step(model, audio, times) -> torch.Tensor:
    """The loss of upstream's own training step."""
    with pytest.MonkeyPatch.context() as patch:
        # The same Lightning by its older name, which is not installed.
        for name in ("", ".utilities", ".utilities.rank_zero"):
            module = importlib.import_module(f"lightning.pytorch{name}")
            patch.setitem(sys.modules, f"pytorch_lightning{name}", module)
        training = import_upstream("stable_audio_tools.training.diffusion")
    wrapper = training.DiffusionAutoencoderTrainingWrapper(
        model, ema_copy=zoo.from_config(model.config, engine="stable-audio-tools")
    )
    wrapper.rng = Times(times)
    wrapper.log_dict = lambda *args, **kwargs: None
    torch.manual_seed(5)
    return wrapper.training_step((audio,), 0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["dit_diffae", "adp_diffae"])
def test_a_step_equals_upstreams_loss_and_update(name, tmp_path):
    objective: list[str] = []
    if "dit" in name:
        objective = ["diffusion_objective=v", "sliding_window=null"]
        objective = [f"model.diffusion.config.{option}" for option in objective]
    recipe = shrunk(name, tmp_path, *PLAIN, *objective)
    torch.manual_seed(0)
    module = build_module(recipe)
    for weight in module.model.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    theirs = zoo.from_config(recipe.container(), engine="stable-audio-tools").train()
    before = {key: value.clone() for key, value in module.model.state_dict().items()}
    theirs.load_state_dict(before)
    audio, times = 0.3 * torch.randn(2, 2, 8192), torch.tensor([0.3, 0.8])
    module.timesteps = lambda count, generator: times

    fit(module, audio)

    upstreams_step(theirs, audio, times).backward()
    moved = 0
    with torch.no_grad():
        for weight in theirs.parameters():
            if weight.grad is not None:
                weight -= 0.01 * weight.grad
                moved += weight.grad.abs().max().item() > 1e-4
    assert moved > 20
    given, expected = module.model.state_dict(), theirs.state_dict()
    for key in expected:
        torch.testing.assert_close(given[key], expected[key], atol=1e-6, rtol=1e-4, msg=key)
    for part in ("encoder.", "diffusion."):
        keys = [key for key in before if key.startswith(part)]
        apart = torch.stack([(given[key] - expected[key]).norm() for key in keys]).norm()
        moved = torch.stack([(before[key] - expected[key]).norm() for key in keys]).norm()
        assert apart < 1e-4 * moved


@pytest.mark.parametrize("name", ["dit_diffae", "adp_diffae"])
def test_upstreams_engine_trains_two_steps(name, tmp_path):
    more = ["engine=stable-audio-tools"]
    if "dit" in name:
        more += ["model.diffusion.config.diffusion_objective=v"]
        more += ["model.diffusion.config.sliding_window=null"]
    run = train(shrunk(name, tmp_path, *more))
    assert run.steps == 2
    for engine in ("zoo", "stable-audio-tools"):
        assert zoo.from_checkpoint(run.folder, engine=engine).latent_dim == 64


@pytest.mark.parametrize("name", ["dit_diffae", "adp_diffae", "dau_diffae"])
def test_spectra_of_the_predicted_audio_teach_the_encoder(name, tmp_path):
    torch.manual_seed(0)
    recipe = shrunk(name, tmp_path, *PLAIN, SPECTRA, "losses.mse=0", "losses.kl=0")
    module = build_module(recipe)
    for weight in module.model.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    before = {key: value.clone() for key, value in module.model.state_dict().items()}
    fit(module, 0.3 * torch.randn(2, 2, 8192))
    after = module.model.state_dict()
    for part in ("encoder.", "diffusion."):
        changed = [key for key in before if not torch.equal(before[key], after[key])]
        assert any(key.startswith(part) for key in changed)
    assert all(value.isfinite().all() for value in after.values())


@pytest.mark.parametrize("name", ["dit_diffae", "adp_diffae"])
def test_the_spectral_loss_is_of_the_audio_that_the_prediction_stands_for(name, tmp_path):
    module = build_module(shrunk(name, tmp_path, *PLAIN, SPECTRA, "losses.kl=0"))
    model, audio = module.model, 0.3 * torch.randn(2, 2, 8192)
    for weight in model.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    times = torch.tensor([0.3, 0.8])
    module.timesteps = lambda count, generator: times
    found = {}
    module.learn_model = lambda losses, latents: found.update(losses)
    torch.manual_seed(5)
    module.training_step(audio, 0)

    torch.manual_seed(5)
    latents = model.encode(audio)
    clean = audio if model.pretransform is None else model.pretransform.encode(audio)
    noise, t = torch.randn_like(clean), times[:, None, None]
    if "dit" in name:
        noisy, back = (1 - t) * clean + t * noise, lambda x, v: x - t * v
    else:
        alpha, sigma = (t * torch.pi / 2).cos(), (t * torch.pi / 2).sin()
        noisy, back = alpha * clean + sigma * noise, lambda x, v: alpha * x - sigma * v
    heard = back(noisy, model.diffusion(noisy, times, input_concat_cond=latents))
    if model.pretransform is not None:
        heard = model.pretransform.decode(heard)
    sizes = ([256, 64], [64, 16], [256, 64])
    expected = StereoSTFTLoss(*sizes, sample_rate=44100, perceptual_weighting=True)
    torch.testing.assert_close(found["stft"].value, expected(heard, audio))
    assert found["stft"].weight == 0.1


@pytest.mark.parametrize("name", ["dit_diffae", "adp_diffae", "dau_diffae"])
def test_mixed_precision_predicts_the_float32_target(name, tmp_path):
    module = build_module(shrunk(name, tmp_path, *PLAIN, "losses.kl=0"))
    for weight in module.model.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    audio, errors = 0.3 * torch.randn(2, 2, 8192), []
    module.timesteps = lambda count, generator: torch.tensor([1e-4, 0.5])
    module.learn_model = lambda losses, latents: errors.append(losses["mse"].value)
    for mixed in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            module.training_step(audio, 0)
    assert errors[1].dtype == torch.float32
    torch.testing.assert_close(errors[0], errors[1], rtol=0.03, atol=0)


def test_a_trained_pretransform_does_not_move_the_target(tmp_path):
    inner = {
        "encoder": {"type": "oobleck", "config": {"channels": 2, "c_mults": [1], "strides": [4]}},
        "decoder": {"type": "oobleck", "config": {"channels": 2, "c_mults": [1], "strides": [4]}},
        "latent_dim": 32,
        "downsampling_ratio": 4,
        "io_channels": 2,
    }
    network = {"type": "dit", "config": {"embed_dim": 32, "num_heads": 1, "depth": 1}}
    model = {
        "pretransform": {"type": "autoencoder", "enable_grad": True, "config": inner},
        "diffusion": network,
        "latent_dim": 32,
        "downsampling_ratio": 4,
        "io_channels": 2,
    }
    base = shrunk("dit_diffae", tmp_path).to_dict()
    for key in ("sample_size", "audio_channels"):
        base.pop(key, None)
    module = build_module(parse_recipe({**base, "model": model}, [], "trained"))
    losses = {}
    module.learn_model = lambda found, latents: losses.update(found)
    module.training_step(0.3 * torch.randn(1, 2, 256), 0)
    losses["mse"].value.backward()
    # The condition still teaches it; a decoder that no loss hears gets nothing.
    encoder = module.model.pretransform.model.encoder
    assert all(weight.grad is not None for weight in encoder.parameters())
    torch.nn.init.normal_(module.model.diffusion.model.transformer.project_in.weight)
    module.model.zero_grad()
    module.model.diffusion.forward = lambda x, t, input_concat_cond: x.detach()
    module.training_step(0.3 * torch.randn(1, 2, 256), 0)
    assert not losses["mse"].value.requires_grad


@pytest.mark.parametrize(
    "timesteps",
    [
        "timesteps={type: uniform, shift: {base_shift: 0.5}}",
        "timesteps={type: logit_normal, mean: 0.5, std: 0.5}",
        "timesteps={type: log_snr}",
    ],
)
def test_times_are_drawn_as_the_recipe_says(timesteps, tmp_path):
    module = build_module(shrunk("adp_diffae", tmp_path, timesteps))
    torch.manual_seed(1)
    one = module.timesteps(64, None)
    torch.manual_seed(1)
    assert torch.equal(one, module.timesteps(64, None))
    assert 0 < one.min() < one.max() < 1
    # The shift, the mean and the log ratio all favour noise.
    assert one.mean() > 0.55


def test_validation_decodes_the_same_noise_each_time(tmp_path):
    module = build_module(shrunk("dau_diffae", tmp_path))
    module.model.eval()
    audio = 0.3 * torch.randn(2, 2, 8192)
    one, other = module.reconstruct(audio, 0), module.reconstruct(audio, 0)
    assert torch.equal(one.decoded, other.decoded)
    later = module.reconstruct(audio, 1)
    assert not torch.equal(one.decoded, later.decoded)
    torch.manual_seed(0)
    drawn = torch.rand(())
    torch.manual_seed(0)
    module.reconstruct(audio, 0)
    assert torch.equal(drawn, torch.rand(()))
