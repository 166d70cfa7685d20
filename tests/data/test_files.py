from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.material import waves, write_waves
from zoo.data import audio_writer
from zoo.data.files import find_audio, probe, read_audio, write_audio
from zoo.errors import AudioError

SUFFIXES = ("wav", "flac", "ogg", "mp3")
RATES = (16000, 22050, 44100)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    folder = tmp_path_factory.mktemp("library")
    return {
        (suffix, rate): write_waves(folder / f"{rate}.{suffix}", 70001, rate // 16000, rate)
        for suffix in SUFFIXES
        for rate in RATES
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_probe_reads_the_header(library: dict[tuple[str, int], Path], suffix: str) -> None:
    info = probe(library[suffix, 44100])
    assert (info.sample_rate, info.samples, info.channels) == (44100, 70001, 2)
    assert info.format == suffix.upper()
    assert info.seconds == pytest.approx(70001 / 44100)


def test_a_crop_is_the_same_as_a_slice_of_the_whole(
    library: dict[tuple[str, int], Path],
) -> None:
    whole = {key: read_audio(path) for key, path in library.items()}
    cases = 0

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(
        key=st.sampled_from(sorted(library)),
        # From the end, where seeking goes wrong in lossy formats, as often as anywhere.
        start=st.one_of(st.integers(0, 70000), st.integers(60000, 70000)),
        samples=st.integers(1, 20000),
    )
    def check(key: tuple[str, int], start: int, samples: int) -> None:
        nonlocal cases
        cases += 1
        crop = read_audio(library[key], start, samples)
        expected = whole[key].values[:, start : start + samples]
        assert crop.sample_rate == key[1]
        assert crop.values.shape == expected.shape
        torch.testing.assert_close(crop.values, expected, rtol=0, atol=1e-6)

    check()
    assert cases >= 100


def test_the_whole_file_is_what_was_written(library: dict[tuple[str, int], Path]) -> None:
    original = waves(70001, 2).T
    for suffix, tolerance in (("wav", 1e-4), ("flac", 1e-4)):
        values = read_audio(library[suffix, 44100]).values
        assert values.dtype == torch.float32
        np.testing.assert_allclose(values, original, atol=tolerance)


def test_only_the_crop_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_waves(tmp_path / "a.wav", 50000)
    counts = []
    read = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        counts.append(frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    read_audio(path, 20000, 100)
    assert counts == [100]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("samples", [1, 10])
def test_tiny_files(tmp_path: Path, suffix: str, samples: int) -> None:
    path = write_waves(tmp_path / f"tiny.{suffix}", samples, 2, 44100)
    assert probe(path).samples == samples
    assert read_audio(path).values.shape == (2, samples)
    assert read_audio(path, samples - 1, 50).values.shape == (2, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_lies_behind_the_end(library: dict[tuple[str, int], Path], suffix: str) -> None:
    assert read_audio(library[suffix, 44100], 70001, 5).values.shape == (2, 0)


def _text(path: Path) -> None:
    path.write_text("no audio at all\n" * 100)


def _no_bytes(path: Path) -> None:
    path.touch()


def _no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 1)), 8000)


def _nan(path: Path) -> None:
    soundfile.write(path, np.array([0.0, np.nan, 0.0]), 8000, subtype="FLOAT")


def _infinity(path: Path) -> None:
    soundfile.write(path, np.array([0.0, np.inf, 0.0]), 8000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "is a folder"),
        (_no_bytes, "is empty"),
        (_text, "not readable as audio"),
        (_no_samples, "holds no samples"),
        (_nan, "NaN"),
        (_infinity, "NaN"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, make, says: str) -> None:
    path = tmp_path / "broken.wav"
    make(path)
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    if make not in (_nan, _infinity):
        with pytest.raises(AudioError, match=says):
            probe(path)


def test_a_streamed_flac_without_length_is_refused(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "streamed.flac", 30000, 2)
    content = bytearray(path.read_bytes())
    # The low 36 bits of the 8 bytes at 18 hold the number of samples; 0 means unknown.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    for read in (probe, read_audio):
        with pytest.raises(AudioError, match="does not say how long it is"):
            read(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    channels=st.integers(1, 6),
    samples=st.integers(1, 300),
    sample_rate=st.sampled_from([1000, 22050, 96000]),
    suffix=st.sampled_from(["wav", "flac", "WAV"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    channels: int,
    samples: int,
    sample_rate: int,
    suffix: str,
) -> None:
    path = tmp_path_factory.mktemp("written") / "deep" / f"x.{suffix}"
    generator = torch.Generator().manual_seed(samples)
    values = torch.rand(channels, samples, generator=generator) * 2 - 1
    write_audio(path, values, sample_rate)
    audio = read_audio(path)
    assert audio.sample_rate == sample_rate
    tolerance = 2**-22 if suffix == "flac" else 0
    torch.testing.assert_close(audio.values, values, rtol=0, atol=tolerance)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_integer_formats_clip_and_floats_do_not(tmp_path: Path) -> None:
    values = torch.tensor([[-1.5, 0.5, 1.5]])
    write_audio(tmp_path / "float.wav", values, 8000)
    write_audio(tmp_path / "int.wav", values, 8000, subtype="PCM_16")
    assert torch.equal(read_audio(tmp_path / "float.wav").values, values)
    clipped = read_audio(tmp_path / "int.wav").values
    torch.testing.assert_close(clipped, values.clamp(-1, 1), rtol=0, atol=2**-14)


def test_more_than_4_gb_become_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_writer, "_WAV_LIMIT_BYTES", 1000)
    write_audio(tmp_path / "long.wav", torch.zeros(1, 251), 8000)
    write_audio(tmp_path / "short.wav", torch.zeros(1, 250), 8000)
    assert probe(tmp_path / "long.wav").format == "RF64"
    assert probe(tmp_path / "short.wav").format == "WAV"


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("x.mp4", torch.zeros(1, 5), ".wav or .flac"),
        ("x.wav", torch.zeros(1, 0), "nothing to write"),
        ("x.wav", torch.zeros(5), "(channels, samples)"),
        ("x.wav", torch.tensor([[0.0, float("nan")]]), "NaN"),
        ("x.flac", torch.zeros(9, 5), "channels (9)"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, values: torch.Tensor, says: str) -> None:
    with pytest.raises(AudioError) as caught:
        write_audio(tmp_path / name, values, 8000)
    assert says in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("missing_bytes", [1, 3000, 80000])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, suffix: str, missing_bytes: int) -> None:
    values = torch.rand(2, 20000, generator=torch.Generator().manual_seed(0))
    old = tmp_path / f"old.{suffix}"
    write_audio(old, values, 8000)
    before = old.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - missing_bytes, hard))
    try:
        with pytest.raises(AudioError, match="free space"):
            write_audio(old, values.flip(-1), 8000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert old.read_bytes() == before
    assert list(tmp_path.iterdir()) == [old]


def test_find_audio(tmp_path: Path) -> None:
    wanted = ["B.WAV", "a.flac", "deep/er/c.Ogg", "deep/d.mp3"]
    other = ["e.txt", ".hidden.wav", ".cache/f.wav", "deep/._d.mp3", "wav"]
    for name in wanted + other:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    assert find_audio(tmp_path) == tuple(sorted(tmp_path / name for name in wanted))


def test_find_audio_follows_links_to_folders(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "a.wav").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path / "library")
    assert find_audio(tmp_path / "run") == (tmp_path / "run" / "link" / "a.wav",)


def test_find_audio_wants_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nowhere: no such folder"):
        find_audio(tmp_path / "nowhere")
    (tmp_path / "a.wav").touch()
    with pytest.raises(AudioError, match=r"a\.wav: is a file"):
        find_audio(tmp_path / "a.wav")


def test_whole_numbers_stored_as_decimals_are_refused(tmp_path):
    path = tmp_path / "scaled.wav"
    soundfile.write(path, 32768 * np.sin(np.arange(1000) / 9), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"scaled\.wav: holds samples as large as 327\d\d"):
        read_audio(path)
