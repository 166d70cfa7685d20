"""Callbacks are asked in an order in which what is saved is a step that all have seen."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint

from tests.shrunk import shrunk
from zoo.checkpoints.files import EMA_KEY
from zoo.checkpoints.torch_file import read_ckpt
from zoo.training.run import _trainer, train

EVERYTHING = ["early_stopping={patience: 3}", "trainer.enable_progress_bar=true"]


@pytest.mark.parametrize("recipe", ["oobleck_vae", "starter_dit"])
def test_who_changes_a_step_comes_before_who_saves_it(tmp_path, recipe):
    callbacks = _trainer(shrunk(recipe, tmp_path, *EVERYTHING), tmp_path).callbacks
    names = [type(callback).__name__ for callback in callbacks]
    # Random numbers of a batch depend on the crops that were counted before it.
    assert names[:2] == ["SeededSteps", "SampleCounter"]
    # The guard's copy has the average after the same update.
    assert names.index("AveragedWeights") < names.index("Rollback")
    writers = [isinstance(callback, Checkpoint) for callback in callbacks]
    assert sum(writers) == 2
    assert writers == sorted(writers)
    # It saves too, and ends the run.
    assert names[-3] == "Interruption"
    assert {"Alarms", "Examples", "Latents", "Speed", "Plateau", "TrainingProgress"} < set(names)


def test_what_validation_saves_is_the_state_after_the_step(tmp_path):
    """Not the average that it validates, nor the step before."""
    run = train(shrunk("starter", tmp_path, "trainer.max_steps=4", "checkpoints.keep=2"))
    (path,) = run.folder.glob("checkpoints/step-000004_*.ckpt")
    kept, last = read_ckpt(path), read_ckpt(run.last_checkpoint)
    assert kept["global_step"] == last["global_step"] == 4
    assert kept["AudioDataModule"] == last["AudioDataModule"] == {"sample_number": 8}
    for part in ("state_dict", EMA_KEY):
        assert kept[part].keys() == last[part].keys()
        assert all(torch.equal(kept[part][key], last[part][key]) for key in last[part])
    online = {key.removeprefix("model."): value for key, value in last["state_dict"].items()}
    assert any(not torch.equal(online[key], average) for key, average in last[EMA_KEY].items())
