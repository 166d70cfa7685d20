"""The weights that come with the package."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path

import pytest
import torch

import zoo
from zoo.checkpoints.download import digest
from zoo.checkpoints.fingerprint import fingerprint
from zoo.checkpoints.reading import read_checkpoint
from zoo.config.library import INCLUDED, find
from zoo.config.load import load_config
from zoo.config.resolve import resolve_recipe
from zoo.data.synthesis import synthesise_clip
from zoo.errors import CheckpointError
from zoo.evaluation.metrics import measure

CONFIG = find("configs", INCLUDED)
WEIGHTS = CONFIG.with_suffix(".safetensors")


def quality(model: zoo.AudioAutoencoder) -> list[float]:
    """SI-SDR in dB of three clips of practice audio, none of which it was trained on."""
    codec = zoo.Codec(model, device="cpu")
    clips = [synthesise_clip((90_003, n), 3, 22050, 2, ("tone", "pluck", "drum")) for n in range(3)]
    return [measure(codec.decode(codec.encode(c, 22050)), c, 22050).si_sdr_db for c in clips]


def test_it_has_learnt():
    torch.manual_seed(0)
    assert max(quality(zoo.from_config("starter"))) < -20
    assert min(quality(zoo.from_config("starter", pretrained=True))) > 13


def test_it_needs_no_network(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("asked for a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = zoo.from_config("starter", pretrained=True)
    assert model.loaded.complete
    for name in ("starter", INCLUDED):
        assert fingerprint(zoo.from_pretrained(name)) == fingerprint(model)
    assert INCLUDED in zoo.list_models(pretrained=True)
    # The file alone is enough too, wherever it is copied.
    assert fingerprint(zoo.from_checkpoint(WEIGHTS)) == fingerprint(model)


def test_another_file_in_its_place_is_named(tmp_path):
    for path in (CONFIG, WEIGHTS):
        shutil.copy(path, tmp_path)
    config, weights = tmp_path / CONFIG.name, tmp_path / WEIGHTS.name
    assert zoo.from_config(config, pretrained=True).loaded.complete
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS.name}: not the weights .* sha256 is"):
        zoo.from_config(config, pretrained=True)
    weights.unlink()
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS.name}: no such file"):
        zoo.from_config(config, pretrained=True)


def test_card_and_config_say_what_is_there():
    published = load_config(INCLUDED).published
    assert published is not None
    assert (published.file, published.sha256) == (WEIGHTS.name, digest(WEIGHTS))
    assert WEIGHTS.stat().st_size <= 8_000_000
    card = CONFIG.with_suffix(".md").read_text(encoding="utf-8")
    assert f"licence: {published.licence}" in card
    kept = read_checkpoint(WEIGHTS)
    trained = resolve_recipe("starter_pretrained").container()
    assert load_config(dict(kept.require_config())) == trained


def test_card_has_the_figures_of_the_benchmark():
    recorded = Path(__file__).parents[2] / "benchmarks" / "results" / "starter.json"
    sounds = json.loads(recorded.read_text())["sounds"]
    card = CONFIG.with_suffix(".md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z ]+?) *\| *(-?[\d.]+)", card, flags=re.MULTILINE))
    for name, codecs in sounds.items():
        assert rows[name] == f"{codecs['model']['si_sdr_db']:.1f}"
