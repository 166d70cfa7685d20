"""One file that says what a folder of latents holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from zoo.data.corpus import MANIFEST, Corpus, find_clips
from zoo.data.moments import Moments
from zoo.data.shards import Shard, find_shards
from zoo.errors import CheckpointError
from zoo.inference.batch.webdataset import compact
from zoo.writing import write_whole

_KEYS = {"fingerprint", "zoo_version"}


def write_manifest(out: str | Path, model: dict[str, Any] | None = None) -> Path:
    """Writes `out/manifest.json`, once all writers are closed; again whenever clips were added.

    It holds the fingerprint of the model and facts about it, how many clips, frames and seconds
    there are, the shards if any, and mean and standard deviation of each channel over all frames,
    which `LatentDataModule` normalises with. Of shards the latents are not read again.

    Args:
        model: facts of `model_facts`; by default what the shards or an older manifest say.

    Raises:
        CheckpointError: the folder holds no latents, those of several models, or another file of
            that name.
    """
    from zoo import __version__

    folder = Path(out)
    check_manifest(folder)
    try:
        compact(folder)
        corpus = find_clips(folder)
        # A folder of files has none.
        shards = find_shards(folder)
        frames = [clip.frames for clip in corpus.clips]
        content = {
            "format": corpus.clips[0].path.suffix.removeprefix("."),
            "fingerprint": corpus.fingerprint,
            "zoo_version": __version__,
            "model": model or _model(corpus, shards),
            "clips": len(frames),
            "seconds": sum(clip.seconds for clip in corpus.clips),
            "frames": {"total": sum(frames), "shortest": min(frames), "longest": max(frames)},
            "latents": _statistics(_moments(corpus, shards), corpus),
            "shards": [
                {
                    "file": shard.path.name,
                    "clips": len(shard.members),
                    "frames": sum(member.frames for member in shard.members),
                    "bytes": shard.bytes,
                }
                for shard in shards
            ],
        }
        write_whole(folder / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise CheckpointError(
            f"{folder / MANIFEST}: cannot be written: {error.strerror or error}"
        ) from None
    return folder / MANIFEST


def check_manifest(folder: Path) -> None:
    """Raises: CheckpointError where a manifest.json is there that zoo did not write."""
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return
    try:
        content = json.loads(path.read_bytes())
        ours = isinstance(content, dict) and not _KEYS.isdisjoint(content)
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise CheckpointError(
            f"{path}: exists and is no manifest of zoo, so it is not overwritten; choose another "
            "folder, or move it"
        )


def _model(corpus: Corpus, shards: list[Shard]) -> dict[str, Any]:
    known = next((shard.model for shard in shards if shard.model), None)
    before = corpus.manifest()
    if known is None and before.get("fingerprint") == corpus.fingerprint:
        known = before.get("model")
    return known or {}


def _moments(corpus: Corpus, shards: list[Shard]) -> Moments | None:
    if corpus.clips[0].tokens:
        return None
    if shards:
        return Moments.merged(shard.moments for shard in shards if shard.moments is not None)
    whole = (clip.read() for clip in corpus.clips)
    return Moments.merged(Moments.of(piece.values, piece.std) for piece in whole)


def _statistics(moments: Moments | None, corpus: Corpus) -> dict[str, list[float]] | None:
    if moments is None:
        return None
    found = {"mean": moments.mean.tolist(), "std": moments.std.tolist()}
    if any(clip.posterior for clip in corpus.clips):
        found["std_of_draws"] = moments.std_of_draws.tolist()
    return found
