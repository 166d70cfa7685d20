"""Where a command may write."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import AudioError, CheckpointError

_AUDIO = (".wav", ".flac")


def audio_target(output: Path | None, source: Path, suffix: str) -> Path:
    """`output`, else the name of `source` with `suffix`. Raises: AudioError."""
    target = output or source.with_suffix(suffix)
    if target.is_dir():
        raise AudioError(f"--output {target}: is a folder; name a file in it")
    if target.suffix.lower() not in _AUDIO:
        raise AudioError(f"--output {target}: audio is written as {' or '.join(_AUDIO)}")
    if target.exists() and target.samefile(source):
        raise AudioError(f"--output {target}: is the input, which is never overwritten")
    return target


def latent_target(output: Path | None, source: Path) -> Path:
    """`output`, else the name of `source` as .safetensors. Raises: CheckpointError."""
    from zoo.inference.latents import Latents

    target = output or source.with_suffix(".safetensors")
    if target.is_dir():
        raise CheckpointError(f"--output {target}: is a folder; name a file in it")
    if target.suffix != ".safetensors":
        raise CheckpointError(f"--output {target}: latents are written as .safetensors")
    if target.exists():
        try:
            Latents.load(target)
        except CheckpointError:
            raise CheckpointError(
                f"{target}: exists and holds no latents, so it is not overwritten; name another "
                "file with --output"
            ) from None
    return target
