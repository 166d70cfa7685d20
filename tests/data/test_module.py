from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from tests.data.material import write_waves
from zoo.config.data import DataConfig, SynthesisConfig
from zoo.data.module import AudioDataModule
from zoo.errors import AudioError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(6):
        write_waves(tmp_path / "music" / f"{seed}.wav", 3000, 1, 8000, seed)
    return tmp_path / "music"


def _module(folder: Path | None, **changes: Any) -> AudioDataModule:
    options = {"segment_samples": 64, "batch_size": 2, "workers": 0, "validation_fraction": 0.3}
    config = DataConfig(**{"folder": folder and str(folder), **options, **changes})
    return AudioDataModule(config, sample_rate=8000, channels=1, seed=1)


def _batches(module: AudioDataModule, count: int) -> list[Tensor]:
    module.setup("fit")
    return list(itertools.islice(iter(module.train_dataloader()), count))


def _at_rank(module: AudioDataModule, rank: int, world: int) -> AudioDataModule:
    module.trainer = SimpleNamespace(global_rank=rank, world_size=world)  # type: ignore[assignment]
    return module


def test_batches_are_the_same_with_any_number_of_workers(folder: Path) -> None:
    alone = _batches(_module(folder), 8)
    assert all(batch.shape == (2, 1, 64) for batch in alone)
    assert len({batch.sum().item() for batch in alone}) == 8
    for workers in (1, 2):
        assert torch.equal(
            torch.stack(_batches(_module(folder, workers=workers), 8)), torch.stack(alone)
        )


def test_a_resumed_run_sees_the_crops_of_a_straight_run(folder: Path) -> None:
    straight = _batches(_module(folder), 9)
    first = _module(folder, workers=2)
    for batch, expected in zip(_batches(first, 4), straight, strict=False):
        assert torch.equal(batch, expected)
        first.advance(2)
    state = first.state_dict()
    assert state == {"sample_number": 8}
    resumed = _module(folder)
    resumed.load_state_dict(state)
    assert torch.equal(torch.stack(_batches(resumed, 5)), torch.stack(straight[4:]))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_new_epoch_goes_on_where_training_stopped(folder: Path, workers: int) -> None:
    straight = _batches(_module(folder), 6)
    module = _module(folder, workers=workers)
    module.setup("fit")
    loader = module.train_dataloader()
    for epoch in range(2):
        for number, batch in enumerate(itertools.islice(iter(loader), 3)):
            assert torch.equal(batch, straight[3 * epoch + number])
            module.advance(2)


def test_ranks_share_the_crops(folder: Path) -> None:
    whole = torch.cat(_batches(_module(folder, batch_size=6), 2))
    dealt = [
        torch.cat(_batches(_at_rank(_module(folder, batch_size=3), rank, 2), 2))
        for rank in range(2)
    ]
    assert torch.equal(torch.stack(dealt, 1).flatten(0, 1), whole)


def test_validation_is_fixed_and_dealt_evenly(folder: Path) -> None:
    def crops(module: AudioDataModule) -> Tensor:
        module.setup("validate")
        return torch.cat(list(module.val_dataloader()))

    whole = crops(_module(folder, validation_crops=7))
    assert whole.shape == (7, 1, 64)
    assert torch.equal(crops(_module(folder, validation_crops=7, workers=2)), whole)
    dealt = [crops(_at_rank(_module(folder, validation_crops=7), rank, 2)) for rank in range(2)]
    expected = torch.cat([whole, whole[:1]])
    assert torch.equal(torch.stack(dealt, 1).flatten(0, 1), expected)


def test_the_global_generator_is_left_alone(folder: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module = _module(folder)
    _batches(module, 2)
    list(module.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


def test_no_folder_gives_practice_audio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {
        "cache": str(tmp_path / "practice"),
        "synthesis": SynthesisConfig(files=3, seconds=1),
    }
    module = _module(None, **options)
    module.prepare_data()
    first = _batches(module, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "writing practice audio in" in lines[0]
    assert str(tmp_path / "practice") in lines[0]
    again = _batches(_module(None, **options), 2)
    assert "using practice audio" in capsys.readouterr().err
    assert torch.equal(torch.stack(first), torch.stack(again))


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="nowhere: no such folder"):
        _module(tmp_path / "nowhere").setup()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(AudioError, match=r"no audio files .* \.wav, \.flac, \.ogg, \.mp3"):
        _module(tmp_path).setup()
    (tmp_path / "a.wav").write_text("text")
    with pytest.raises(AudioError, match=r"none of the 1 audio files .*a\.wav: not readable"):
        _module(tmp_path).setup()


def test_unusable_files_are_left_out_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "text.wav").write_text("text")
    (folder / "empty.mp3").touch()
    module = _module(folder)
    module.setup("fit")
    module.setup("validate")
    assert len(module.training_files) + len(module.validation_files) == 6
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "2 of 8 audio files are left out" in lines[0]
    assert "text.wav" in lines[0]
    assert "empty.mp3" in lines[0]


def test_a_single_file_trains_and_validates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_waves(tmp_path / "only.wav", 1000)
    module = _module(tmp_path)
    module.setup()
    assert module.training_files == module.validation_files
    assert f"{path} is the only audio file" in capsys.readouterr().err


class _Listener(LightningModule):
    """Trains nothing worth having, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.heard: list[Tensor] = []
        self.validated = 0

    def training_step(self, batch: Tensor) -> Tensor:
        self.heard.append(batch.clone())
        return (self.weight * batch).square().mean()

    def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:
        self.trainer.datamodule.advance(len(batch) * self.trainer.world_size)  # type: ignore[attr-defined]

    def validation_step(self, batch: Tensor) -> None:
        self.validated += len(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def _fit(folder: Path, steps: int, workers: int, checkpoint: Path | None = None, save=None):
    listener = _Listener()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=1,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder.parent,
    )
    module = _module(folder, workers=workers, validation_crops=4)
    trainer.fit(listener, datamodule=module, ckpt_path=checkpoint)
    if save is not None:
        trainer.save_checkpoint(save)
    return listener


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
def test_a_trainer_resumes_with_the_next_crop(folder: Path, tmp_path: Path) -> None:
    straight = _fit(folder, 6, workers=0)
    assert len(straight.heard) == 6
    assert straight.validated >= 12
    first = _fit(folder, 3, workers=2, save=tmp_path / "half.ckpt")
    second = _fit(folder, 6, workers=0, checkpoint=tmp_path / "half.ckpt")
    heard = first.heard + second.heard
    assert torch.equal(torch.stack(heard), torch.stack(straight.heard))
