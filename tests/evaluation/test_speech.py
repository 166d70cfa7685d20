"""PESQ through the optional package, and the plumbing around it through a fake one."""

from __future__ import annotations

import csv
import math
import sys
import types

import numpy as np
import pytest
import torch

from tests.shrunk import shrunk
from zoo.data.resample import resample
from zoo.errors import AudioError, ConfigError
from zoo.evaluation import speech as module
from zoo.training.run import train


def speechlike(seconds: float, rate: int, channels: int = 1) -> torch.Tensor:
    """Syllables of harmonics."""
    t = torch.arange(int(seconds * rate)) / rate
    voice = sum(torch.sin(2 * torch.pi * 140 * n * t) / n for n in range(1, 12))
    loud = (torch.sin(2 * torch.pi * 3 * t) > -0.3).float()
    return (0.1 * voice * loud).expand(channels, -1).clone()


@pytest.fixture
def fake(monkeypatch):
    """A package that counts its calls and gives what it was given: mode and levels."""
    package = types.ModuleType("pesq")
    package.calls = []

    class PesqError(RuntimeError):
        pass

    def of_arrays(rate, reference, estimate, mode):
        package.calls.append((rate, len(reference), mode))
        if np.abs(reference).max() < 1e-3:
            raise PesqError("no utterances")
        return 1.0 + float(np.abs(estimate).max())

    package.PesqError, package.pesq = PesqError, of_arrays
    monkeypatch.setitem(sys.modules, "pesq", package)
    monkeypatch.setattr(module, "has_pesq", lambda: True)
    return package


def test_equals_the_package():
    package = pytest.importorskip("pesq", reason="the extra zoo[metrics] is not installed")
    rate = 24000
    clean = torch.stack([speechlike(3, rate, 2), speechlike(3, rate, 2).roll(500, -1)])
    torch.manual_seed(0)
    noisy = clean + torch.tensor([0.001, 0.02])[:, None, None] * torch.randn_like(clean)
    expected = [
        package.pesq(
            16000,
            resample(y.mean(0), rate, 16000).numpy(),
            resample(x.mean(0), rate, 16000).numpy(),
            "wb",
        )
        for x, y in zip(noisy, clean, strict=True)
    ]
    values = module.pesq(noisy, clean, rate)
    assert values.tolist() == pytest.approx(expected)
    assert values[0] > values[1]
    assert float(module.pesq(clean[:1], clean[:1], rate)) > 4.6
    silence = torch.zeros_like(clean)
    assert module.pesq(silence, clean, rate).isnan().all()
    assert module.pesq(clean, silence, rate).isnan().all()
    assert module.pesq(clean[..., :2000], clean[..., :2000], rate).isnan().all()


def test_mono_at_16_khz_in_pieces_of_at_most_20_seconds(fake):
    values = module.pesq(torch.ones(1, 2, 32000 * 50), torch.ones(1, 2, 32000 * 50), 32000)
    assert [call[::2] for call in fake.calls] == [(16000, "wb")] * 3
    lengths = [call[1] for call in fake.calls]
    assert sum(lengths) == 16000 * 50
    assert max(lengths) <= 20 * 16000
    assert float(values) == pytest.approx(2.0, abs=0.1)


def test_silence_has_no_value(fake):
    reference = torch.stack([torch.ones(1, 16000), torch.zeros(1, 16000)])
    values = module.pesq(0.5 * reference, reference, 16000)
    assert values[0] == 1.5
    assert math.isnan(values[1])


def test_refuses_what_it_can_not_compare(fake):
    with pytest.raises(AudioError, match="8000"):
        module.pesq(torch.ones(1, 1, 9), torch.ones(1, 1, 9), 8000)
    with pytest.raises(AudioError, match="shape"):
        module.pesq(torch.ones(1, 1, 9), torch.ones(1, 1, 8), 16000)


def test_absent_it_is_named_only_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "has_pesq", lambda: False)
    with pytest.raises(ConfigError, match=r"\.\[metrics\]"):
        train(shrunk("starter", tmp_path, "metrics=[pesq]"))
    assert not (tmp_path / "runs").exists()


def test_a_run_logs_the_mean_and_counts_what_is_left_out(tmp_path, fake, monkeypatch):
    given = iter([1.5, math.nan, 2.5, 4.0])

    def scripted(estimate, *_):
        return torch.tensor([next(given) for _ in estimate], dtype=torch.float64)

    monkeypatch.setattr("zoo.training.callbacks.speech_quality.pesq", scripted)
    more = ["metrics=[pesq]", "checkpoints.monitor=val/pesq", "data.validation_crops=4"]
    more += ["data.validation_fraction=0.7"]
    run = train(shrunk("starter", tmp_path, *more))
    rows = csv.DictReader(next(run.folder.glob("logs/*/metrics.csv")).open())
    row = next(row for row in rows if row["val/pesq"])
    assert float(row["val/pesq"]) == pytest.approx((1.5 + 2.5 + 4.0) / 3)
    assert float(row["val/pesq_left_out"]) == 1
    assert list(run.folder.glob("checkpoints/step-000002_val-pesq_2.66667.ckpt"))
