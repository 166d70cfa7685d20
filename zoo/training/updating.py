"""How networks are updated."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from zoo.config.recipe import AnyRecipe
from zoo.training.gradients import clip_gradients, gradient_norm
from zoo.training.guard import Guard
from zoo.training.ranks import mean_over_ranks

GUARD_KEY = "guard"
Configure = Callable[[nn.Module], tuple[Optimizer, Any]]


class UpdatingModule(LightningModule):
    """Accumulates, checks and clips gradients, and updates networks, each with its own optimiser.

    `learn` adds a batch to the gradients; after `trainer.accumulate_grad_batches` of them the
    networks are updated. An update that is not finite is left out, and `trainer.global_step`, which
    counts updates, stays as it was.

    Args:
        configure: gives a network's optimiser and learning-rate schedule (or None), by its name.
        recipe: its accumulation, clipping and guard are applied here.

    Attributes:
        held: batches in the gradients since the last update.
        latest: what was logged of the last update of each network, still on its device.
        guard: decides which updates are made; None: all are.
    """

    def __init__(self, configure: dict[str, Configure], recipe: AnyRecipe) -> None:
        super().__init__()
        # Lightning clips and accumulates for one optimiser only.
        self.automatic_optimization = False
        self.configure = configure
        self.recipe = recipe
        self.held = 0
        self.latest: dict[str, Any] = {}
        self.guard = None if recipe.guard is None else Guard(recipe.guard)
        # Network → the sums of what is logged, over the batches that are held.
        self._sums: dict[str, dict[str, Any]] = {}
        self._is_scale_due = False

    def networks(self) -> list[tuple[str, nn.Module]]:
        """What is trained, each with its name in the recipe's `optimizers`."""
        raise NotImplementedError

    def configure_optimizers(self) -> Any:
        pairs = [self.configure[name](network) for name, network in self.networks()]
        schedulers = [scheduler for _, scheduler in pairs if scheduler is not None]
        return [optimizer for optimizer, _ in pairs], schedulers

    def training_step(self, audio: Tensor, batch_index: int) -> None:
        self.learn(audio)
        self.held = (self.held + 1) % self.batches
        if self.held == 0:
            for name in tuple(self._sums):
                self.update(name)
            if self._is_scale_due:
                self._scaler.update()
                self._is_scale_due = False
            self.log_step()

    def learn(self, audio: Tensor) -> None:
        """Adds the gradients of a batch to those that are held."""
        raise NotImplementedError

    def gather(self, name: str, descent: Tensor, values: Mapping[str, Any]) -> None:
        """Adds a batch's share of the gradient to a network's, and its `values` to the log's."""
        if self.held == 0:
            self.optimizer(name).zero_grad()
        wrapper = self.trainer.strategy.model
        context = contextlib.nullcontext()
        if self.held + 1 < self.batches and isinstance(wrapper, DistributedDataParallel):
            context = wrapper.no_sync()
        with context:
            self.manual_backward(descent / self.batches)
        sums = self._sums.setdefault(name, {})
        for key, value in values.items():
            sums[key] = sums.get(key, 0) + value / self.batches

    def update(self, name: str) -> None:
        """Moves a network down its gradient and logs the mean of the batches in it."""
        values, network, optimizer = self._sums.pop(name), self.network(name), self.optimizer(name)
        if self._scaler is not None:
            self._scaler.unscale_(optimizer.optimizer)
            self._is_scale_due = True
        norm = gradient_norm(network)
        loss = values["train/loss" if name == "autoencoder" else f"train/{name}"]
        if not self._admits(name, loss, norm):
            return
        trainer = self.recipe.trainer
        clip_gradients(network, norm, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
        rate = self.step(name, optimizer)
        if name == "autoencoder":
            values["lr"] = rate
        values[f"grad_norm/{name}"] = norm
        values |= mean_over_ranks({k: v for k, v in values.items() if isinstance(v, Tensor)})
        self.latest |= values
        shown = [key for key in values if key in ("train/loss", "train/discriminator")]
        self.log_dict({key: values.pop(key) for key in shown}, prog_bar=True)
        self.log_dict(values)

    def _admits(self, name: str, loss: Tensor, norm: Tensor) -> bool:
        """Whether an update is made."""
        if self.guard is None:
            # Lightning's scaler, which would leave it out, is not asked.
            return self._scaler is None or bool(norm.isfinite())
        admitted = self.guard.admits(name, loss, norm, self._scaler)
        self.log("train/skipped", float(self.guard.skipped))
        return admitted

    def step(self, name: str, optimizer: LightningOptimizer) -> float:
        """A step of the optimiser and of its schedule. Gives the learning rate."""
        groups = optimizer.param_groups
        rates = [group["lr"] for group in groups]
        factor = 1.0 if self.guard is None else self.guard.factor
        for group in groups:
            group["lr"] *= factor
        with self._unscaled_already():
            if self.counts(name):
                optimizer.step()
            else:
                # The strategy's own call: a LightningOptimizer would advance `global_step`.
                self.trainer.strategy.optimizer_step(optimizer.optimizer, closure=_nothing)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self.advance(optimizer.optimizer)
        return rates[0] * factor

    def counts(self, name: str) -> bool:
        """Whether an update of this network advances `trainer.global_step`."""
        return name == "autoencoder"

    def advance(self, optimizer: Optimizer) -> None:
        """The schedule of `optimizer`, if it has one."""
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler.optimizer is optimizer:
                scheduler.step()  # type: ignore[call-arg]

    def network(self, name: str) -> nn.Module:
        return dict(self.networks())[name]

    def optimizer(self, name: str) -> LightningOptimizer:
        optimizers = self.optimizers()
        given = optimizers if isinstance(optimizers, list) else [optimizers]
        names = [name for name, _ in self.networks()]
        return cast(LightningOptimizer, given[names.index(name)])

    @property
    def batches(self) -> int:
        """Batches that make one update."""
        return self.recipe.trainer.accumulate_grad_batches

    @property
    def _scaler(self) -> Any:
        """Of the losses, in float16; else None."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    @contextlib.contextmanager
    def _unscaled_already(self) -> Iterator[None]:
        """Lightning would divide the gradients by the scale of the losses once more."""
        plugin: Any = self.trainer.precision_plugin
        scaler = self._scaler
        if scaler is not None:
            plugin.scaler = None
        try:
            yield
        finally:
            if scaler is not None:
                plugin.scaler = scaler

    def log_step(self) -> None:
        """Lightning's loggers count batches, unless they are told the step."""
        self.log("step", float(self.global_step))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.guard is not None:
            checkpoint[GUARD_KEY] = self.guard.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.guard is not None and GUARD_KEY in checkpoint:
            self.guard.load_state_dict(checkpoint[GUARD_KEY])


def _nothing() -> None:
    return None
