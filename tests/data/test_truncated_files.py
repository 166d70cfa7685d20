"""Audio files whose end is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from tests.data.material import waves, write_waves
from zoo.data.files import probe, read_audio
from zoo.errors import AudioError


def test_a_truncated_flac_is_refused_where_it_ends(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "half.flac", 100000)
    path.write_bytes(path.read_bytes()[:50000])
    assert read_audio(path, 1000, 1000).values.shape == (1, 1000)
    with pytest.raises(AudioError, match=r"half\.flac"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_truncated_wav_is_known_by_its_header(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "half.wav"
    soundfile.write(path, waves(1000, 2), 8000, subtype)
    assert not probe(path).is_cut
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    info = probe(path)
    assert info.is_cut and 0 < info.samples < 1000
    assert read_audio(path).values.shape == (2, info.samples)
    # What is written to a pipe promises as much as it can.
    at = content.index(b"data") + 4
    for promise in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        path.write_bytes(content[:at] + promise + content[at + 4 :])
        info = probe(path)
        assert (info.samples, info.is_cut) == (1000, False)


def test_a_truncated_mp3_is_refused_behind_its_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_waves(tmp_path / "half.mp3", 100000, 2, 44100)
    path.write_bytes(path.read_bytes()[:20000])
    assert read_audio(path, 1000, 1000).values.shape == (2, 1000)
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path, 90000, 1000)
