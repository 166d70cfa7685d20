"""Muon for the matrices of a network, AdamW for its other weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Coefficients = tuple[float, float, float]


class Muon(Optimizer):
    """Momentum whose updates are made orthogonal, as `torch.optim.Muon`, for weights of any shape.

    A kernel of a convolution (out, in, …) is the matrix (out, in × …).

    Args:
        weights: of two dimensions and more.
        lr, weight_decay: rate, and decoupled decay.
        momentum, nesterov: of the gradients' running mean.
        ns_coefficients, ns_steps, eps: as of `orthogonalized`.
        adjust_lr_fn: how the shape scales the rate: 'match_rms_adamw', or 'original'.

    Source: Jordan et al., https://kellerjordan.github.io/posts/muon/; Liu et al., arXiv 2502.16982
        for 'match_rms_adamw', with which Muon and AdamW take equally large steps.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float,
        nesterov: bool,
        ns_coefficients: Coefficients,
        ns_steps: int,
        eps: float,
        adjust_lr_fn: str,
    ) -> None:
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "ns_steps": ns_steps,
            "eps": eps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(weights, options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = _loss_of(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        # torch's Muon keeps it as a matrix.
        mean: Tensor = state["momentum_buffer"].view(gradient.shape)
        mean.lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(mean, group["momentum"]) if group["nesterov"] else mean
        matrix = orthogonalized(
            update.flatten(1), group["ns_coefficients"], group["ns_steps"], group["eps"]
        )
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        scale = _SCALES[group["adjust_lr_fn"]](*matrix.shape)
        weight.sub_(matrix.view(update.shape).to(weight.dtype) * (group["lr"] * scale))


class MuonWithAdamW(Optimizer):
    """Muon for matrices, AdamW for the rest, as one optimiser with one learning rate.

    Vectors and scales, such as the gains of weight normalisation (channels, 1, 1), go to AdamW.

    Args:
        lr, weight_decay: of both.
        betas, adamw_eps: of AdamW.
        **muon: the other options of `Muon`.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        adamw_eps: float,
        **muon: Any,
    ) -> None:
        weights = list(weights)
        matrices = [weight for weight in weights if is_matrix(weight)]
        rest = [weight for weight in weights if not is_matrix(weight)]
        shared: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        # The two that do the work, each with its own group of weights.
        self._parts: list[Optimizer] = []
        if matrices:
            self._parts.append(Muon(matrices, **shared, **muon))
        if rest:
            self._parts.append(torch.optim.AdamW(rest, betas=betas, eps=adamw_eps, **shared))
        super().__init__(
            [{"params": part.param_groups[0]["params"]} for part in self._parts], shared
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = _loss_of(closure)
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups[0]["lr"] = group["lr"]
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        parts = state.pop("parts")
        super().load_state_dict(state)
        for part, saved in zip(self._parts, parts, strict=True):
            part.load_state_dict(saved)


def is_matrix(weight: Tensor) -> bool:
    """Whether `weight` maps more than one number to more than one."""
    return weight.ndim > 1 and len(weight) > 1 and weight[0].numel() > 1


def orthogonalized(matrix: Tensor, coefficients: Coefficients, steps: int, eps: float) -> Tensor:
    """(rows, columns) with the singular values that are not near 0 brought to about 0.5 to 1.5.

    By a polynomial of Newton and Schulz, in bfloat16 on a GPU; a CPU, which multiplies that more
    slowly, takes float32.

    Args:
        coefficients: of x, x³ and x⁵.
        steps: how often it is applied.
        eps: the smallest norm that is divided by.
    """
    a, b, c = coefficients
    made = matrix.float() if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = len(made) > made.shape[1]
    made = made.T if tall else made
    made = made / made.norm().clamp(min=eps)
    for _ in range(steps):
        gram = made @ made.T
        made = torch.addmm(made, torch.addmm(gram, gram, gram, beta=b, alpha=c), made, beta=a)
    return (made.T if tall else made).contiguous()


_SCALES: dict[str, Callable[[int, int], float]] = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


def _loss_of(closure: Callable[[], Any] | None) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
