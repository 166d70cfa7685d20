"""Latents as stable-audio-tools' `pre_encode.py` writes and its `PreEncodedDataset` reads them."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.npy import npy_bytes
from zoo.errors import CheckpointError
from zoo.inference.batch.facts import arrays, clip_facts, same_source
from zoo.inference.batch.writer import Source
from zoo.inference.latents import Latents
from zoo.writing import write_whole

# Upstream's reader skips hidden files, and looks for the json by replacing every ".npy" in a path.
# manifest.json is the folder's.
_UNSAFE = re.compile(r"%|^\.|(?<=/)\.|\.(?=npy)|^m(?=anifest$)")


class StableAudioToolsWriter:
    """`out/NAME.npy` (latent, frames) and `out/NAME.json` for each clip.

    The json has upstream's keys, among them `padding_mask`, a 1 for each frame of the clip and a 0
    for each that pads it, and `seconds_total`, rounded up. Tokens of a discrete model take the
    place of latents, as there.

    Args:
        out: the folder.
        fingerprint: of the model.
        rank: of this process; files have the names of their sources on all of them.
        pad_frames: shorter clips are filled up with zeros, as upstream's batches need clips that
            are at least as long as its `latent_crop_length`.
        form: of `form_for`; clips that are kept in another one are not done.

    Raises:
        CheckpointError: the path of the folder holds ".npy", which upstream can't read.

    Source: stable_audio_tools/data/dataset.py and its script pre_encode.py.
    """

    def __init__(
        self,
        out: Path,
        fingerprint: str,
        rank: int = 0,
        *,
        pad_frames: int | None = None,
        form: str | None = None,
    ) -> None:
        if ".npy" in str(out):
            raise CheckpointError(
                f"{out}: stable-audio-tools can't read a folder with '.npy' in its path; choose "
                "another one"
            )
        self.out = out
        self.fingerprint = fingerprint
        self.pad_frames = pad_frames or 0
        self.form = form

    def done(self, source: Source) -> bool:
        """Whether both files are there, whole, of this source, model and padding."""
        values, facts = self._paths(source.name)
        try:
            known = json.loads(facts.read_bytes())
            whole = values.stat().st_size == known["bytes"]
            made_so = (known["fingerprint"], len(known["padding_mask"])) == (
                self.fingerprint,
                max(known["frames"], self.pad_frames),
            ) and self.form in (None, known.get("form"))
            origin = [known["source"][key] for key in ("path", "size", "modified", "content")]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return whole and made_so and same_source(source, *origin)

    def write(self, source: Source, latents: Latents) -> None:
        """Writes both files; the latents come last: they are never without their json.

        Raises:
            CheckpointError: for posteriors, which have no place in this layout; for other files
                of that name.
            OSError: where the disk refuses.
        """
        kept = arrays(latents)
        if "std" in kept:
            raise CheckpointError(
                f"{source.path}: the layout of stable-audio-tools has no place for a posterior; "
                "keep the mean alone, or choose the format safetensors or webdataset"
            )
        (array,) = kept.values()
        missing = max(0, self.pad_frames - latents.frames)
        content = npy_bytes(np.pad(array, ((0, 0), (0, missing))))
        values, facts = self._paths(source.name)
        # Latents without a json are another's.
        foreign = values if not os.path.lexists(facts) else facts
        if os.path.lexists(foreign) and not _is_ours(facts):
            raise CheckpointError(
                f"{source.path}: {foreign} exists and is not of latents that were encoded here, so "
                "it is not overwritten; choose another output folder, or move it"
            )
        mask = [1] * latents.frames + [0] * missing
        made = _upstreams(source, latents) | {"bytes": len(content), "padding_mask": mask}
        values.unlink(missing_ok=True)
        write_whole(facts, json.dumps(made).encode())
        write_whole(values, content)

    def close(self) -> None:
        """All files are on disk after this."""
        os.sync()

    def _paths(self, name: str) -> tuple[Path, Path]:
        safe = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)
        return self.out / f"{safe}.npy", self.out / f"{safe}.json"


def _is_ours(facts: Path) -> bool:
    """Whether a json is there and of latents."""
    try:
        return "padding_mask" in json.loads(facts.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _upstreams(source: Source, latents: Latents) -> dict[str, Any]:
    """Ours, and the keys that upstream's data loader gives its `pre_encode.py`."""
    return clip_facts(source, latents) | {
        "path": str(source.path),
        "relpath": source.name + source.path.suffix,
        "timestamps": [0.0, 1.0],
        "seconds_start": 0,
        "seconds_total": math.ceil(latents.seconds),
    }
