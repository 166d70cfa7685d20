"""A folder of latents, whatever form they have."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from zoo.data.npy import npy_shape, read_npy
from zoo.data.shards import find_shards, newest
from zoo.errors import CheckpointError

MANIFEST = "manifest.json"
_SUFFIXES = (".tar", ".safetensors", ".npy")
_THREADS = 8
_KINDS = {
    ".tar": "shards of webdataset",
    ".safetensors": "files of zoo",
    ".npy": "stable-audio-tools",
}


@dataclass(frozen=True, slots=True)
class Clip:
    """Where the latents of a clip are.

    Attributes:
        name: its place below the folder, without suffix.
        path: the file or shard that holds it.
        frames: without what pads it in its file.
        seconds: of audio.
        tokens: whether it holds tokens in place of latents.
        posterior: whether it has a standard deviation.
        values, std: where the arrays begin in a shard.
    """

    name: str
    path: Path
    frames: int
    seconds: float
    tokens: bool = False
    posterior: bool = False
    values: int = 0
    std: int = 0

    def read(self, start: int = 0, stop: int | None = None) -> Piece:
        """Frames `start` … `stop`. Raises: CheckpointError."""
        stop = self.frames if stop is None else min(stop, self.frames)
        try:
            if self.path.suffix == ".safetensors":
                return self._read_safetensors(start, stop)
            values = read_npy(self.path, self.values, start, stop)
            std = read_npy(self.path, self.std, start, stop) if self.posterior else None
            return Piece(values, std)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(
                f"{self.path}: the latents of {self.name} cannot be read ({error}); the file was "
                "changed or is truncated: encode it again"
            ) from None

    def _read_safetensors(self, start: int, stop: int) -> Piece:
        with safe_open(self.path, framework="pt") as file:
            name = "tokens" if self.tokens else "latents"
            values = file.get_slice(name)[:, start:stop]
            std = file.get_slice("std")[:, start:stop] if self.posterior else None
        # numpy has no bfloat16.
        decimals = (tensor.float().numpy() for tensor in (values, std) if tensor is not None)
        return Piece(values.numpy()) if self.tokens else Piece(*decimals)


@dataclass(frozen=True, eq=False)
class Piece:
    """Frames of a clip: `values` (latent, frames), and the `std` of its posterior."""

    values: NDArray[Any]
    std: NDArray[Any] | None = None


@dataclass(frozen=True)
class Corpus:
    """All clips of a folder, sorted by file and place in it.

    Attributes:
        fingerprint: of the model that made them; None where their files don't say.
    """

    folder: Path
    clips: tuple[Clip, ...]
    fingerprint: str | None

    def manifest(self) -> dict[str, Any]:
        """What `write_manifest` wrote; empty without. Raises: CheckpointError if damaged."""
        path = self.folder / MANIFEST
        if not path.exists():
            return {}
        try:
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict):
                raise ValueError
        except (OSError, ValueError):
            raise CheckpointError(
                f"{path}: damaged; remove it, and write it again with write_manifest"
            ) from None
        return content


def find_clips(folder: str | Path) -> Corpus:
    """Finds latents: shards of webdataset, .safetensors, or the layout of stable-audio-tools.

    Raises:
        CheckpointError: no latents, of several kinds, of several models, or truncated.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; name one with latents")
    paths = _found(folder)
    suffixes = sorted({path.suffix for path in paths})
    if len(suffixes) > 1:
        kinds = ", ".join(_KINDS[suffix] for suffix in suffixes)
        raise CheckpointError(
            f"{folder}: holds latents of several forms ({kinds}); keep each in a folder of its own"
        )
    if not suffixes:
        raise CheckpointError(
            f"{folder}: no latents in this folder or below; make some with `zoo encode`"
        )
    if suffixes == [".tar"]:
        clips, makers = _in_shards(folder)
    else:
        reader = _in_safetensors if suffixes == [".safetensors"] else _in_npy
        clips, makers = _in_files(folder, paths, reader)
    by_maker = {maker: path for path, maker in makers}
    if len(by_maker) > 1:
        (one, path), (other, other_path), *_ = by_maker.items()
        raise CheckpointError(
            f"{folder}: holds latents of several models: {path} has the fingerprint {one}, "
            f"{other_path} has {other}; keep those of each model in a folder of its own"
        )
    if len({clip.tokens for clip in clips}) > 1:
        raise CheckpointError(f"{folder}: holds tokens as well as latents; separate them")
    return Corpus(folder, tuple(clips), next(iter(by_maker), None))


def _found(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = (name for name in names if not name.startswith("."))
        # Shards lie in the folder itself.
        suffixes = _SUFFIXES if Path(root) == folder else _SUFFIXES[1:]
        found += (Path(root, name) for name in shown if name.endswith(suffixes))
    return sorted(found)


Found = tuple[list[Clip], list[tuple[Path, str | None]]]


def _in_shards(folder: Path) -> Found:
    shards = newest(find_shards(folder))
    clips = [
        Clip(
            member.name,
            shard.path,
            member.frames,
            member.seconds,
            tokens=shard.tokens,
            posterior=member.std is not None,
            values=member.values,
            std=member.std or 0,
        )
        for shard in shards
        for member in shard.members
    ]
    return clips, [(shard.path, shard.fingerprint) for shard in shards]


def _in_files(
    folder: Path, paths: list[Path], reader: Callable[[Path, str], tuple[Clip, str | None]]
) -> Found:
    def read(path: Path) -> tuple[Clip, str | None]:
        try:
            return reader(path, path.relative_to(folder).with_suffix("").as_posix())
        except (OSError, KeyError, TypeError, ValueError, SafetensorError):
            raise CheckpointError(
                f"{path}: holds no latents, or is truncated; encode it again, or remove it"
            ) from None

    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(read, paths))
    return [clip for clip, _ in found], [(clip.path, maker) for clip, maker in found]


def _in_safetensors(path: Path, name: str) -> tuple[Clip, str | None]:
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        facts = file.metadata()
        tokens = "tokens" in names
        _, frames = file.get_slice("tokens" if tokens else "latents").get_shape()
    seconds = int(facts["samples"]) / int(facts["sample_rate"])
    return Clip(name, path, frames, seconds, tokens, "std" in names), facts["fingerprint"]


def _in_npy(path: Path, name: str) -> tuple[Clip, str | None]:
    facts = json.loads(path.with_suffix(".json").read_bytes())
    _, frames = npy_shape(path)
    mask = np.flatnonzero(facts["padding_mask"])
    # As upstream's reader does, up to the last frame that counts.
    frames = min(frames, int(mask[-1]) + 1)
    seconds = float(facts.get("seconds", facts["seconds_total"]))
    tokens = bool(np.issubdtype(read_npy(path, stop=1).dtype, np.integer))
    return Clip(facts.get("name", name), path, frames, seconds, tokens), facts.get("fingerprint")
