"""float32 at least, and tables that no cast spoils."""

from __future__ import annotations

import pytest
import torch

from zoo.nets.precision import Float32Buffers, wide, widened, without_autocast


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_no_precision_is_lost(given, expected):
    assert wide(given) == expected
    x = torch.ones(3, dtype=given)
    assert widened(x).dtype == expected
    assert (widened(x) is x) == (given == expected)


def test_autocast_stops_at_the_context():
    x = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x):
            assert (x @ x).dtype == torch.float32


def test_buffers_stay_as_exact_as_they_were():
    module = Float32Buffers()
    table = torch.rand(5)
    module.register_buffer("table", table)
    module.half().float()
    assert torch.equal(module.table, table)
