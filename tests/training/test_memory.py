"""`checkpointing: auto`: the estimate against tensors that really live, and what follows of it."""

from __future__ import annotations

import os
import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.shrunk import SHRUNK, SMALL_DISCRIMINATOR, shrunk
from zoo.checkpoints.torch_file import read_ckpt
from zoo.config.resolve import resolve_recipe, resume_recipe
from zoo.config.trainer import TrainerConfig
from zoo.training.build import build_module
from zoo.training.memory import free_bytes, settled, step_bytes
from zoo.training.run import train

SMALL = {
    "small": SMALL_DISCRIMINATOR,
    "alone": ["discriminator=null", "model.encoder.config.channels=16", "losses.mel.weight=1"],
    "dac": ["discriminator={type: dac, config: {periods: [2, 3], fft_sizes: [512]}}"],
}


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, and takes off those that go."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def peak_of_a_step(recipe) -> int:
    """Tensors alive at the worst moment of two training steps, with the weights."""
    module: Any = build_module(recipe)
    assert module.adversary is None or module.adversary.judges(0)
    generator = torch.Generator().manual_seed(0)
    shape = (recipe.data.batch_size, 2, recipe.data.segment_samples)
    audio = 0.3 * torch.randn(shape, generator=generator)
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizers = [module.configure[name](network)[0] for name, network in module.networks()]
    with LiveBytes() as memory:
        for _ in range(2):
            batch = module.reconstruct(audio, 0)
            losses = module.objective(batch.decoded, batch.reals, batch.info)
            verdict = None
            if module.adversary is not None:
                verdict = module.adversary.verdict(batch.reals, batch.decoded)
                losses |= verdict.generator
            torch.stack([term.weighted for term in losses.values()]).sum().backward()
            if verdict is not None:
                verdict.discriminator.backward()
            for optimizer in optimizers:
                optimizer.step()
            del batch, losses, verdict
    return memory.peak + 4 * sum(weight.numel() for weight in weights)


@pytest.mark.parametrize("options", SMALL.values(), ids=SMALL)
def test_the_estimate_is_that_of_a_real_step(options):
    recipe = resolve_recipe("oobleck_vae", overrides=[*SHRUNK, *options, "ema=null"])
    ratio = step_bytes(recipe) / peak_of_a_step(recipe)
    assert 1 / 1.5 < ratio < 1.5, ratio


def test_auto_turns_it_on_only_where_a_step_does_not_fit(tmp_path, capsys):
    recipe = shrunk("oobleck_vae", tmp_path)
    assert recipe.checkpointing == "auto"
    needed = step_bytes(recipe)
    assert settled(recipe, free=needed).checkpointing == "off"
    assert capsys.readouterr().err == ""
    assert settled(recipe, free=needed - 1).checkpointing == "on"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "checkpointing=off" in said
    for fixed in ("on", "off"):
        given = recipe.replace(checkpointing=fixed)
        assert settled(given, free=0) is given
    theirs = shrunk("oobleck_vae", tmp_path, "engine=stable-audio-tools")
    assert settled(theirs, free=0).checkpointing == "off"


def test_precision_and_batch_count():
    def needed(*options: str) -> int:
        return step_bytes(resolve_recipe("oobleck_vae", overrides=[*SHRUNK, *options]))

    one = needed("data.batch_size=1")
    assert needed("data.batch_size=8") > 3 * one
    assert needed("trainer.precision=bf16-mixed") < needed() < needed("trainer.precision=64")
    assert needed("ema=null") < needed()


def test_the_machines_free_memory():
    free = free_bytes(TrainerConfig(accelerator="cpu"))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert free is not None and 0 < free < total


def test_a_run_keeps_its_decision_and_makes_the_same_weights(tmp_path, monkeypatch):
    """Also where it is resumed the other way."""
    weights = []
    for free in (2**60, 0):
        monkeypatch.setattr("zoo.training.memory.free_bytes", lambda _, free=free: free)
        recipe = shrunk("oobleck_vae", tmp_path, "trainer.max_steps=1")
        run = train(recipe)
        decided = resume_recipe(run.folder, ["trainer.max_steps=2"])
        assert decided.checkpointing == ("off" if free else "on")
        other = "on" if free else "off"
        turned = resume_recipe(run.folder, ["trainer.max_steps=2", f"checkpointing={other}"])
        train(turned, resume=run.folder)
        weights.append(read_ckpt(run.last_checkpoint)["state_dict"])
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
