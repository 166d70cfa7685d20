"""The layout that stable-audio-tools reads, by its own reader."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from tests.data.latent_material import FINGERPRINT, fill, latents, source
from tests.oracle import import_upstream
from zoo.data.corpus import find_clips
from zoo.errors import CheckpointError
from zoo.inference.batch.stable_audio_tools import StableAudioToolsWriter
from zoo.writing import write_whole

NAMES = {"a": 20, "b/c.d": 9, "x.npy/y.npy": 7, ".hidden": 4, "%": 12, "manifest": 5}


@pytest.fixture(scope="module")
def upstream():
    # Its reader of folders needs none of webdataset, which is imported beside it.
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("webdataset") is None:
            patch.setitem(sys.modules, "webdataset", MagicMock())
        return import_upstream("stable_audio_tools.data.dataset")


def dataset(upstream, folder, **options):
    config = SimpleNamespace(path=str(folder), custom_metadata_fn=None)
    return upstream.PreEncodedDataset([config], **options)


@pytest.mark.parametrize("kind", ["latents", "tokens"])
def test_upstream_reads_each_clip(upstream, tmp_path, kind):
    options = {} if kind == "latents" else {kind: True}
    out = tmp_path / "out"
    made = fill(StableAudioToolsWriter(out, FINGERPRINT), tmp_path, NAMES, **options)
    found = dataset(upstream, out)
    assert len(found) == len(NAMES)
    seen = set()
    for index in range(len(found)):
        values, info = found[index]
        clip = made[info["name"]]
        seen.add(info["name"])
        assert torch.equal(values, clip.tensors()[kind])
        (mask,) = info["padding_mask"]
        assert mask.shape == (clip.frames,) and mask.all()
        assert info["seconds_total"] == math.ceil(clip.samples / clip.sample_rate)
        assert info["seconds_start"] == 0
        assert info["relpath"] == f"{info['name']}.wav"
    assert seen == set(NAMES)


def test_padding_makes_upstreams_batches(upstream, tmp_path):
    out = tmp_path / "out"
    made = fill(StableAudioToolsWriter(out, FINGERPRINT, pad_frames=10), tmp_path, NAMES)
    found = dataset(upstream, out, latent_crop_length=10, random_crop=True)
    items = [found[index] for index in range(len(found))]
    values, infos = upstream.collation_fn(items)
    assert values.shape == (len(NAMES), 3, 10)
    masks = torch.stack([info["padding_mask"][0] for info in infos])
    for clip, mask, info in zip(values, masks, infos, strict=True):
        length = min(10, made[info["name"]].frames)
        assert mask.tolist() == [1] * length + [0] * (10 - length)
        start = info["latent_crop_start"]
        assert torch.equal(clip[1, :length], torch.arange(start, start + length).float())
        assert (clip[:, length:] == 0).all()


def test_half_precision_and_bfloat16(tmp_path):
    for number, (dtype, kept) in enumerate(
        [(torch.float16, np.float16), (torch.bfloat16, np.float32)]
    ):
        writer = StableAudioToolsWriter(tmp_path / "out", FINGERPRINT)
        content = latents(number, 9).to(dtype)
        writer.write(source(tmp_path, str(number)), content)
        array = np.load(tmp_path / "out" / f"{number}.npy")
        assert array.dtype == kept
        assert torch.equal(torch.from_numpy(array).to(dtype), content.values)


def test_done_is_whole_of_this_source_and_model(tmp_path):
    out = tmp_path / "out"
    made = source(tmp_path, "a")
    writer = StableAudioToolsWriter(out, FINGERPRINT)
    assert not writer.done(made)
    writer.write(made, latents(0, 9))
    writer.close()
    assert StableAudioToolsWriter(out, FINGERPRINT, 1).done(made)
    assert not StableAudioToolsWriter(out, "ffff").done(made)
    assert not StableAudioToolsWriter(out, FINGERPRINT, pad_frames=20).done(made)
    assert not writer.done(source(tmp_path, "a", "other content"))
    content = (out / "a.npy").read_bytes()
    (out / "a.npy").write_bytes(content[:-1])
    assert not writer.done(source(tmp_path, "a"))
    (out / "a.npy").write_bytes(content)
    (out / "a.json").write_text("{")
    assert not writer.done(source(tmp_path, "a"))


def test_posteriors_and_paths_that_upstream_cannot_read_are_refused(tmp_path):
    writer = StableAudioToolsWriter(tmp_path / "out", FINGERPRINT)
    with pytest.raises(CheckpointError, match="no place for a posterior"):
        writer.write(source(tmp_path, "a"), latents(0, 9, posterior=True))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.json").write_text('{"title": "of a song"}')
    with pytest.raises(CheckpointError, match=r"b\.json exists"):
        writer.write(source(tmp_path, "b"), latents(0, 9))
    (tmp_path / "out" / "c.npy").write_bytes(b"of a user")
    with pytest.raises(CheckpointError, match=r"c\.npy exists"):
        writer.write(source(tmp_path, "c"), latents(0, 9))
    assert (tmp_path / "out" / "c.npy").read_bytes() == b"of a user"
    with pytest.raises(CheckpointError, match=r"\.npy"):
        StableAudioToolsWriter(tmp_path / "x.npy", FINGERPRINT)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("written", [0, 1])
def test_latents_are_never_without_their_json(tmp_path, monkeypatch, again, written):
    """So that what a killed process leaves is not taken for a user's file."""
    out, made = tmp_path / "out", source(tmp_path, "a")
    writer, calls = StableAudioToolsWriter(out, FINGERPRINT), []
    if again:
        writer.write(made, latents(0, 9))

    def killed(path, content):
        calls.append(path)
        if len(calls) > written:
            raise KeyboardInterrupt
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("zoo.inference.batch.stable_audio_tools.write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.write(made, latents(0, 9))
    assert not (out / "a.npy").exists() and not writer.done(made)
    writer.write(made, latents(0, 9))
    assert writer.done(made)


def test_what_upstream_wrote_is_found(tmp_path):
    np.save(tmp_path / "000.npy", np.arange(30, dtype=np.float32).reshape(3, 10))
    facts = {"padding_mask": [1] * 6 + [0] * 4, "seconds_total": 2, "path": "x.wav"}
    (tmp_path / "000.json").write_text(json.dumps(facts))
    corpus = find_clips(tmp_path)
    (clip,) = corpus.clips
    assert (clip.name, clip.frames, clip.seconds, corpus.fingerprint) == ("000", 6, 2.0, None)
    assert clip.read(4).values.tolist() == [[4.0, 5.0], [14.0, 15.0], [24.0, 25.0]]
