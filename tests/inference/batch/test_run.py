"""What a batch leaves in its folder besides what it makes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

import zoo
from tests.inference.batch.material import folder_of_audio, tiny_codec
from zoo.data.corpus import find_clips
from zoo.errors import CheckpointError, ZooError
from zoo.inference.batch.lock import FolderLock
from zoo.inference.batch.readers import AudioReader
from zoo.inference.batch.run import Options, _workers

INLINE = Options(workers=0)
DRY = replace(INLINE, dry_run=True)


def contents(folder) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_dry_run_writes_nothing_and_a_missing_manifest_is_made(tmp_path, monkeypatch, capfd):
    audio, out, codec = folder_of_audio(tmp_path / "in", 3), tmp_path / "out", tiny_codec()
    zoo.encode_folder(codec, audio, out, format="webdataset", options=INLINE)
    before = contents(out)
    (out / "manifest.json").unlink()
    left = contents(out)
    assert zoo.encode_folder(codec, audio, out, format="webdataset", options=DRY).skipped == 3
    assert contents(out) == left
    zoo.encode_folder(codec, audio, tmp_path / "none", options=DRY)
    assert not (tmp_path / "none").exists()
    assert "manifest" not in capfd.readouterr().err
    # It is written while other commands are kept out.
    real, held = FolderLock.release, []

    def release(self):
        held.append((out / "manifest.json").exists())
        real(self)

    monkeypatch.setattr(FolderLock, "release", release)
    assert zoo.encode_folder(codec, audio, out, format="webdataset", options=INLINE).files == 0
    assert held == [True]
    assert contents(out).keys() == before.keys()


@pytest.mark.parametrize("name", ["manifest.json", "failures.jsonl"])
@pytest.mark.parametrize("content", ['{"name": "my app"}\n', "[1]\n", "text"])
def test_files_of_a_user_are_refused_before_anything_is_made(tmp_path, name, content):
    audio, out = folder_of_audio(tmp_path / "in", 1), tmp_path / "out"
    out.mkdir()
    (out / name).write_text(content)
    with pytest.raises(CheckpointError, match=f"{name}: exists and .* not overwritten"):
        zoo.encode_folder(tiny_codec(), audio, out, options=INLINE)
    assert (out / name).read_text() == content
    assert {path.name for path in out.iterdir()} <= {name, ".zoo.lock"}


def test_a_killed_loader_is_one_message_and_what_is_done_stays(tmp_path, monkeypatch):
    audio, out, codec = folder_of_audio(tmp_path / "in", 8, 1), tmp_path / "out", tiny_codec()
    load, parent = AudioReader.load, os.getpid()

    def killed(self, sources):
        if sources[0].name == "2/005" and os.getpid() != parent:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return load(self, sources)

    monkeypatch.setattr(AudioReader, "load", killed)
    options = Options(workers=1, batch_size=1)
    with pytest.raises(ZooError, match="fewer --workers or --batch-size; what is done stays"):
        zoo.encode_folder(codec, audio, out, format="webdataset", options=options)
    kept = len(find_clips(out).clips)
    assert kept > 0
    made = zoo.encode_folder(codec, audio, out, format="webdataset", options=INLINE)
    assert (made.files, made.skipped) == (8 - kept, kept)


@pytest.mark.parametrize(
    ("device", "cores", "processes", "expected"),
    [("cpu", 2, 1, 0), ("cpu", 4, 1, 1), ("cpu", 4, 2, 0), ("cuda", 64, 2, 8), ("cuda", 2, 8, 1)],
)
def test_readers_leave_the_network_its_cores(monkeypatch, device, cores, processes, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    strategy = SimpleNamespace(root_device=SimpleNamespace(type=device))
    trainer = SimpleNamespace(strategy=strategy, world_size=processes, num_nodes=1)
    assert _workers(Options(), trainer) == expected
    assert _workers(Options(workers=3), trainer) == 3
