"""The rows of the training benchmark that need a GPU, on a CPU and with a small network."""

from __future__ import annotations

import pytest
import torch

from benchmarks.train_step import GPU_SIDES, Measured, Work, trained


class Line:
    """Two turns, and what is answered."""

    def __init__(self) -> None:
        self.turns = [True, True, False]
        self.answers: list[Measured] = []

    def recv(self) -> bool:
        return self.turns.pop(0)

    def send(self, answer: Measured) -> None:
        self.answers.append(answer)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side", [GPU_SIDES[0], GPU_SIDES[3]], ids=lambda s: s.name)
def test_rows_for_a_gpu_run(side):
    threads = torch.get_num_threads()
    line = Line()
    work = Work(channels=4, batch=2, samples=4096, threads=threads, device="cpu", tiny=True)
    trained(line, work, side)  # pyright: ignore[reportArgumentType]
    assert line.turns == []
    assert len(line.answers) == 2
    assert all(answer.seconds > 0 and answer.peak_bytes > 2**20 for answer in line.answers)
