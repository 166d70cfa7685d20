from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.material import audio_file
from zoo.data.crops import AudioFile, Crop, CropDataset, CropReader, CropSampler, FixedCrops
from zoo.data.files import AudioInfo, probe, read_audio
from zoo.data.resample import resample
from zoo.errors import AudioError

SEGMENT = 500


def _dataset(files: list[AudioFile], **changes) -> CropDataset:
    options = {"sample_rate": 8000, "channels": 1, "segment_samples": SEGMENT, "seed": 3}
    return CropDataset(files, **{**options, **changes})


def _constant(path: Path, value: float, samples: int) -> AudioFile:
    soundfile.write(path, [value] * samples, 8000)
    return AudioFile(path, probe(path))


def test_a_crop_is_a_slice_of_the_whole_resampled_file(tmp_path: Path) -> None:
    rates = (8000, 11025, 22050, 44100, 8001)
    files = {rate: audio_file(tmp_path / f"{rate}.wav", 9001, 2, rate) for rate in rates}
    whole = {rate: read_audio(file.path).values for rate, file in files.items()}
    cases = 0

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(data=st.data(), rate=st.sampled_from(rates), target=st.sampled_from((8000, 16000)))
    def check(data: st.DataObject, rate: int, target: int) -> None:
        nonlocal cases
        cases += 1
        reader = CropReader(sample_rate=target, channels=2, segment_samples=SEGMENT)
        start = data.draw(st.integers(0, reader.length(files[rate]) - 1))
        crop = reader.read(Crop(files[rate], start))
        expected = resample(whole[rate], rate, target)[:, start : start + SEGMENT]
        padded = torch.nn.functional.pad(expected, (0, SEGMENT - expected.shape[-1]))
        torch.testing.assert_close(crop, padded, rtol=0, atol=2e-6)

    check()
    assert cases >= 100


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_crops_have_their_shape_whatever_the_format(tmp_path: Path, suffix: str) -> None:
    files = [audio_file(tmp_path / f"a.{suffix}", 30000, 1, 22050)]
    dataset = _dataset(files, channels=2, sample_rate=16000)
    for number in range(20):
        values = dataset[number]
        assert values.shape == (2, SEGMENT)
        assert values.dtype == torch.float32
        assert torch.equal(values[0], values[1])
        assert values.abs().max() > 0.1


def test_a_crop_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    files = [audio_file(tmp_path / f"{seed}.wav", 4000, seed=seed) for seed in range(3)]
    options = {"phase_flip": 0.5, "gain_db": 6.0, "skip_silence_db": -60.0}
    first = [_dataset(files, **options)[number] for number in range(30)]
    other = _dataset(files, **options)
    for number in reversed(range(30)):
        assert torch.equal(other[number], first[number])
    for one, two in itertools.combinations(first, 2):
        assert not torch.equal(one, two)
    assert not torch.equal(_dataset(files, **options, seed=4)[0], first[0])


@pytest.mark.parametrize("samples", [1, 10, SEGMENT - 1])
def test_short_files_end_in_zeros(tmp_path: Path, samples: int) -> None:
    file = _constant(tmp_path / "short.wav", 0.5, samples)
    values = _dataset([file])[0]
    assert values.shape == (1, SEGMENT)
    assert (values[:, :samples] == 0.5).all()
    assert (values[:, samples:] == 0).all()


def test_files_are_drawn_by_length(tmp_path: Path) -> None:
    long = _constant(tmp_path / "long.wav", 0.25, 20000)
    short = _constant(tmp_path / "short.wav", 0.5, 5000)
    dataset = _dataset([short, long])
    share = sum(bool(dataset[number][0, 0] == 0.25) for number in range(500)) / 500
    assert 0.74 < share < 0.86


def test_single_samples_are_drawn_too(tmp_path: Path) -> None:
    files = [_constant(tmp_path / f"{index}.wav", 0.25 * index, 1) for index in (1, 2)]
    dataset = _dataset(files)
    assert {dataset[number][0, 0].item() for number in range(30)} == {0.25, 0.5}


def test_starts_reach_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "ramp.wav"
    soundfile.write(path, [index / 100 for index in range(20)], 8000, subtype="FLOAT")
    dataset = _dataset([AudioFile(path, probe(path))], segment_samples=16)
    starts = {round(dataset[number][0, 0].item() * 100) for number in range(100)}
    assert starts == {0, 1, 2, 3, 4}


def test_silence_is_drawn_again(tmp_path: Path) -> None:
    path = tmp_path / "half.wav"
    soundfile.write(path, [0.0] * 10000 + [0.1] * 10000, 8000)
    files = [AudioFile(path, probe(path))]
    skipping = _dataset(files, skip_silence_db=-40.0)
    assert all(skipping[number].abs().max() > 0.01 for number in range(100))
    never = _dataset(files)
    assert any(never[number].abs().max() == 0 for number in range(20))


def test_silence_everywhere_is_taken_as_it_is(tmp_path: Path) -> None:
    values = _dataset([_constant(tmp_path / "silent.wav", 0.0, 5000)], skip_silence_db=-60.0)[0]
    assert values.shape == (1, SEGMENT)
    assert values.abs().max() == 0


def test_phase_flip_and_gain(tmp_path: Path) -> None:
    files = [audio_file(tmp_path / "a.wav", 4000)]
    plain, flipped = _dataset(files), _dataset(files, phase_flip=1.0)
    some, louder = _dataset(files, phase_flip=0.5), _dataset(files, gain_db=6.0)
    signs, gains = [], []
    for number in range(100):
        values = plain[number]
        assert torch.equal(flipped[number], -values)
        signs.append(torch.equal(some[number], -values))
        gains.append((louder[number] / values).mean().log10().item() * 20)
    assert 30 < sum(signs) < 70
    assert -6.001 < min(gains) < -4
    assert 4 < max(gains) < 6.001


def test_a_file_that_breaks_gives_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [_constant(tmp_path / f"{index}.wav", 0.5, 5000) for index in range(3)]
    files[1].path.write_text("no longer audio")
    dataset = _dataset(files, skip_silence_db=-60.0)
    for number in range(50):
        assert (dataset[number] == 0.5).all()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"zoo: left out: {files[1].path}: not readable as audio")


def test_the_only_readable_file_is_found(tmp_path: Path) -> None:
    files = [_constant(tmp_path / "short.wav", 0.5, 1)]
    files += [_constant(tmp_path / f"{index}.wav", 0.25, 500000) for index in range(3)]
    for file in files[1:]:
        file.path.unlink()
    assert _dataset(files)[0][0, 0] == 0.5


def test_no_readable_file_at_all(tmp_path: Path) -> None:
    files = [_constant(tmp_path / f"{index}.wav", 0.5, 5000) for index in range(3)]
    for file in files:
        file.path.unlink()
    with pytest.raises(AudioError, match="none of the 3 audio files"):
        _dataset(files)[0]
    fixed = FixedCrops(files, sample_rate=8000, channels=1, segment_samples=SEGMENT, crops=4)
    with pytest.raises(AudioError, match="validation"):
        fixed[0]


@settings(max_examples=200, deadline=None)
@given(lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=12), crops=st.integers(1, 60))
def test_fixed_crops_are_spread_evenly(lengths: list[int], crops: int) -> None:
    files = [
        AudioFile(Path(f"{index}.wav"), AudioInfo(8000, length, 1, "WAV"))
        for index, length in enumerate(lengths)
    ]
    fixed = FixedCrops(files, sample_rate=8000, channels=1, segment_samples=SEGMENT, crops=crops)
    room = [max(1, length // SEGMENT) for length in lengths]
    assert len(fixed) == min(crops, sum(room))
    starts = {file: [crop.start for crop in fixed.crops if crop.file == file] for file in files}
    counts = [len(starts[file]) for file in files]
    for file, own in starts.items():
        assert all(later - start >= SEGMENT for start, later in itertools.pairwise(own))
        assert all(0 <= start <= max(0, file.info.samples - SEGMENT) for start in own)
    for (one, space), two in itertools.product(zip(counts, room, strict=True), counts):
        assert one == space or one >= two - 1


def test_a_broken_validation_file_gives_way(tmp_path: Path) -> None:
    files = [_constant(tmp_path / f"{index}.wav", 0.25 * index, 500) for index in (1, 2)]
    fixed = FixedCrops(files, sample_rate=8000, channels=1, segment_samples=SEGMENT, crops=2)
    assert [fixed[0][0, 0], fixed[1][0, 0]] == [0.25, 0.5]
    files[1].path.unlink()
    assert [fixed[0][0, 0], fixed[1][0, 0]] == [0.25, 0.25]


@given(start=st.integers(0, 10**9), world=st.integers(1, 8))
def test_the_ranks_share_the_numbers(start: int, world: int) -> None:
    dealt = [list(itertools.islice(CropSampler(start, rank, world), 5)) for rank in range(world)]
    assert [number for turn in zip(*dealt, strict=True) for number in turn] == list(
        range(start, start + 5 * world)
    )
