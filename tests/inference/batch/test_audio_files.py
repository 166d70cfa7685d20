"""Audio that is written: names, and what threads ask."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.data.latent_material import FINGERPRINT, source
from zoo.inference.batch.audio_files import AudioFilesWriter, Rendering
from zoo.inference.batch.lock import FolderLock


def test_any_name_that_fits_can_be_written_and_what_a_kill_leaves_goes(tmp_path):
    # 3 bytes a letter: 252, and ".wav" would not fit.
    made, out = source(tmp_path, "楽" * 83), tmp_path / "out"
    out.mkdir()
    writer, parts = AudioFilesWriter(out, FINGERPRINT), []

    def render(path):
        parts.append(path)
        path.write_bytes(b"audio")

    def killed(path):
        raise KeyboardInterrupt

    writer.write(made, Rendering(render, 5))
    writer.close()
    assert (out / f"{made.name}.wav").read_bytes() == b"audio"
    assert AudioFilesWriter(out, FINGERPRINT).done(made)
    with pytest.raises(KeyboardInterrupt):
        writer.write(made, Rendering(killed, 5))
    parts[0].write_bytes(b"half")
    (out / f".mine.{os.getpid()}.part.wav").write_bytes(b"a user's")
    lock = FolderLock(out, 0)
    lock.acquire()
    lock.release()
    assert not parts[0].exists() and len(list(out.glob(".mine.*"))) == 1


def test_the_ledger_is_read_once_by_all_threads(tmp_path, monkeypatch):
    made, out = source(tmp_path, "a"), tmp_path / "out"
    out.mkdir()
    (out / "a.wav").write_bytes(b"audio")
    writer, calls = AudioFilesWriter(out, FINGERPRINT), []

    def read():
        calls.append(1)
        time.sleep(0.05)
        return {}

    monkeypatch.setattr(writer._ledger, "read", read)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: writer._line(made.name), range(8)))
    assert len(calls) == 1
