"""Sounds and pictures in the run folder, shown by whatever logger the run has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.image
import soundfile
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger


def step_folder(folder: Path, trainer: Trainer) -> Path:
    """Where the files of this step lie: `folder`/step-000100."""
    return folder / f"step-{trainer.global_step:06d}"


def show_audio(trainer: Trainer, name: str, file: Path) -> None:
    """Gives a .wav file to each logger that can play it."""
    step = trainer.global_step
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_audio(name, [str(file)], step=step)
        elif isinstance(logger, TensorBoardLogger):
            _play(logger, name, file, step)


def show_image(trainer: Trainer, name: str, file: Path) -> None:
    """Gives a .png file to each logger that can show it."""
    step = trainer.global_step
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [str(file)], step=step)
        elif isinstance(logger, TensorBoardLogger):
            picture = matplotlib.image.imread(file)[..., :3]
            logger.experiment.add_image(name, picture, step, dataformats="HWC")


def _play(logger: TensorBoardLogger, name: str, file: Path, step: int) -> None:
    from tensorboard.compat.proto import summary_pb2

    values, rate = soundfile.read(file, always_2d=True)
    content = io.BytesIO()
    soundfile.write(content, values, rate, subtype="PCM_16", format="WAV")
    Summary: Any = summary_pb2.Summary  # type: ignore[attr-defined]  # noqa: N806
    # torch's `add_audio` takes one channel alone.
    sound = Summary.Audio(
        sample_rate=rate,
        num_channels=values.shape[1],
        length_frames=len(values),
        encoded_audio_string=content.getvalue(),
        content_type="audio/wav",
    )
    summary = Summary(value=[Summary.Value(tag=name, audio=sound)])
    logger.experiment._get_file_writer().add_summary(summary, step)
