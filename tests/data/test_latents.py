"""Batches of latents: each clip once an epoch, any number of processes, from each form."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer

import zoo
from tests.data.latent_material import FINGERPRINT, fill, latents
from zoo.data.latents import LatentDataModule
from zoo.errors import CheckpointError, ConfigError
from zoo.inference.batch.stable_audio_tools import StableAudioToolsWriter
from zoo.inference.batch.webdataset import WebDatasetWriter

LENGTHS = {f"{'ab'[i % 2]}/{i}": 4 + 5 * i % 23 for i in range(24)}
FORMS = ("shards", "files", "stable-audio-tools")


def folder(tmp_path, form="shards", **kind):
    out = tmp_path / form
    match form:
        case "shards":
            fill(WebDatasetWriter(out, FINGERPRINT, shard_bytes=8000), tmp_path, LENGTHS, **kind)
        case "stable-audio-tools":
            fill(StableAudioToolsWriter(out, FINGERPRINT), tmp_path, LENGTHS, **kind)
        case "files":
            for number, (name, frames) in enumerate(LENGTHS.items()):
                latents(number, frames, **kind).save(out / f"{name}.safetensors")
    return out


def module(path, *, rank=0, world=1, **options):
    given = {"frames": 10, "batch_size": 4, "workers": 0, **options}
    made = LatentDataModule(path, **given)
    made.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    made.setup("fit")
    return made


def epoch(made, number=0):
    loader = made.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def names(batches):
    return [clip["name"] for batch in batches for clip in batch["clips"]]


def by_name(batches):
    return {
        clip["name"]: (row, mask, clip)
        for batch in batches
        for row, mask, clip in zip(batch["latents"], batch["mask"], batch["clips"], strict=True)
    }


@pytest.mark.parametrize("form", FORMS)
def test_crops_are_the_latents_they_say(tmp_path, form):
    made = module(folder(tmp_path, form))
    found = by_name(epoch(made))
    assert sorted(found) == sorted(LENGTHS)
    starts = set()
    for number, (name, frames) in enumerate(LENGTHS.items()):
        row, mask, clip = found[name]
        start, length = clip["start"], min(10, frames)
        assert (clip["frames"], clip["clip_frames"]) == (length, frames)
        assert clip["seconds"] == (frames * 8 - 3) / 16000
        assert mask.tolist() == [True] * length + [False] * (10 - length)
        whole = latents(number, frames).values
        assert torch.equal(row[:, :length], whole[:, start : start + length])
        assert (row[:, length:] == 0).all()
        starts.add(start)
    assert len(starts) > 4


def test_forms_give_the_same_crops(tmp_path):
    found = [by_name(epoch(module(folder(tmp_path, form)))) for form in FORMS[1:]]
    assert all(torch.equal(found[0][name][0], found[1][name][0]) for name in LENGTHS)


def test_epochs_differ_and_repeat_with_any_number_of_workers(tmp_path):
    path = folder(tmp_path, posterior=True)
    alone = [epoch(module(path), number) for number in range(2)]
    assert names(alone[0]) != names(alone[1])
    starts = [{name: clip["start"] for name, (_, _, clip) in by_name(e).items()} for e in alone]
    assert starts[0] != starts[1]
    assert names(epoch(module(path, seed=1))) != names(alone[0])
    shared = module(path, workers=2)
    for number in range(2):
        batches = epoch(shared, number)
        assert names(batches) == names(alone[number])
        for batch, expected in zip(batches, alone[number], strict=True):
            assert torch.equal(batch["latents"], expected["latents"])


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_an_epoch(tmp_path, world):
    path = folder(tmp_path)
    alone = by_name(epoch(module(path), 1))
    shares = [epoch(module(path, rank=rank, world=world), 1) for rank in range(world)]
    assert len({len(names(share)) for share in shares}) == 1
    dealt = [name for share in shares for name in names(share)]
    assert set(dealt) == set(LENGTHS)
    assert len(dealt) - len(LENGTHS) == -len(LENGTHS) % world
    for share in shares:
        for name, (row, _, clip) in by_name(share).items():
            assert torch.equal(row, alone[name][0]) and clip == alone[name][2]


def test_shards_are_read_a_few_at_a_time(tmp_path):
    made = module(folder(tmp_path), shards_at_once=2)
    paths = {clip.name: clip.path for clip in made.training_clips}
    order = [paths[name] for name in names(epoch(made))]
    count = len(set(order))
    assert count >= 4
    pools = [set(order[:i]) for i in range(1, len(order) + 1)]
    # At no time more than two are begun and not finished.
    for end, begun in enumerate(pools, 1):
        assert len(begun & set(order[end:])) <= 2
    assert [path for path, _ in itertools.groupby(order)] != sorted(set(order))


def test_draws_follow_the_posterior(tmp_path):
    path = folder(tmp_path, posterior=True)
    whole = {"frames": None, "batch_size": 1}
    draws = []
    made = module(path, **whole)
    for number in range(60):
        draws.append({name: row for name, (row, *_) in by_name(epoch(made, number)).items()})
    means = by_name(epoch(module(path, draw=False, **whole)))
    scores = []
    for number, (name, frames) in enumerate(LENGTHS.items()):
        kept = latents(number, frames, posterior=True)
        assert torch.equal(means[name][0], kept.values)
        found = torch.stack([draw[name] for draw in draws])
        scores.append(((found - kept.values) / kept.std).flatten())
    score = torch.cat(scores)
    assert abs(float(score.mean())) < 0.02 and abs(float(score.std()) - 1) < 0.02


@pytest.mark.parametrize("posterior", [False, True])
def test_normalised_latents_have_unit_scale(tmp_path, posterior):
    path = folder(tmp_path, posterior=posterior)
    zoo.write_manifest(path)
    made = module(path, frames=None, normalize=True)
    rows, restored = [], []
    for number in range(30 if posterior else 1):
        for batch in epoch(made, number):
            values = batch["latents"].transpose(1, 2)
            assert (values[~batch["mask"]] == 0).all()
            rows.append(values[batch["mask"]])
            back = made.scale.restore(batch["latents"]).transpose(1, 2)
            restored.append(back[batch["mask"]])
    values = torch.cat(rows).double()
    close = 0.03 if posterior else 1e-6
    assert values.mean(0).abs().max() < close
    assert (values.std(0, correction=0) - 1).abs().max() < close
    if not posterior:
        number = torch.cat(restored)[:, 0]
        torch.testing.assert_close(number, number.round(), atol=1e-4, rtol=0)


def test_a_constant_channel_is_not_divided_by_zero(tmp_path):
    latents(3, 6).save(tmp_path / "a.safetensors")
    zoo.write_manifest(tmp_path)
    (batch,) = epoch(module(tmp_path, normalize=True))
    assert (batch["latents"][:, 0] == 0).all() and batch["latents"].isfinite().all()


def test_tokens(tmp_path):
    for form in FORMS:
        found = by_name(epoch(module(folder(tmp_path, form, tokens=True))))
        for number, (name, frames) in enumerate(LENGTHS.items()):
            row, mask, clip = found[name]
            assert row.dtype == torch.int64
            start, length = clip["start"], clip["frames"]
            kept = latents(number, frames, tokens=True).tokens[:, start : start + length]
            assert torch.equal(row[:, mask], kept.long())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path, dtype):
    kept = latents(3, 9, posterior=True).to(dtype)
    kept.save(tmp_path / "a.safetensors")
    (batch,) = epoch(module(tmp_path, draw=False, frames=None))
    assert torch.equal(batch["latents"][0], kept.values.float())


def test_validation_is_fixed_and_apart(tmp_path):
    path = folder(tmp_path, posterior=True)
    made = module(path, validation_fraction=0.3)
    one, two = (list(made.val_dataloader()) for _ in range(2))
    assert sorted(names(one) + names(epoch(made))) == sorted(LENGTHS)
    assert 0 < len(names(one)) < len(LENGTHS)
    for batch, again in zip(one, two, strict=True):
        assert torch.equal(batch["latents"], again["latents"])
    for name, (row, mask, clip) in by_name(one).items():
        start = max(0, LENGTHS[name] - 10) // 2
        assert clip["start"] == start
        kept = latents(list(LENGTHS).index(name), LENGTHS[name], posterior=True)
        assert torch.equal(row[:, mask], kept.values[:, start : start + 10])
    assert module(path).val_dataloader() == []


class Count(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[str]] = {}

    def training_step(self, batch, index):
        self.seen.setdefault(self.current_epoch, []).extend(clip["name"] for clip in batch["clips"])
        return self.weight * batch["latents"][batch["mask"][:, None].expand(-1, 3, -1)].mean()

    def validation_step(self, batch, index):
        assert batch["latents"].shape[-1] == 10

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_runs_and_sets_the_epoch(tmp_path):
    path, counted = folder(tmp_path), Count()
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    made = LatentDataModule(path, frames=10, batch_size=4, workers=0, validation_fraction=0.2)
    trainer.fit(counted, datamodule=made)
    expected = sorted(clip.name for clip in made.training_clips)
    assert [sorted(seen) for seen in counted.seen.values()] == [expected, expected]
    assert counted.seen[0] != counted.seen[1]


def test_bad_folders_are_named(tmp_path):
    def refuse(message, **options):
        with pytest.raises(CheckpointError, match=message):
            module(tmp_path, **options)

    refuse("no latents in this folder")
    latents(0, 5).save(tmp_path / "a.safetensors")
    refuse("no manifest.json", normalize=True)
    refuse("one clip can't be split", validation_fraction=0.5)
    other = latents(1, 5)
    from dataclasses import replace

    replace(other, fingerprint="ffff").save(tmp_path / "b" / "c.safetensors")
    refuse(r"several models: .*a\.safetensors.*0123.*c\.safetensors has ffff")
    (tmp_path / "b" / "c.safetensors").write_bytes(b"cut")
    refuse(r"c\.safetensors: holds no latents, or is truncated")
    (tmp_path / "b" / "c.safetensors").unlink()
    latents(1, 5, tokens=True).save(tmp_path / "b" / "c.safetensors")
    refuse("tokens as well as latents")
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    refuse("several forms")
    with pytest.raises(CheckpointError, match="no such folder"):
        module(tmp_path / "missing")


def test_a_manifest_of_another_model_is_refused(tmp_path):
    from dataclasses import replace

    latents(0, 5).save(tmp_path / "a.safetensors")
    zoo.write_manifest(tmp_path)
    replace(latents(0, 5), fingerprint="ffff").save(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"manifest\.json.*0123.*ffff"):
        module(tmp_path, normalize=True)


def test_a_file_that_shrank_is_named(tmp_path):
    path = folder(tmp_path, "stable-audio-tools")
    made = module(path)
    clip = made.training_clips[3]
    clip.path.write_bytes(clip.path.read_bytes()[:140])
    with pytest.raises(CheckpointError, match=clip.path.name):
        epoch(made)


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"batch_size": 0}, {"workers": -1}, {"validation_fraction": 1.0}]
)
def test_numbers_out_of_range(tmp_path, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        module(tmp_path, **wrong)
