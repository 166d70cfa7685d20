"""How a training run writes its checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from zoo.errors import CheckpointError


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames: a full disk or a kill leaves the old file whole.

    Lightning's own goes through the system's temporary folder, which is copied over the good file
    where that is another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        target = Path(path)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or "the disk may be full"
            raise CheckpointError(f"{target}: cannot be written: {reason}") from None
