from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from zoo.data.crops import AudioFile
from zoo.data.files import AudioInfo
from zoo.data.split import split_files

FOLDER = Path("/music")
names = st.sets(st.text("abcd", min_size=1, max_size=8), min_size=2)


def _files(names: set[str]) -> list[AudioFile]:
    return [AudioFile(FOLDER / name, AudioInfo(8000, 100, 1, "WAV")) for name in sorted(names)]


@given(names=names, fraction=st.floats(0, 1), seed=st.integers(0, 9))
def test_every_file_is_on_one_side_and_no_side_is_empty(
    names: set[str], fraction: float, seed: int
) -> None:
    files = _files(names)
    split = split_files(files, FOLDER, fraction=fraction, seed=seed)
    assert split.training
    assert split.validation
    assert not split.shared
    assert set(split.training) | set(split.validation) == set(files)
    assert not set(split.training) & set(split.validation)


@given(names=names, seed=st.integers(0, 9))
def test_adding_files_moves_no_other(names: set[str], seed: int) -> None:
    # Two anchors on either side, so that neither has to be filled up.
    many = {f"anchor{index}" for index in range(40)}
    before = split_files(_files(many), FOLDER, fraction=0.5, seed=seed)
    after = split_files(_files(many | names), FOLDER, fraction=0.5, seed=seed)
    assert set(before.training) <= set(after.training)
    assert set(before.validation) <= set(after.validation)


def test_the_share_is_about_the_fraction_and_depends_on_the_seed() -> None:
    files = _files({f"file{index}" for index in range(2000)})
    one = split_files(files, FOLDER, fraction=0.1, seed=0)
    two = split_files(files, FOLDER, fraction=0.1, seed=1)
    assert 160 < len(one.validation) < 240
    assert set(one.validation) != set(two.validation)


def test_the_folder_itself_does_not_matter() -> None:
    here = [AudioFile(Path("/a") / f"{index}", AudioInfo(8000, 1, 1, "WAV")) for index in range(50)]
    there = [AudioFile(Path("/b") / file.path.name, file.info) for file in here]
    one = split_files(here, Path("/a"), fraction=0.3, seed=0)
    two = split_files(there, Path("/b"), fraction=0.3, seed=0)
    assert [file.path.name for file in one.validation] == [
        file.path.name for file in two.validation
    ]


def test_a_single_file_is_on_both_sides() -> None:
    files = _files({"only"})
    split = split_files(files, FOLDER, fraction=0.1, seed=0)
    assert split.shared
    assert split.training == split.validation == tuple(files)
