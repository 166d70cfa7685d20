"""The Lightning data module: a folder of audio, or practice audio, to batches of crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from zoo.config.data import DataConfig
from zoo.data.crops import AudioFile, CropDataset, CropSampler, FixedCrops
from zoo.data.files import AUDIO_SUFFIXES, find_audio, probe
from zoo.data.loading import loader
from zoo.data.messages import listed, say
from zoo.data.split import split_files
from zoo.data.synthesis import corpus_paths, write_corpus
from zoo.errors import AudioError

_PROBING_THREADS = 8


class AudioDataModule(LightningDataModule):
    """Batches are float32 (batch, channels, samples); training never ends, validation is fixed.

    The training loop calls `advance` after each step. Then a checkpoint holds how many crops were
    trained on, and a resumed run goes on with the next one, whatever the number of workers.

    Args:
        config: folder or practice audio, crop length, batch size, workers.
        sample_rate: Hz; other files are resampled.
        channels: other files are mixed down or their channels repeated.
        seed: decides the split, the crops and the augmentation.
    """

    def __init__(self, config: DataConfig, *, sample_rate: int, channels: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.channels = channels
        self.seed = seed
        self.sample_number = 0
        self.training_files: tuple[AudioFile, ...] = ()
        self.validation_files: tuple[AudioFile, ...] = ()
        self._sampler: CropSampler | None = None
        self._announced = False
        self._validation_crops = 0

    def prepare_data(self) -> None:
        """Writes practice audio where no folder is given; once per machine."""
        if self.config.folder is None:
            self._practice_files()

    def setup(self, stage: str | None = None) -> None:
        """Finds, probes and splits the files.

        Raises:
            AudioError: the folder is missing, or holds no audio that can be read.
        """
        if self.training_files:
            return
        if self.config.folder is None:
            paths = self._practice_files()
            folder = paths[0].parent
        else:
            folder = Path(self.config.folder).expanduser()
            paths = find_audio(folder)
        if not paths:
            raise AudioError(
                f"{folder}: no audio files in this folder or below; looked for "
                f"{', '.join(AUDIO_SUFFIXES)}"
            )
        files = _probed(paths, folder)
        split = split_files(files, folder, fraction=self.config.validation_fraction, seed=self.seed)
        if split.shared:
            say(f"{files[0].path} is the only audio file: it trains and validates")
        self.training_files, self.validation_files = split.training, split.validation

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Endless crops from `sample_number` on."""
        config = self.config
        dataset = CropDataset(
            self.training_files,
            sample_rate=self.sample_rate,
            channels=self.channels,
            segment_samples=config.segment_samples,
            seed=self.seed,
            skip_silence_db=config.skip_silence_db,
            phase_flip=config.phase_flip,
            gain_db=config.gain_db,
        )
        self._sampler = CropSampler(self.sample_number, *self._rank_and_world())
        return self._loader(dataset, self._sampler, config.workers)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The fixed crops, dealt out to the ranks; the last round is filled up from the first."""
        config = self.config
        dataset = FixedCrops(
            self.validation_files,
            sample_rate=self.sample_rate,
            channels=self.channels,
            segment_samples=config.segment_samples,
            crops=config.validation_crops,
        )
        self._validation_crops = len(dataset)
        rank, world = self._rank_and_world()
        # Ranks with fewer batches than others would leave those waiting in a collective call.
        rounds = math.ceil(len(dataset) / world)
        numbers = [(turn * world + rank) % len(dataset) for turn in range(rounds)]
        batches = math.ceil(rounds / config.batch_size)
        return self._loader(dataset, numbers, min(config.workers, batches))

    def repeated(self, batch_index: int, size: int) -> int:
        """How many crops, at the end of a validation batch of `size`, fill up the last round."""
        rank, world = self._rank_and_world()
        first = batch_index * self.config.batch_size
        turns = range(first, first + size)
        return sum(turn * world + rank >= self._validation_crops for turn in turns)

    def advance(self, crops: int) -> None:
        """Counts `crops` crops, over all ranks, as trained on."""
        assert crops > 0
        self.sample_number += crops
        if self._sampler is not None:
            self._sampler.start = self.sample_number

    def state_dict(self) -> dict[str, Any]:
        return {"sample_number": self.sample_number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.sample_number = int(state_dict["sample_number"])
        if self._sampler is not None:
            self._sampler.start = self.sample_number

    def _practice_files(self) -> tuple[Path, ...]:
        config, synthesis = self.config, self.config.synthesis
        where = (config.cache, synthesis, self.sample_rate, self.channels)
        if not self._announced:
            self._announced = True
            paths = corpus_paths(*where)
            verb = "using" if all(path.exists() for path in paths) else "writing"
            say(
                f"no data.folder is given: {verb} practice audio in {paths[0].parent} "
                f"({synthesis.files} files of {synthesis.seconds} s)"
            )
        return write_corpus(*where)

    def _rank_and_world(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _loader(
        self, dataset: Dataset[Tensor], sampler: Sampler[int] | Sequence[int], workers: int
    ) -> DataLoader[Tensor]:
        return loader(dataset, sampler, self.config.batch_size, workers)


def _probed(paths: Sequence[Path], folder: Path) -> tuple[AudioFile, ...]:
    """The files that can be read; the others are named in one line."""
    with ThreadPoolExecutor(_PROBING_THREADS) as threads:
        results = list(threads.map(_probe, paths))
    broken = [result for result in results if isinstance(result, AudioError)]
    files = tuple(result for result in results if isinstance(result, AudioFile))
    if not files:
        raise AudioError(
            f"{folder}: none of the {len(paths)} audio files can be used: "
            f"{listed([str(error) for error in broken])}"
        )
    if broken:
        reasons = listed([str(error) for error in broken])
        say(f"{len(broken)} of {len(paths)} audio files are left out: {reasons}")
    return files


def _probe(path: Path) -> AudioFile | AudioError:
    try:
        return AudioFile(path, probe(path))
    except AudioError as error:
        return error
