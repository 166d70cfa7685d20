"""Tar shards: readable by webdataset's rules, whole or not there."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.latent_material import FINGERPRINT, fill, latents, source
from zoo.data.corpus import find_clips
from zoo.data.shards import key_of
from zoo.errors import CheckpointError
from zoo.inference.batch.manifest import write_manifest
from zoo.inference.batch.module import BatchModule
from zoo.inference.batch.stopping import Stop
from zoo.inference.batch.webdataset import WebDatasetWriter

ROOT = Path(__file__).parents[3]
NAMES = {"a": 5, "b/c.d": 9, "b/c": 7, "x.y/.hidden": 4, "__m__/e": 3, "ü/" + "long" * 40: 6}
RAN: list[str] = []


def samples(path: Path) -> list[dict[str, bytes | str]]:
    """As webdataset groups the members of an archive by its rules for names."""
    found: list[dict[str, bytes | str]] = []
    with tarfile.open(path) as archive:
        for entry in archive:
            if not entry.isreg() or re.match(r"__[^/]*__($|/)", entry.name):
                continue
            match = re.match(r"^((?:.*/|)[^.]+)[.]([^/]*)$", entry.name)
            assert match, entry.name
            key, suffix = match[1], match[2].lower()
            if not found or found[-1]["__key__"] != key:
                assert key not in {sample["__key__"] for sample in found}
                found.append({"__key__": key})
            assert suffix not in found[-1]
            found[-1][suffix] = archive.extractfile(entry).read()
    return found


@pytest.mark.parametrize("kind", ["latents", "posterior", "tokens"])
def test_each_clip_is_one_sample(tmp_path, kind):
    options = {} if kind == "latents" else {kind: True}
    made = fill(WebDatasetWriter(tmp_path / "out", FINGERPRINT, 3), tmp_path, NAMES, **options)
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["shard-00003-000000.tar"]
    found = samples(tmp_path / "out" / "shard-00003-000000.tar")
    assert len(found) == len(NAMES)
    for sample in found:
        facts = json.loads(sample["json"])
        clip = made[facts["name"]]
        assert (facts["frames"], facts["samples"]) == (clip.frames, clip.samples)
        assert facts["fingerprint"] == FINGERPRINT
        for name, tensor in clip.tensors().items():
            array = np.load(io.BytesIO(sample[f"{name}.npy"]))
            assert torch.equal(torch.from_numpy(array), tensor)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("ab._%/\n ü", min_size=1, max_size=7), min_size=2, max_size=2, unique=True))
def test_keys_follow_the_rules_and_differ(names):
    keys = []
    for name in names:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            return
        member = f"{key_of(name)}.latents.npy"
        match = re.match(r"^((?:.*/|)[^.]+)[.]([^/]*)$", member)
        assert match and match.groups() == (key_of(name), "latents.npy")
        assert not re.match(r"__[^/]*__($|/)", member)
        keys.append(key_of(name))
    assert len(set(keys)) == 2
    RAN.append(keys[0])


def test_how_many_ran():
    assert len(RAN) >= 40


def test_shards_have_a_size_and_go_on_after_a_restart(tmp_path):
    out = tmp_path / "out"
    writer = WebDatasetWriter(out, FINGERPRINT, 0, shard_bytes=6000)
    first = {f"clip{i}": 40 for i in range(6)}
    fill(writer, tmp_path, first)
    shards = sorted(out.glob("*.tar"))
    assert len(shards) > 1 and all(path.stat().st_size < 3 * 6000 for path in shards)
    again = WebDatasetWriter(out, FINGERPRINT, 0)
    assert all(again.done(source_of(tmp_path, name)) for name in first)
    assert not again.done(source(tmp_path, "new"))
    fill(again, tmp_path, {"new": 7})
    other = WebDatasetWriter(out, FINGERPRINT, 1)
    assert other.done(source_of(tmp_path, "new"))
    fill(other, tmp_path, {"of another process": 5})
    names = [clip.name for clip in find_clips(out).clips]
    assert sorted(names) == sorted([*first, "new", "of another process"])


def source_of(folder: Path, name: str):
    """The source as it is on disk, not written again."""
    from dataclasses import replace

    path = folder / "audio" / f"{name}.wav"
    facts = path.stat()
    made = source(folder, "_", "")
    return replace(made, path=path, name=name, size=facts.st_size, modified=facts.st_mtime_ns)


def test_a_touched_source_is_done_and_a_changed_one_is_not(tmp_path):
    fill(WebDatasetWriter(tmp_path / "out", FINGERPRINT), tmp_path, {"a": 5})
    path = tmp_path / "audio" / "a.wav"
    os.utime(path, ns=(1, 1))
    writer = WebDatasetWriter(tmp_path / "out", FINGERPRINT)
    assert writer.done(source_of(tmp_path, "a"))
    path.write_text("other of a")
    assert path.stat().st_size == len("audio of a")
    assert not writer.done(source_of(tmp_path, "a"))


def test_of_a_clip_that_is_made_again_the_later_counts(tmp_path):
    out = tmp_path / "out"
    fill(WebDatasetWriter(out, FINGERPRINT), tmp_path, {"a": 5, "b": 6})
    writer = WebDatasetWriter(out, FINGERPRINT)
    writer.write(source(tmp_path, "a", "new"), latents(7, 9))
    writer.close()
    clips = {clip.name: clip for clip in find_clips(out).clips}
    assert {name: clip.frames for name, clip in clips.items()} == {"a": 9, "b": 6}
    write_manifest(out)
    keys = [sample["__key__"] for path in sorted(out.glob("*.tar")) for sample in samples(path)]
    assert keys == ["b", "a"]
    for name, number in (("a", 7), ("b", 1)):
        clip = next(clip for clip in find_clips(out).clips if clip.name == name)
        assert (clip.read().values[0] == number).all()
    assert WebDatasetWriter(out, FINGERPRINT).done(source_of(tmp_path, "a"))
    # A shard of which nothing is left goes.
    writer = WebDatasetWriter(out, FINGERPRINT)
    writer.write(source(tmp_path, "b", "new"), latents(8, 3))
    writer.close()
    write_manifest(out)
    assert len(list(out.glob("*.tar"))) == len(list(out.glob("*.index.json"))) == 2
    # Its name is not given to another one while later ones are there.
    fill(WebDatasetWriter(out, FINGERPRINT), tmp_path, {"c": 4})
    assert sorted(clip.name for clip in find_clips(out).clips) == ["a", "b", "c"]


def test_latents_of_another_model_are_refused(tmp_path):
    fill(WebDatasetWriter(tmp_path / "out", FINGERPRINT), tmp_path, {"a": 5})
    with pytest.raises(CheckpointError, match=f"shard-00000-000000.*{FINGERPRINT}.*ffff"):
        WebDatasetWriter(tmp_path / "out", "ffff")


def test_an_index_is_made_anew(tmp_path):
    out = tmp_path / "out"
    fill(WebDatasetWriter(out, FINGERPRINT), tmp_path, NAMES, posterior=True)
    index = out / "shard-00000-000000.index.json"
    before = json.loads(index.read_text())
    index.unlink()
    assert len(find_clips(out).clips) == len(NAMES)
    after = json.loads(index.read_text())
    assert {**after, "written": 0} == {**before, "written": 0}


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.0])
def test_a_truncated_shard_is_named(tmp_path, with_index, kept):
    out = tmp_path / "out"
    fill(WebDatasetWriter(out, FINGERPRINT), tmp_path, {f"{i}": 300 for i in range(8)})
    (path,) = out.glob("*.tar")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * 8 * 5632)])
    if not with_index:
        path.with_suffix(".index.json").unlink()
    with pytest.raises(CheckpointError, match=r"shard-00000-000000\.tar.*truncated"):
        find_clips(out)


def test_a_refusing_disk_leaves_nothing(tmp_path, monkeypatch):
    writer = WebDatasetWriter(tmp_path / "out", FINGERPRINT)
    writer.write(source(tmp_path, "a"), latents(0, 5))

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo.inference.batch.webdataset.write_index", refuse)
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("place", ["add_member", "publish"])
def test_any_refusal_stops_the_batch_and_its_clips_do_not_count(tmp_path, monkeypatch, place):
    writer, stop = WebDatasetWriter(tmp_path / "out", FINGERPRINT, shard_bytes=6000), Stop()
    job: Any = None
    module = BatchModule(job, writer, stop)
    for name in "ab":
        # As large as a shard, then a part of the next one.
        module._keep(source(tmp_path, name), latents(0, 400 if name == "a" else 5))
    assert (module.outcome.files, len(list((tmp_path / "out").glob("*.tar")))) == (2, 1)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(f"zoo.inference.batch.webdataset.{place}", refuse)
    module._keep(source(tmp_path, "c"), latents(0, 400))
    assert isinstance(stop.error, OSError) and stop.error.errno == 13
    assert (module.outcome.files, module.outcome.failures) == (1, [])
    assert module.outcome.seconds == source(tmp_path, "a").seconds


KILLED = """
import sys
from pathlib import Path
from tests.data.latent_material import FINGERPRINT, latents, source
from zoo.inference.batch.webdataset import WebDatasetWriter

folder = Path(sys.argv[1])
writer = WebDatasetWriter(folder / "out", FINGERPRINT, shard_bytes=9000)
for number in range(10**6):
    made = source(folder, f"{number:04d}")
    if not writer.done(made):
        writer.write(made, latents(number, 50))
    print(number, flush=True)
"""


def test_kill_at_any_moment(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = tmp_path / "out"
    for wait in (0.0, 0.03, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path],
            stdout=subprocess.PIPE,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(12):
            assert process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for path in out.glob("*.tar"):
            assert len(samples(path)) > 1
    clips = find_clips(out).clips
    names = sorted(clip.name for clip in clips)
    assert len(names) == len(set(names)) > 10
    for clip in clips:
        expected = latents(int(clip.name), 50).values
        assert torch.equal(torch.from_numpy(clip.read().values), expected)
    WebDatasetWriter(out, FINGERPRINT).close()
    assert not list(out.glob(".*"))


def test_a_shard_whose_json_is_no_file_is_named(tmp_path):
    path = tmp_path / "shard-00000-000000.tar"
    with tarfile.open(path, "w") as archive:
        folder = tarfile.TarInfo("clip.json")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    with pytest.raises(CheckpointError, match=f"{path.name}: not a shard"):
        find_clips(tmp_path)
