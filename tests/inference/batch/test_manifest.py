"""The manifest: statistics as of all latents at once, however they were written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import zoo
from tests.conftest import TINY
from tests.data.latent_material import FINGERPRINT, fill, latents, source
from zoo.data.moments import Moments
from zoo.errors import CheckpointError
from zoo.inference.batch.facts import model_facts
from zoo.inference.batch.formats import writer_for
from zoo.inference.batch.stable_audio_tools import StableAudioToolsWriter
from zoo.inference.batch.webdataset import WebDatasetWriter

LENGTHS = {f"clip{i}": 3 + 7 * i % 40 for i in range(20)}


def manifest(folder):
    return json.loads(zoo.write_manifest(folder).read_text())


def expected(made):
    """In float64 over everything."""
    values = np.concatenate([clip.values.double().numpy() for clip in made.values()], axis=1)
    variance = values.var(1)
    if next(iter(made.values())).std is not None:
        std = np.concatenate([clip.std.double().numpy() for clip in made.values()], axis=1)
        variance = variance + np.square(std).mean(1)
    return values.mean(1), values.std(1), np.sqrt(variance)


@pytest.mark.parametrize("posterior", [False, True])
def test_shards_of_any_size_and_process_give_the_same(tmp_path, posterior):
    made = fill(
        WebDatasetWriter(tmp_path / "one", FINGERPRINT), tmp_path, LENGTHS, posterior=posterior
    )
    for part in range(3):
        writer = WebDatasetWriter(tmp_path / "many", FINGERPRINT, part % 2, shard_bytes=4000)
        for number, name in enumerate(LENGTHS):
            if number % 3 == part:
                writer.write(source(tmp_path, name), made[name])
        writer.close()
    assert len(list((tmp_path / "many").glob("*.tar"))) > 4
    mean, std, drawn = expected(made)
    for folder in ("one", "many"):
        found = manifest(tmp_path / folder)
        np.testing.assert_allclose(found["latents"]["mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(found["latents"]["std"], std, rtol=1e-12)
        assert ("std_of_draws" in found["latents"]) is posterior
        if posterior:
            np.testing.assert_allclose(found["latents"]["std_of_draws"], drawn, rtol=1e-12)
        lengths = LENGTHS.values()
        assert found["clips"] == len(LENGTHS) == sum(s["clips"] for s in found["shards"])
        assert found["frames"]["total"] == sum(s["frames"] for s in found["shards"])
        assert found["frames"] == {
            "total": sum(lengths),
            "shortest": min(lengths),
            "longest": max(lengths),
        }
        assert found["fingerprint"] == FINGERPRINT


def test_files_have_one_too(tmp_path):
    made = fill(StableAudioToolsWriter(tmp_path / "npy", FINGERPRINT), tmp_path, LENGTHS)
    for name, content in made.items():
        content.save(tmp_path / "zoo" / f"{name}.safetensors")
    mean, std, _ = expected(made)
    for folder in ("npy", "zoo"):
        found = manifest(tmp_path / folder)
        np.testing.assert_allclose(found["latents"]["mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(found["latents"]["std"], std, rtol=1e-12)
        assert (found["shards"], found["clips"]) == ([], len(LENGTHS))


def test_a_large_mean_costs_no_precision():
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((2, 30000)) * 1e-2 + 1e3).astype(np.float32)
    parts = [Moments.of(part) for part in np.array_split(values, 7, axis=1)]
    merged = Moments.merged(parts)
    np.testing.assert_allclose(merged.std, values.astype(np.float64).std(1), rtol=1e-9)


def test_facts_about_the_model_last(tmp_path):
    model = zoo.from_config(TINY)
    facts = model_facts(model)
    assert (facts["sample_rate"], facts["downsampling_ratio"], facts["latent_dim"]) == (16000, 8, 3)
    zoo.from_config(facts["config"])
    writer = writer_for("webdataset", tmp_path / "out", FINGERPRINT, model=facts)
    fill(writer, tmp_path, LENGTHS)
    for _ in range(2):
        assert manifest(tmp_path / "out")["model"] == facts
    fill(writer_for("stable-audio-tools", tmp_path / "npy", FINGERPRINT), tmp_path, LENGTHS)
    zoo.write_manifest(tmp_path / "npy", facts)
    assert manifest(tmp_path / "npy")["model"] == facts


def test_tokens_have_no_statistics(tmp_path):
    fill(WebDatasetWriter(tmp_path, FINGERPRINT), tmp_path / "x", LENGTHS, tokens=True)
    assert manifest(tmp_path)["latents"] is None


def test_nothing_to_write_about(tmp_path):
    with pytest.raises(CheckpointError, match="no latents in this folder"):
        zoo.write_manifest(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        zoo.write_manifest(tmp_path / "missing")
    latents(0, 5).save(tmp_path / "a.safetensors")
    assert torch.tensor(manifest(tmp_path)["latents"]["mean"]).shape == (3,)
