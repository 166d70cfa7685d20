"""Folders of audio to folders of latents, and back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Trainer

from zoo.data.messages import say
from zoo.errors import CheckpointError, ConfigError, ZooError
from zoo.inference.batch.audio_files import AudioFilesWriter
from zoo.inference.batch.devices import batch_trainer
from zoo.inference.batch.facts import form_for, model_facts
from zoo.inference.batch.formats import Format, writer_for
from zoo.inference.batch.jobs import Decoding, Encoding, Reconstruction
from zoo.inference.batch.manifest import check_manifest, write_manifest
from zoo.inference.batch.run import Options, Summary, process
from zoo.inference.codec import Codec
from zoo.inference.encoded import check_posterior

_PATTERNS: dict[Format, str] = {
    "safetensors": "**/*.safetensors",
    "webdataset": "*.tar",
    "stable-audio-tools": "**/*.npy",
}

Inputs = str | Path | Iterable[str | Path]


def encode_folder(
    codec: Codec,
    inputs: Inputs,
    out: str | Path,
    *,
    format: Format = "safetensors",  # noqa: A002
    posterior: bool = False,
    half: bool = False,
    trainer: Trainer | None = None,
    options: Options | None = None,
) -> Summary | None:
    """Encodes all audio files in `inputs` that `out` does not hold yet.

    Args:
        inputs: folders and files.
        out: a folder; it gets the tree of the inputs.
        format: of what is written.
        posterior: keep the standard deviation of a VAE too.
        half: keep latents in half precision.
        trainer: of `batch_trainer`; by default one process on the device of the codec.
        options: how the batch runs.

    Returns:
        What was done; None in all processes but the first.

    Raises:
        AudioError: no such input, or no audio in any.
        CheckpointError: `out` can't take these latents or holds other files of the names of the
            manifest or the list of failures, or the model has no posterior.
        ZooError: the disk is full, or a process was lost.
    """
    if posterior:
        check_posterior(codec.model)
        if format == "stable-audio-tools":
            raise CheckpointError(
                "the layout of stable-audio-tools has no place for a posterior; keep the mean "
                "alone, or choose the format safetensors or webdataset"
            )
    out = _folder(out)
    _check_forms(out, format)
    check_manifest(out)
    facts = model_facts(codec.model)
    writer = partial(
        writer_for,
        format,
        out,
        codec.fingerprint,
        model=facts,
        form=form_for(codec.model, posterior=posterior, half=half),
    )
    job = Encoding(codec, posterior=posterior, half=half)
    trainer = trainer or batch_trainer(codec.device)
    finish = partial(_describe, out, facts)
    return process(job, writer, _paths(inputs), out, options or Options(), trainer, finish)


def decode_folder(
    codec: Codec,
    inputs: Inputs,
    out: str | Path,
    *,
    suffix: str = ".wav",
    trainer: Trainer | None = None,
    options: Options | None = None,
    **decoding: Any,
) -> Summary | None:
    """Decodes all .safetensors files and shards in `inputs` that `out` does not hold as audio yet.

    Args:
        suffix: `.wav` or `.flac`.
        **decoding: as of `Codec.decode`.

    Other arguments, Returns and Raises: as of `encode_folder`.
    """
    return _to_audio(Decoding(codec, **decoding), inputs, out, suffix, trainer, options)


def reconstruct_folder(
    codec: Codec,
    inputs: Inputs,
    out: str | Path,
    *,
    suffix: str = ".wav",
    trainer: Trainer | None = None,
    options: Options | None = None,
    **decoding: Any,
) -> Summary | None:
    """Encodes and decodes all audio files in `inputs` that `out` does not hold yet.

    Arguments, Returns and Raises: as of `decode_folder`.
    """
    return _to_audio(Reconstruction(codec, **decoding), inputs, out, suffix, trainer, options)


def _to_audio(
    job: Decoding,
    inputs: Inputs,
    out: str | Path,
    suffix: str,
    trainer: Trainer | None,
    options: Options | None,
) -> Summary | None:
    out = _folder(out)
    kept = {key: value for key, value in job.options.items() if key != "progress"}
    writer = partial(AudioFilesWriter, out, job.codec.fingerprint, suffix=suffix, options=kept)
    trainer = trainer or batch_trainer(job.codec.device)
    return process(job, writer, _paths(inputs), out, options or Options(), trainer)


def _check_forms(out: Path, kind: Format) -> None:
    """Raises: CheckpointError where latents of another form are in the way of reading these."""
    for other, pattern in _PATTERNS.items():
        found = next(out.glob(pattern), None) if other != kind else None
        if found is not None:
            raise CheckpointError(
                f"{found}: {out} holds latents in the form '{other}'; choose another folder for "
                f"'{kind}'"
            )


def _describe(out: Path, facts: dict[str, Any]) -> None:
    try:
        write_manifest(out, facts)
    except ZooError as error:
        say(f"no manifest: {error}")


def _folder(out: str | Path) -> Path:
    out = Path(out).expanduser().absolute()
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder for the output")
    return out


def _paths(inputs: Inputs) -> list[Path]:
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not given:
        raise ConfigError("no inputs: name files or folders")
    return list(map(Path, given))
