"""Each file once, however many processes there are and whenever they are killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from itertools import pairwise

import pytest
import torch

import zoo
from tests.inference.batch.material import (
    folder_of_audio,
    free_port,
    lines_of,
    started,
    tiny_codec,
    wait_until,
)
from zoo.data.corpus import find_clips
from zoo.data.shards import find_shards
from zoo.errors import CheckpointError

FORMS = ["safetensors", "webdataset"]


@pytest.mark.parametrize("form", FORMS)
def test_two_processes_of_which_one_is_killed(tmp_path, form):
    audio, out, log = folder_of_audio(tmp_path / "in", 200), tmp_path / "out", tmp_path / "log"
    port = free_port()
    killed = [started(audio, out, log, rank, 2, port, format=form) for rank in range(2)]
    wait_until(lambda: len(lines_of(log)) > 60)
    os.kill(killed[1].pid, signal.SIGKILL)
    for process in killed:
        process.join(60)
    assert [process.exitcode for process in killed] == [3, -signal.SIGKILL]
    assert "the same command goes on" in log.with_suffix(".0").read_text()
    before = {clip.name for clip in find_clips(out).clips}
    # The other one has finished its own half.
    assert 100 <= len(before) < 200
    log.unlink()
    port = free_port()
    again = [started(audio, out, log, rank, 2, port, format=form) for rank in range(2)]
    for process in again:
        process.join(60)
    assert [process.exitcode for process in again] == [0, 0]
    encoded = Counter(lines_of(log))
    assert set(encoded.values()) == {1}
    assert before.isdisjoint(encoded)
    assert len(before) + len(encoded) == 200
    _check(out, 200)
    if form == "webdataset":
        names = [member.name for shard in find_shards(out) for member in shard.members]
        assert len(names) == len(set(names)) == 200


def test_what_the_first_process_refuses_ends_all(tmp_path):
    log, port = tmp_path / "log", free_port()
    missing, out = tmp_path / "missing", tmp_path / "out"
    both = [started(missing, out, log, rank, 2, port) for rank in range(2)]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [3, 3]
    first, other = (log.with_suffix(f".{rank}").read_text() for rank in range(2))
    assert first.startswith(f"{missing}: no such file or folder")
    assert other == f"the first process has given up: {first}"
    assert not out.exists()


def test_all_processes_have_the_same_model(tmp_path):
    audio, out, log = folder_of_audio(tmp_path / "in", 8), tmp_path / "out", tmp_path / "log"
    port = free_port()
    both = [started(audio, out, log, rank, 2, port, seed=rank) for rank in range(2)]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [3, 3]
    for rank in range(2):
        assert "the processes have different models" in log.with_suffix(f".{rank}").read_text()


def test_kill_at_any_moment(tmp_path):
    audio, out, log = folder_of_audio(tmp_path / "in", 60), tmp_path / "out", tmp_path / "log"
    done = [0]
    for count in (1, 14, 15, 33):
        process = started(audio, out, log, 0, 1, 0)
        wait_until(lambda count=count: len(lines_of(log)) >= count)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        # Whatever is there under its name is whole.
        for path in out.rglob("*.safetensors"):
            zoo.Latents.load(path)
        done.append(len(list(out.rglob("*.safetensors"))))
    assert all(more >= less for less, more in pairwise(done))
    summary = zoo.encode_folder(tiny_codec(), audio, out)
    assert (summary.files, summary.skipped) == (60 - done[-1], done[-1])
    _check(out, 60)


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(tmp_path):
    audio, out, log = folder_of_audio(tmp_path / "in", 60), tmp_path / "out", tmp_path / "log"
    process = started(audio, out, log, 0, 1, 0, format="webdataset")
    wait_until(lambda: len(lines_of(log)) >= 12)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    count = len(find_clips(out).clips)
    assert count == len(lines_of(log)) < 60
    summary = zoo.encode_folder(tiny_codec(), audio, out, format="webdataset")
    assert (summary.files, summary.skipped, summary.left) == (60 - count, count, 0)
    _check(out, 60)


def test_one_command_at_a_time(tmp_path, monkeypatch):
    audio, out, log = folder_of_audio(tmp_path / "in", 60), tmp_path / "out", tmp_path / "log"
    process = started(audio, out, log, 0, 1, 0)
    wait_until(lambda: len(lines_of(log)) > 0)
    monkeypatch.setattr("zoo.inference.batch.lock._WAIT_SECONDS", 0.1)
    try:
        with pytest.raises(CheckpointError, match="another command is writing there"):
            zoo.encode_folder(tiny_codec(), audio, out)
    finally:
        process.kill()
        process.join()
    zoo.encode_folder(tiny_codec(), audio, out)
    _check(out, 60)


def _check(out, count):
    """All clips, equal to what each gives alone, and nothing half-written."""
    codec = tiny_codec()
    clips = find_clips(out).clips
    assert len(clips) == count
    assert not [path for path in out.rglob(".*") if path.name != ".zoo.lock"]
    for clip in clips[:: max(1, count // 20)]:
        expected = codec.encode(out.parent / "in" / f"{clip.name}.wav").values
        torch.testing.assert_close(
            torch.from_numpy(clip.read().values), expected, atol=1e-5, rtol=0
        )
