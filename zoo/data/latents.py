"""The Lightning data module for latents: a folder of them to batches for training on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from zoo.data.corpus import Clip, Corpus, find_clips
from zoo.data.loading import loader
from zoo.data.moments import Scale
from zoo.data.order import ClipSampler
from zoo.data.split import place
from zoo.errors import CheckpointError, ConfigError


class LatentBatch(TypedDict):
    """What training receives.

    Keys:
        latents: float32 (batch, latent, frames), zeros behind short clips; of a discrete model
            int64 tokens (batch, quantizer, frame).
        mask: bool (batch, frames), true where there is a clip.
        clips: for each `name`, `start` (first frame of the crop), `frames` (of the crop, without
            zeros), `seconds` (of the whole clip) and `clip_frames` (of the whole clip).
    """

    latents: Tensor
    mask: Tensor
    clips: list[dict[str, Any]]


class LatentDataset(Dataset[dict[str, Any]]):
    """One crop of each clip; the random numbers are a function of seed, epoch and clip alone.

    Args:
        frames: length of the crops; None for whole clips.
        fixed: crops from the middle, and the mean of each posterior.
        draw: draw from posteriors.
        scale: what latents are normalised by.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        frames: int | None,
        seed: int,
        fixed: bool = False,
        draw: bool = True,
        scale: Scale | None = None,
    ) -> None:
        self.clips = tuple(clips)
        self.frames = frames
        self.seed = seed
        self.fixed = fixed
        self.draw = draw and not fixed
        self.scale = scale

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The clip `number` modulo their count, in the epoch that is their quotient."""
        epoch, index = divmod(number, len(self.clips))
        clip = self.clips[index]
        rng = np.random.default_rng((self.seed, epoch, index))
        latest = 0 if self.frames is None else max(0, clip.frames - self.frames)
        start = latest // 2 if self.fixed else int(rng.integers(latest + 1))
        piece = clip.read(start, None if self.frames is None else start + self.frames)
        values: Any = piece.values
        if clip.tokens:
            values = values.astype(np.int64)
        else:
            values = values.astype(np.float32)
            if self.draw and piece.std is not None:
                noise = rng.standard_normal(values.shape, np.float32)
                values = values + piece.std.astype(np.float32) * noise
            if self.scale is not None:
                values = self.scale.normalize(values)
        return {
            "latents": torch.from_numpy(values),
            "clip": {
                "name": clip.name,
                "start": start,
                "frames": values.shape[-1],
                "seconds": clip.seconds,
                "clip_frames": clip.frames,
            },
        }


class LatentDataModule(LightningDataModule):
    """Batches of latents, see `LatentBatch`. An epoch is one crop of each clip.

    Reads the .safetensors files and webdataset shards of `zoo encode`, and the layout of
    stable-audio-tools. A resumed run starts with a whole epoch.

    Args:
        folder: searched with all folders below.
        frames: length of the crops; shorter clips are filled up with zeros. None gives whole clips,
            filled up to the longest of the batch.
        batch_size: clips per step and process.
        workers: loader processes per training process.
        seed: decides order, crops, draws and split.
        normalize: to mean 0 and standard deviation 1 per channel, by the folder's manifest.
        draw: draw from the posteriors where standard deviations are kept, else take the means.
        validation_fraction: share of the clips kept for validation.
        shards_at_once: shards whose clips are shuffled together.

    Raises:
        ConfigError: for a number out of its range.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        frames: int | None,
        batch_size: int = 16,
        workers: int = 2,
        seed: int = 0,
        normalize: bool = False,
        draw: bool = True,
        validation_fraction: float = 0.0,
        shards_at_once: int = 8,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("frames", 1 if frames is None else frames, 1),
            ("batch_size", batch_size, 1),
            ("workers", workers, 0),
            ("seed", seed, 0),
            ("shards_at_once", shards_at_once, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}, but must be at least {least}")
        if not 0 <= validation_fraction < 1:
            raise ConfigError(
                f"validation_fraction is {validation_fraction}, but must be from 0 to below 1"
            )
        self.folder = Path(folder)
        self.frames = frames
        self.batch_size = batch_size
        self.workers = workers
        self.seed = seed
        self.normalize = normalize
        self.draw = draw
        self.validation_fraction = validation_fraction
        self.shards_at_once = shards_at_once
        self.corpus: Corpus | None = None
        self.scale: Scale | None = None
        self.training_clips: tuple[Clip, ...] = ()
        self.validation_clips: tuple[Clip, ...] = ()

    def setup(self, stage: str | None = None) -> None:
        """Finds and splits the clips.

        Raises:
            CheckpointError: the folder is missing, holds no latents, or those of several models;
                a shard is truncated; nothing to normalise by.
        """
        if self.corpus is not None:
            return
        corpus = find_clips(self.folder)
        drawn = self.draw and any(clip.posterior for clip in corpus.clips)
        self.scale = _scale(corpus, drawn) if self.normalize else None
        self.training_clips, self.validation_clips = self._split(corpus.clips)
        self.corpus = corpus

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Random crops, in another order each epoch."""
        return self._loader(self.training_clips, fixed=False)

    def val_dataloader(self) -> DataLoader[dict[str, Any]] | list[Any]:
        """The middle of each clip kept for validation; no loader where there are none."""
        return self._loader(self.validation_clips, fixed=True) if self.validation_clips else []

    def _loader(self, clips: tuple[Clip, ...], fixed: bool) -> DataLoader[dict[str, Any]]:
        dataset = LatentDataset(
            clips,
            frames=self.frames,
            seed=self.seed,
            fixed=fixed,
            draw=self.draw,
            scale=self.scale,
        )
        trainer = self.trainer
        sampler = ClipSampler(
            dataset,
            [clip.path for clip in clips],
            rank=0 if trainer is None else trainer.global_rank,
            world=1 if trainer is None else trainer.world_size,
            shuffle=not fixed,
            seed=self.seed,
            files_at_once=self.shards_at_once,
        )
        collate = partial(_collated, frames=self.frames)
        return loader(dataset, sampler, self.batch_size, self.workers, collate)

    def _split(self, clips: tuple[Clip, ...]) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        if not self.validation_fraction:
            return clips, ()
        if len(clips) < 2:
            raise CheckpointError(
                f"{self.folder}: one clip can't be split; set validation_fraction to 0"
            )
        places = [(place(Path(clip.name), self.seed), index) for index, clip in enumerate(clips)]
        count = sum(where < self.validation_fraction for where, _ in places)
        chosen = {index for _, index in sorted(places)[: min(max(count, 1), len(clips) - 1)]}
        return (
            tuple(clip for index, clip in enumerate(clips) if index not in chosen),
            tuple(clips[index] for index in sorted(chosen)),
        )


def _collated(items: list[dict[str, Any]], frames: int | None) -> LatentBatch:
    """Clips of a batch, with zeros behind the shorter ones."""
    lengths = torch.tensor([item["clip"]["frames"] for item in items])
    longest = int(lengths.max()) if frames is None else frames
    padded = [F.pad(item["latents"], (0, longest - item["clip"]["frames"])) for item in items]
    return {
        "latents": torch.stack(padded),
        "mask": torch.arange(longest) < lengths[:, None],
        "clips": [item["clip"] for item in items],
    }


def _scale(corpus: Corpus, drawn: bool) -> Scale:
    manifest = corpus.manifest()
    statistics = manifest.get("latents")
    if not statistics:
        why = "holds tokens" if manifest else "has no manifest.json"
        raise CheckpointError(
            f"{corpus.folder}: {why}, so there is nothing to normalise by; call "
            "zoo.write_manifest on a folder of latents, or set normalize=False"
        )
    if manifest["fingerprint"] != corpus.fingerprint:
        raise CheckpointError(
            f"{corpus.folder / 'manifest.json'}: is of a model with the fingerprint "
            f"{manifest['fingerprint']}, but the latents are of {corpus.fingerprint}; write it "
            "again with zoo.write_manifest"
        )
    std = statistics.get("std_of_draws") if drawn else None
    return Scale(np.array(statistics["mean"]), np.array(std or statistics["std"]))
