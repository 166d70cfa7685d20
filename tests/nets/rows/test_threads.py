"""Work on threads: all of it, once, with what fails named; in a forked process too."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch

from zoo.nets.rows.threads import on_threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_all_work_is_done_once():
    done: list[int] = []
    on_threads([lambda n=n: done.append(n) for n in range(100)])
    assert sorted(done) == list(range(100))


def test_each_thread_has_one_core_and_others_keep_theirs():
    seen: set[int] = set()
    on_threads([lambda: seen.add(torch.get_num_threads()) for _ in range(20)])
    born: list[int] = []
    thread = threading.Thread(target=lambda: born.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == {1} and torch.get_num_threads() == 2 and born == [2]


def test_a_failure_is_raised():
    def fail() -> None:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        on_threads([fail, lambda: None, lambda: None])
    test_all_work_is_done_once()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    test_all_work_is_done_once()
    child = os.fork()
    if child == 0:
        done: list[int] = []
        on_threads([lambda n=n: done.append(n) for n in range(10)])
        os._exit(0 if sorted(done) == list(range(10)) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
