"""Muon for all weights of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class MuonWithAdamW(Optimizer):
    """torch's Muon for matrices, AdamW for the rest, as one optimiser with one learning rate.

    A kernel of a convolution (out, in, …) is the matrix (out, in × …). Vectors and scales, such as
    the gains of weight normalisation (channels, 1, 1), go to AdamW.

    Args:
        lr, weight_decay: of both.
        betas, adamw_eps: of AdamW.
        momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn: of `torch.optim.Muon`.

    Source: Jordan et al., https://kellerjordan.github.io/posts/muon/; Liu et al., arXiv 2502.16982
        for 'match_rms_adamw', with which both take equally large steps.
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
        self._kernels = [weight for weight in weights if is_matrix(weight)]
        rest = [weight for weight in weights if not is_matrix(weight)]
        self._matrices = [nn.Parameter(_flat(weight)) for weight in self._kernels]
        shared: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        # The two that do the work, each with its own group of weights.
        self._parts: list[Optimizer] = []
        groups: list[dict[str, Any]] = []
        if self._kernels:
            self._parts.append(torch.optim.Muon(self._matrices, **shared, **muon))
            groups.append({"params": self._kernels})
        if rest:
            adamw = torch.optim.AdamW(rest, betas=betas, eps=adamw_eps, **shared)
            self._parts.append(adamw)
            groups.append({"params": rest})
        super().__init__(groups, shared)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups[0]["lr"] = group["lr"]
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.data = _flat(kernel)
            matrix.grad = None if kernel.grad is None else _flat(kernel.grad)
        for part in self._parts:
            part.step()
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            # Where the kernel's memory is in another order, the matrix is a copy.
            if matrix.data_ptr() != kernel.data_ptr():
                kernel.copy_(matrix.view_as(kernel))
            matrix.grad = None
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


def _flat(weight: Tensor) -> Tensor:
    return weight.detach().flatten(1)
