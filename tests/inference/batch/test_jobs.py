"""What a job asks of a codec."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from zoo.inference.batch.jobs import Encoding, Reconstruction


def test_what_fits_the_memory_is_that_of_the_network_that_runs():
    model = SimpleNamespace(frames_to_encode=lambda clips: 7, frames_to_decode=lambda clips: 7)
    network = SimpleNamespace(
        frames_to_encode=lambda clips: 600 // clips, frames_to_decode=lambda clips: 300 // clips
    )
    codec: Any = SimpleNamespace(model=model, network=network)
    assert Encoding(codec).frames_at_once(3) == 200
    assert Reconstruction(codec).frames_at_once(3) == 100
    codec.network = SimpleNamespace()
    assert Encoding(codec).frames_at_once(3) == 0
