"""Audio and pictures of what the model can do so far."""

from __future__ import annotations

from pathlib import Path

from lightning import LightningModule, Trainer

from zoo.data.files import write_audio
from zoo.evaluation.plots import spectrogram_figure, write_png
from zoo.training.callbacks.validated import ValidationCallback
from zoo.training.module import Reconstruction
from zoo.training.shown import show_audio, show_image, step_folder


class Examples(ValidationCallback):
    """At each validation, writes the first clips and their reconstructions, and one picture.

    Args:
        folder: gets `step-000100/clip-0-input.wav`, `…-output.wav` and `spectrogram.png`.
        clips: how many clips.
    """

    def __init__(self, folder: Path, clips: int, sample_rate: int) -> None:
        self.folder = folder
        self.clips = clips
        self.sample_rate = sample_rate
        self._written = 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._written = 0

    def see(
        self,
        trainer: Trainer,
        module: LightningModule,
        reconstruction: Reconstruction,
        batch_index: int,
    ) -> None:
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        folder = step_folder(self.folder, trainer)
        for real, decoded in zip(reconstruction.reals, reconstruction.decoded, strict=True):
            if self._written == self.clips or not decoded.isfinite().all():
                return
            pair = {"input": real.float().cpu(), "output": decoded.float().cpu()}
            for side, audio in pair.items():
                name = f"clip-{self._written}-{side}.wav"
                write_audio(folder / name, audio, self.sample_rate)
                show_audio(trainer, f"examples/{self._written}-{side}", folder / name)
            if self._written == 0:
                figure = spectrogram_figure(pair["input"], pair["output"], self.sample_rate)
                file = write_png(figure, folder / "spectrogram.png")
                show_image(trainer, "examples/spectrogram", file)
            self._written += 1
