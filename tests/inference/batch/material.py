"""A tiny codec, folders of audio, and batches in processes of their own."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

import zoo
from tests.conftest import TINY
from tests.data.material import write_waves
from zoo.inference.batch.jobs import Encoding

FSQ = {"type": "fsq", "config": {"dim": 3, "levels": [5, 5, 5]}}


def tiny_codec(bottleneck: dict[str, Any] | None = None, seed: int = 0) -> zoo.Codec:
    """Of 16 kHz stereo, 8 samples a frame, with weights that are those of `seed`."""
    config = copy.deepcopy(TINY)
    if bottleneck is not None:
        config["model"]["encoder"]["config"]["latent_dim"] = 3
        config["model"]["bottleneck"] = bottleneck
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return zoo.Codec(zoo.from_config(config), device="cpu")


def folder_of_audio(folder: Path, count: int, kinds: int = 4) -> Path:
    """`count` short files of `kinds` lengths, rates and channel counts, in three folders."""
    for number in range(count):
        kind = number % kinds
        path = folder / f"{number % 3}" / f"{number:03d}.wav"
        write_waves(path, 1000 + 300 * kind, 1 + kind % 2, (16000, 8000)[kind % 2], seed=number)
    return folder


def started(
    inputs: Path, out: Path, log: Path, rank: int, world: int, port: int, **options: Any
) -> BaseProcess:
    """Encodes in a process of its own, slowly, as torchrun starts one of `world`.

    Each clip that is encoded makes a line in `log`. The exit code is 3 for a ZooError.
    """
    context = multiprocessing.get_context("fork")
    arguments = (inputs, out, log, rank, world, port, options)
    process = context.Process(target=_encode, args=arguments)
    process.start()
    return process


def _encode(
    inputs: Path, out: Path, log: Path, rank: int, world: int, port: int, options: dict[str, Any]
) -> None:
    from zoo.inference.batch.devices import batch_trainer
    from zoo.inference.batch.run import Options

    if world > 1:
        of_torchrun = {
            "RANK": rank,
            "GROUP_RANK": rank,
            "LOCAL_RANK": 0,
            "WORLD_SIZE": world,
            "LOCAL_WORLD_SIZE": 1,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "TORCHELASTIC_RUN_ID": "test",
        }
        os.environ.update({key: str(value) for key, value in of_torchrun.items()})
    make = Encoding.make

    def slowly(self: Encoding, loaded: Any) -> Any:
        time.sleep(0.01)
        with log.open("a") as file:
            file.writelines(f"{source.name}\n" for source in loaded.sources)
        return make(self, loaded)

    Encoding.make = slowly
    trainer = batch_trainer("cpu", 1, num_nodes=world)
    how = Options(batch_size=4, workers=0)
    codec = tiny_codec(seed=options.pop("seed", 0))
    try:
        done = zoo.encode_folder(codec, inputs, out, trainer=trainer, options=how, **options)
    except zoo.ZooError as error:
        log.with_suffix(f".{rank}").write_text(str(error))
        os._exit(3)
    os._exit(130 if done is not None and done.interrupted else 0)


def reasons(out: Path) -> dict[str, str]:
    """Of the failures in a folder, by the names of their files."""
    lines = (out / "failures.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {os.path.basename(line["path"]): line["reason"] for line in found}


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def lines_of(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
