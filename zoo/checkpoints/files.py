"""Checkpoint files: where they are."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import CheckpointError

# What `zoo train` adds to the file that Lightning writes.
CONFIG_KEY = "zoo_config"
EMA_KEY = "zoo_ema"
METRICS_KEY = "zoo_metrics"
# And `zoo export` to the metadata of a .safetensors file.
TRAINING_KEY = "zoo_training"
SUMS_KEY = "zoo_crc32"
# Where `zoo train` writes.
RUNS = "runs"
BEST = Path("checkpoints") / "best.ckpt"
LAST = Path("checkpoints") / "last.ckpt"
AUDIOCRAFT_FILE = "compression_state_dict.bin"
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".th", ".bin")
# Where a folder has one of these pairs, they are a model; in this order.
PAIRS = (
    ("model_config.json", ("model.safetensors", "model.ckpt")),
    ("config.json", ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")),
    ("config.json", ("model.safetensors", "pytorch_model.bin")),
)
# Where a folder has no file of its own, the model is in this one: diffusers' pipelines.
INSIDE = "vae"


def find_checkpoint(path: str | Path) -> Path:
    """The file with the weights: `path` itself, or one in the folder that it is.

    In a run folder that is the best checkpoint, else the last; in a folder of runs, that of the
    newest one; else what stable-audio-tools, diffusers (also in `vae/`), transformers or audiocraft
    would read, or the only weight file. Raises: CheckpointError where there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder")
    for folder in (path, path / INSIDE):
        if found := _published(folder):
            return found
    run = newest_run(path.parent if path.name == "checkpoints" else path)
    if run is not None:
        best = run / BEST
        return best if best.is_file() else run / LAST
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise CheckpointError(f"{path}: no checkpoint in this folder")
    if len(files) > 1:
        raise CheckpointError(f"{path}: which one? {', '.join(file.name for file in files)}")
    return files[0]


def _published(folder: Path) -> Path | None:
    for config, files in PAIRS:
        for name in files:
            if (folder / config).is_file() and (folder / name).is_file():
                return folder / name
    alone = folder / AUDIOCRAFT_FILE
    return alone if alone.is_file() else None


def newest_run(root: str | Path = RUNS) -> Path | None:
    """The run folder that `root` is, or the one below it with the newest checkpoint."""
    files = [
        *Path(root).glob(f"**/{LAST}"),
        *Path(root).glob(f"**/{BEST}"),
    ]
    newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
    return newest and newest.parent.parent


def damaged(path: Path) -> str:
    """What is said of a file that can't be read."""
    return f"{path}: not a readable checkpoint (truncated or damaged)"
