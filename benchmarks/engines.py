"""Ours against upstream's classes, side by side in one run: encode, decode, one training step.

Run:     python benchmarks/engines.py [--record]      (about five minutes on two CPU cores)
Network: the Stable Audio 2.0 VAE at full width (encode, decode) and with 32 channels (training),
         same weights and inputs; plain `model.encode` and `model.decode`, no fast path.
Step:    forward and backward for one update of the generator and one of the discriminator, without
         the optimisers. Upstream's trainer makes one of the two per batch, so its figure is the sum
         of two of its steps; the losses are the recipe's.
Figures: median seconds and the ratio upstream / ours; largest difference of the outputs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import zoo
from zoo.config.resolve import resolve_recipe
from zoo.interop import quiet
from zoo.training.build import build_module

RESULT = Path(__file__).parent / "results" / "engines.json"
SECONDS, REPEATS, SEGMENT = 2, 3, 32768


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write the figures to results/")
    record = parser.parse_args().record
    rows = {**inference(), **training()}
    facts = {
        "machine": {
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processor": platform.machine(),
            "torch": torch.__version__,
        },
        "rows": rows,
    }
    print(json.dumps(facts, indent=2))
    if record:
        RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def inference() -> dict[str, dict[str, float]]:
    ours = zoo.from_config("oobleck_vae_44k")
    theirs = zoo.from_config("oobleck_vae_44k", engine="stable-audio-tools")
    ours.load_state_dict(theirs.state_dict())
    frames = SECONDS * 44100 // 2048
    audio, latents = torch.randn(1, 2, frames * 2048), torch.randn(1, 64, frames)
    with torch.inference_mode():
        return {
            "encode": compare(
                lambda: ours.encode(audio, skip_bottleneck=True),
                lambda: theirs.encode(audio, skip_bottleneck=True),
            ),
            "decode": compare(lambda: ours.decode(latents), lambda: theirs.decode(latents)),
        }


def training() -> dict[str, dict[str, float]]:
    recipe = resolve_recipe(
        "oobleck_vae", overrides=[f"model.{p}.config.channels=32" for p in ("encoder", "decoder")]
    )
    torch.manual_seed(0)
    module = build_module(recipe)
    adversary, objective = module.adversary, module.objective
    assert adversary is not None
    audio = 0.3 * torch.randn(1, 2, SEGMENT)

    def step() -> None:
        batch = module.reconstruct(audio)
        adversary.discriminator_loss(batch.reals, batch.decoded.detach()).backward()
        losses = objective(batch.decoded, batch.reals, batch.info)
        losses |= adversary.generator_losses(batch.reals, batch.decoded)
        torch.stack([term.weighted for term in losses.values()]).sum().backward()
        module.zero_grad()

    return {"training step": compare(step, upstream_step(recipe, module, audio))}


def upstream_step(recipe, module, audio: torch.Tensor) -> Callable[[], None]:
    """A generator and a discriminator step of upstream's wrapper, without its logging."""
    with quiet():
        from stable_audio_tools.models.discriminators import EncodecDiscriminator
        from stable_audio_tools.training.losses import auraloss

        model = zoo.from_config(recipe.container(), engine="stable-audio-tools").train()
        model.load_state_dict(module.model.state_dict())
        config = recipe.discriminator.config
        judge = EncodecDiscriminator(
            filters=config.filters,
            in_channels=2,
            n_ffts=list(config.n_ffts),
            hop_lengths=list(config.hop_lengths),
            win_lengths=list(config.win_lengths),
        )
    stft = recipe.losses.stft
    settings = {
        "fft_sizes": list(stft.fft_sizes),
        "hop_sizes": list(stft.hop_sizes),
        "win_lengths": list(stft.win_lengths),
        "sample_rate": recipe.sample_rate,
        "perceptual_weighting": True,
    }
    mid_side = auraloss.SumAndDifferenceSTFTLoss(**settings)
    plain = auraloss.MultiResolutionSTFTLoss(**settings)
    weights = recipe.discriminator.weights

    def step() -> None:
        for generator in (True, False):
            latents, info = model.encode(audio, return_info=True)
            decoded = model.decode(latents)
            discriminator, adversarial, features = judge.loss(reals=audio, fakes=decoded)
            loss = discriminator
            if generator:
                loss = (
                    mid_side(audio, decoded)
                    + plain(audio[:, :1], decoded[:, :1]) / 2
                    + plain(audio[:, 1:], decoded[:, 1:]) / 2
                    + recipe.losses.kl * info["kl"]
                    + weights.adversarial * adversarial
                    + weights.feature_matching * features
                )
            loss.backward()
            model.zero_grad()
            judge.zero_grad()

    return step


def compare(ours: Callable, theirs: Callable) -> dict[str, float | None]:
    """In turn, A B A B …, so that a change of the machine's pace meets both."""
    mine, other = ours(), theirs()
    difference = None if mine is None else float((mine - other).abs().max())
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for function, seconds in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(*times, strict=True)]
    return {
        "zoo_seconds": round(statistics.median(times[0]), 3),
        "upstream_seconds": round(statistics.median(times[1]), 3),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "ratio_max": round(max(ratios), 2),
        "max_difference": difference,
    }


if __name__ == "__main__":
    main()
