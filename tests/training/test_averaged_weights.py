"""The average of the weights against ema-pytorch."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from ema_pytorch import EMA
from torch import nn

from zoo.checkpoints.files import EMA_KEY
from zoo.training.callbacks.averaged_weights import AveragedWeights


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))


def run(callback: AveragedWeights, module, values, start: int = 0) -> None:
    for step, value in enumerate(values, start + 1):
        with torch.no_grad():
            module.model.weight.copy_(value)
            module.model.count.fill_(step)
        module.updates = step
        callback.on_train_batch_end(None, module)
        # A batch that made no update changes nothing.
        callback.on_train_batch_end(None, module)


def expected(values, beta: float, power: float) -> torch.Tensor:
    """What the package that upstream uses makes of the same weights."""
    online = Model()
    other = EMA(
        online, ema_model=Model(), beta=beta, power=power, update_every=1, update_after_step=1
    )
    for value in values:
        with torch.no_grad():
            online.weight.copy_(value)
        other.update()
    return other.ema_model.weight.detach()


def test_it_is_upstreams_average_and_survives_a_checkpoint():
    values = list(torch.randn(20, 3))
    module = SimpleNamespace(model=Model())
    callback = AveragedWeights(beta=0.9, power=0.75)
    callback.on_fit_start(SimpleNamespace(), module)
    run(callback, module, values[:12])
    checkpoint: dict = {}
    callback.on_save_checkpoint(None, None, checkpoint)
    again = AveragedWeights(beta=0.9, power=0.75)
    again.on_load_checkpoint(None, None, {EMA_KEY: dict(checkpoint[EMA_KEY])})
    again.load_state_dict(callback.state_dict())
    again.on_fit_start(SimpleNamespace(), module)
    run(again, module, values[12:], start=12)
    torch.testing.assert_close(
        again.average["weight"], expected(values, 0.9, 0.75), atol=1e-6, rtol=1e-5
    )
    assert again.average["count"] == 20


def test_validation_sees_the_average_and_gives_the_online_weights_back():
    module = SimpleNamespace(model=Model())
    callback = AveragedWeights(beta=0.5)
    callback.on_fit_start(SimpleNamespace(), module)
    run(callback, module, [torch.ones(3), torch.full((3,), 2.0)])
    average = callback.average["weight"].clone()
    for leave in ("end", "exception"):
        callback.on_validation_start(None, module)
        assert torch.equal(module.model.weight, average)
        if leave == "end":
            callback.on_validation_end(None, module)
        else:
            callback.on_exception(None, module, RuntimeError())
        assert torch.equal(module.model.weight, torch.full((3,), 2.0))
