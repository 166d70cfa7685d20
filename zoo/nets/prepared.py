"""Networks with what can be computed of their weights in advance."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nets.conv import WeightNorm
from zoo.nets.streams.build import stream
from zoo.nets.streams.stream import Stream


class Prepared(nn.Module):
    """Runs what `make` gives for a network in eval mode, without gradients.

    It is made at the first use, and again once a weight of the network has changed (as torch
    counts changes: not through `weight.data`). State dicts are the network's.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.on = True
        self._state: object = None
        self.register_load_state_dict_pre_hook(_to_network)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """That of the network, under its keys."""
        return self.network.state_dict(*args, **kwargs)

    @property
    def layers(self) -> list[nn.Module]:
        return [self.network]

    def forward(self, x: Tensor) -> Tensor:
        if not self.on:
            return self.network(x)
        self._prepare()
        with torch.no_grad():
            return self._run(x)

    def stream(self) -> Stream:
        """A new stream; see `zoo.nets.streams`."""
        self._prepare()
        return self._stream()

    def _run(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _stream(self) -> Stream:
        raise NotImplementedError

    def _make(self) -> None:
        raise NotImplementedError

    def _prepare(self) -> None:
        state = [(p.data_ptr(), _version(p)) for p in self.network.parameters()]
        if state != self._state:
            with torch.no_grad():
                self._make()
            self._state = state


class FoldedNetwork(Prepared):
    """A network whose weight norm is computed once."""

    def _run(self, x: Tensor) -> Tensor:
        return self._folded[0](x)

    def _stream(self) -> Stream:
        return stream(self._folded[0])

    def _make(self) -> None:
        shared = {id(p): p for p in [*self.network.parameters(), *self.network.buffers()]}
        folded = copy.deepcopy(self.network, shared)
        for module in folded.modules():
            if isinstance(module, WeightNorm):
                module.fold()
        # In a list, so that its parameters don't count twice.
        self._folded = [folded]


@contextmanager
def unprepared(parts: nn.Module) -> Iterator[None]:
    """All networks within `parts` run as they are."""
    found = [part for part in parts.modules() if isinstance(part, Prepared)]
    for part in found:
        part.on = False
    try:
        yield
    finally:
        for part in found:
            part.on = True


def _to_network(module: nn.Module, weights: dict[str, Any], prefix: str, *_: Any) -> None:
    """The network's own keys, which `load_state_dict` is given, as torch looks for them."""
    for key in [key for key in weights if key.startswith(prefix)]:
        weights[f"{prefix}network.{key.removeprefix(prefix)}"] = weights.pop(key)


def _version(weight: Tensor) -> int:
    return 0 if weight.is_inference() else weight._version
