"""From noise to a signal in few evaluations of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor

from zoo.models.diffusion.process import Process

SAMPLERS = ("ddim", "dpmpp_2m", "euler", "heun", "pingpong")

# The network's prediction for a noisy signal at a time, a scalar in float64.
Predict = Callable[[Tensor, Tensor], Tensor]
Steps = Iterable[tuple[Tensor, Tensor]]
Progress = Callable[[list[tuple[Tensor, Tensor]]], Steps]


def sample(
    predict: Predict,
    noise: Tensor,
    process: Process,
    sampler: str,
    steps: int,
    fresh: Callable[[int], Tensor],
    progress: Progress = iter,
) -> Tensor:
    """Runs `sampler` from t = 1 to t = 0 in `steps` equal steps.

    Args:
        predict: (noisy signal, t) → prediction of the same shape.
        noise: where it starts, (batch, channels, samples).
        fresh: noise of the same shape, another one for each number from 1 on; for `pingpong`.
        progress: wraps the list of steps.

    Raises:
        ValueError: for an unknown sampler, or less than one step.
    """
    if type(steps) is not int or steps < 1:
        raise ValueError(f"steps is {steps}, but must be a whole number, at least 1")
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    pairs = progress(list(pairwise(times)))
    match sampler:
        case "ddim":
            return ddim(predict, noise, process, pairs)
        case "dpmpp_2m":
            return dpmpp_2m(predict, noise, process, pairs)
        case "euler":
            return euler(predict, noise, process, pairs)
        case "heun":
            return heun(predict, noise, process, pairs)
        case "pingpong":
            return pingpong(predict, noise, process, pairs, fresh)
        case _:
            raise ValueError(f"unknown sampler '{sampler}' (allowed: {', '.join(SAMPLERS)})")


def ddim(predict: Predict, x: Tensor, process: Process, steps: Steps) -> Tensor:
    """The clean signal and the noise of each prediction, mixed for the next time.

    Source: Song et al. 2021, arXiv:2010.02502; stable_audio_tools/inference/sampling.py `sample`.
    """
    for now, then in steps:
        prediction = predict(x, now)
        clean, noise = process.clean(x, prediction, now), process.noise(x, prediction, now)
        x = process.mix(clean, noise, then)
    return x


def dpmpp_2m(predict: Predict, x: Tensor, process: Process, steps: Steps) -> Tensor:
    """Second order in the logarithm of the signal-to-noise ratio, from one step's memory.

    Source: Lu et al. 2022, arXiv:2211.01095, algorithm 2.
    """
    before: Tensor | None = None
    width_before = torch.tensor(0.0)
    for now, then in steps:
        clean = process.clean(x, predict(x, now), now)
        width = _log_snr(process, then) - _log_snr(process, now)
        estimate = clean
        if before is not None and then > 0:
            estimate = clean + (clean - before) * (width / (2 * width_before))
        gain = process.sigma(then) / process.sigma(now)
        x = x * gain - estimate * (process.alpha(then) * torch.expm1(-width))
        before, width_before = clean, width
    return x


def euler(predict: Predict, x: Tensor, process: Process, steps: Steps) -> Tensor:
    """Straight steps along the velocity."""
    for now, then in steps:
        x = x + process.velocity(predict(x, now)) * (then - now)
    return x


def heun(predict: Predict, x: Tensor, process: Process, steps: Steps) -> Tensor:
    """The mean of the velocities before and after each step, but for the last: two evaluations.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1.
    """
    for now, then in steps:
        slope = process.velocity(predict(x, now))
        ahead = x + slope * (then - now)
        if then > 0:
            slope = (slope + process.velocity(predict(ahead, then))) / 2
            ahead = x + slope * (then - now)
        x = ahead
    return x


def pingpong(
    predict: Predict, x: Tensor, process: Process, steps: Steps, fresh: Callable[[int], Tensor]
) -> Tensor:
    """To the clean signal and back to less and less noise, fresh each time.

    For networks distilled to few steps. Source: Song et al. 2023, arXiv:2303.01469, algorithm 1;
    stable_audio_tools/inference/sampling.py `sample_flow_pingpong`.
    """
    for count, (now, then) in enumerate(steps, 1):
        x = process.clean(x, predict(x, now), now)
        if then > 0:
            x = process.mix(x, fresh(count), then)
    return x


def progress_bar(steps: list[tuple[Tensor, Tensor]]) -> Steps:
    """A bar on stderr that goes when it is done."""
    from rich.console import Console
    from rich.progress import track

    return track(steps, "decoding", console=Console(stderr=True), transient=True)


def _log_snr(process: Process, t: Tensor) -> Tensor:
    """log(alpha / sigma), infinite at both ends."""
    return process.alpha(t).log() - process.sigma(t).log()
