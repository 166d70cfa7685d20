"""`zoo evaluate` as a user meets it."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
import soundfile
import torch


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two sounds, and a file that is none."""
    folder = tmp_path / "audio"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.wav", "deep/b.flac"):
        soundfile.write(folder / name, 0.1 * torch.randn(9000, 1).clamp(-5, 5).numpy(), 22050)
    (folder / "broken.wav").write_text("no audio")
    return folder


def test_the_command_prints_files_means_and_pace(call, run, folder):
    code, out, err = call("evaluate", folder / "a.wav", folder / "deep", "--model", run)
    assert code == 0
    lines = out.splitlines()
    assert "SI-SDR (dB)" in lines[0]
    assert [line.split()[0] for line in lines[3:5]] == ["mean", "standard"]
    assert "x realtime" in out
    assert f"using {run}" in err


def test_the_command_prints_json_alone_and_reports_broken_files(call, run, folder):
    arguments = ("evaluate", run, folder, "--json", "--device", "cpu", "-o", "report.json")
    code, out, err = call(*arguments)
    assert code == 1
    report = json.loads(out)
    assert report == json.loads(Path("report.json").read_text())
    assert "broken.wav" in err
    values = [file["metrics"]["mel"] for file in report["files"]]
    assert report["summary"]["mel"]["mean"] == pytest.approx(statistics.fmean(values))
    code, out, err = call("evaluate", folder / "broken.wav", "missing.wav", "-m", run)
    assert (code, out) == (2, "")
    assert "broken.wav" in err and "missing.wav: no such file" in err
    code, _, err = call("evaluate", folder, "-m", run, "--steps", 3)
    assert (code, "only for diffusion autoencoders" in err) == (2, True)
