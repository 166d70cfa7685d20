"""Tar shards decoded: each clip as from a file of its own."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import zoo
from tests.data.material import write_waves
from tests.inference.batch.material import FSQ, folder_of_audio, reasons, tiny_codec
from zoo.data.shards import find_shards, write_index
from zoo.inference.batch.run import Options

INLINE = Options(workers=0)


def to_shards(codec: zoo.Codec, audio: Path, out: Path, **options) -> Path:
    zoo.encode_folder(codec, audio, out, format="webdataset", options=INLINE, **options)
    return out


def audio_below(folder: Path) -> dict[str, np.ndarray]:
    return {
        path.relative_to(folder).as_posix(): soundfile.read(path)[0]
        for path in sorted(folder.rglob("*.wav"))
    }


@pytest.mark.parametrize("kind", ["mean", "posterior", "half", "tokens"])
@pytest.mark.parametrize("workers", [0, 1])
def test_each_clip_is_as_from_its_own_file(tmp_path, kind, workers):
    codec = tiny_codec(FSQ if kind == "tokens" else None)
    options = {kind: True} if kind in ("posterior", "half") else {}
    how = Options(workers=workers, batch_size=5)
    first, second = (
        folder_of_audio(tmp_path / "in", 12),
        folder_of_audio(tmp_path / "more" / "deep", 5),
    )
    # Two shards in one folder, and one in a folder below that.
    shards = to_shards(codec, first, tmp_path / "shards", **options)
    to_shards(codec, second.parent, shards, **options)
    to_shards(codec, second, shards / "below", **options)
    found = zoo.decode_folder(codec, shards, tmp_path / "found", options=how)
    for folder, source in (("", first), ("", second.parent), ("below", second)):
        zoo.encode_folder(codec, source, tmp_path / "files" / folder, options=INLINE, **options)
    expected = zoo.decode_folder(codec, tmp_path / "files", tmp_path / "expected", options=INLINE)
    assert (found.files, found.failures, found.skipped) == (22, (), 0)
    assert found.seconds == pytest.approx(expected.seconds)
    made, wanted = audio_below(tmp_path / "found"), audio_below(tmp_path / "expected")
    assert made.keys() == wanted.keys() and len(made) == 22
    for name, values in wanted.items():
        np.testing.assert_allclose(made[name], values, atol=1e-6)
    again = zoo.decode_folder(codec, shards, tmp_path / "found", options=how)
    assert (again.files, again.skipped) == (0, 22)


def test_of_a_clip_that_was_made_again_the_later_is_decoded(tmp_path):
    codec, audio = tiny_codec(), folder_of_audio(tmp_path / "in", 3)
    shards = to_shards(codec, audio, tmp_path / "shards")
    zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    write_waves(audio / "0" / "000.wav", 5000, seed=9)
    to_shards(codec, audio, shards)
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, made.skipped, made.failures) == (1, 2, ())
    # Removing the older clip changes its shard, and no other clip.
    zoo.write_manifest(shards)
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, made.skipped, made.failures) == (0, 3, ())
    expected = codec.decode(codec.encode(audio / "0" / "000.wav")).numpy()
    found = audio_below(tmp_path / "back")["0/000.wav"]
    np.testing.assert_allclose(found, expected[0], atol=1e-5)


def test_what_cannot_be_decoded_is_named_and_stops_nothing(tmp_path):
    codec, audio = tiny_codec(), folder_of_audio(tmp_path / "in", 3)
    shards = to_shards(codec, audio, tmp_path / "shards")
    with tarfile.open(shards / "other.tar", "w") as archive:
        archive.add(audio / "0" / "000.wav", "000.wav")
    cut = (shards / "shard-00000-000000.tar").read_bytes()[:3000]
    (shards / "cut.tar").write_bytes(cut)
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, len(made.failures)) == (3, 2)
    found = reasons(tmp_path / "back")
    assert all("not a shard of latents" in found[name] for name in ("other.tar", "cut.tar"))


def test_a_clip_of_another_model_is_named(tmp_path):
    audio = folder_of_audio(tmp_path / "in", 2)
    shards = to_shards(tiny_codec(), audio, tmp_path / "shards")
    made = zoo.decode_folder(tiny_codec(seed=1), shards, tmp_path / "back", options=INLINE)
    assert made.files == 0
    found = reasons(tmp_path / "back")
    assert sorted(found) == ["000", "001"]
    assert all("come from a model with the fingerprint" in reason for reason in found.values())
    assert min(f.path for f in made.failures).endswith("shard-00000-000000.tar, 0/000")


def test_an_index_of_the_older_form_is_made_anew_and_a_missing_one_is_not_needed(tmp_path):
    codec = tiny_codec()
    shards = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "shards")
    (index,) = shards.glob("*.index.json")
    written = index.read_text()
    content = json.loads(written)
    for member in content["members"]:
        seconds = member.pop("samples") / member.pop("sample_rate")
        del member["channels"]
        member["seconds"] = seconds
    index.write_text(json.dumps(content))
    (shard,) = find_shards(shards)
    assert json.loads(index.read_text()) == json.loads(written)
    assert {member.channels for member in shard.members} == {1, 2}
    index.unlink()
    dry = replace(INLINE, dry_run=True)
    assert zoo.decode_folder(codec, shards, tmp_path / "back", options=dry).files == 2
    assert not index.exists() and not (tmp_path / "back").exists()
    (path,) = shards.glob("*.tar")
    path.rename(shards / "MOVED.TAR")
    assert zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE).files == 2


BAD_FACTS = [
    {"sample_rate": 0},
    {"name": 5},
    {"name": ""},
    {"frames": "9"},
    {"values": None},
    {"values": -1},
    {"samples": 1.5},
    {"std": "x"},
]


@pytest.mark.parametrize("facts", BAD_FACTS, ids=str)
def test_an_index_with_odd_facts_is_named_and_stops_nothing(tmp_path, facts):
    codec = tiny_codec()
    shards = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "shards")
    to_shards(codec, folder_of_audio(tmp_path / "in", 3), shards / "good")
    (index,) = shards.glob("*.index.json")
    content = json.loads(index.read_text())
    content["members"][0] |= facts
    index.write_text(json.dumps(content))
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, len(made.failures)) == (3, 1)
    assert "not an index of latents, or damaged" in made.failures[0].reason
    assert {name.split("/")[0] for name in audio_below(tmp_path / "back")} == {"good"}


@pytest.mark.parametrize("place", [0, 40, 100_000])
def test_a_clip_that_is_elsewhere_is_named(tmp_path, place):
    codec = tiny_codec()
    shards = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "shards")
    (shard,) = find_shards(shards)
    first, second = shard.members
    write_index(replace(shard, members=(replace(first, values=place), second)))
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, len(made.failures)) == (1, 1)
    assert "the shard was changed or is truncated" in made.failures[0].reason


def test_two_shards_of_one_name(tmp_path):
    codec = tiny_codec()
    one = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "a" / "shards")
    write_waves(tmp_path / "other.wav", 900)
    two = to_shards(codec, tmp_path / "other.wav", tmp_path / "b" / "shards")
    made = zoo.decode_folder(codec, [one, two], tmp_path / "back", options=INLINE)
    assert (made.files, made.failures) == (3, ())
    shards = [next(folder.glob("*.tar")) for folder in (one, two)]
    made = zoo.decode_folder(codec, shards, tmp_path / "flat", options=INLINE)
    assert sorted(audio_below(tmp_path / "flat")) == ["0/000.wav", "1/001.wav", "other.wav"]


def test_a_shard_is_no_audio(tmp_path):
    codec = tiny_codec()
    shards = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "shards")
    (path,) = shards.glob("*.tar")
    made = zoo.encode_folder(codec, path, tmp_path / "out", options=INLINE)
    assert [each.path for each in made.failures] == [str(path)]
    assert "not readable as audio" in made.failures[0].reason


@pytest.mark.parametrize("name", ["../0", "/outside/0", "a/../../0"])
def test_no_name_leads_out_of_the_output_folder(tmp_path, name):
    codec = tiny_codec()
    name = name.replace("/outside", str(tmp_path))
    shards = to_shards(codec, folder_of_audio(tmp_path / "in", 2), tmp_path / "shards")
    (shard,) = find_shards(shards)
    first, second = shard.members
    write_index(replace(shard, members=(replace(first, name=name), second)))
    made = zoo.decode_folder(codec, shards, tmp_path / "out" / "back", options=INLINE)
    assert made.files == 1
    assert [failure.reason for failure in made.failures] == [
        "its name leads out of the output folder"
    ]
    assert len(list(tmp_path.rglob("*.wav"))) == 3


def test_clips_of_one_name_are_named(tmp_path):
    codec = tiny_codec()
    below = folder_of_audio(tmp_path / "in" / "below", 2)
    write_waves(tmp_path / "in" / "other.wav", 900)
    shards = to_shards(codec, tmp_path / "in", tmp_path / "shards")
    to_shards(codec, below, shards / "below")
    made = zoo.decode_folder(codec, shards, tmp_path / "back", options=INLINE)
    assert (made.files, len(made.failures)) == (1, 4)
    assert all("written to the same place, below/" in each.reason for each in made.failures)
