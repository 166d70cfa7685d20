"""What all tests share: no network, no logins, one thread, the same examples each time.

Others are drawn with `--hypothesis-profile=default`.
"""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Of all processes that the tests start: sums differ in their last bits by the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "disabled")
# A shell's job in the background ignores Ctrl-C, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")

TINY: dict[str, Any] = {
    "model_type": "autoencoder",
    "sample_rate": 16000,
    "model": {
        "encoder": {
            "type": "oobleck",
            "config": {
                "in_channels": 2,
                "channels": 4,
                "c_mults": [1, 2],
                "strides": [2, 4],
                "latent_dim": 6,
                "use_snake": True,
            },
        },
        "decoder": {
            "type": "oobleck",
            "config": {
                "out_channels": 2,
                "channels": 4,
                "c_mults": [1, 2],
                "strides": [2, 4],
                "latent_dim": 3,
                "use_snake": True,
                "final_tanh": False,
            },
        },
        "bottleneck": {"type": "vae"},
        "latent_dim": 3,
        "downsampling_ratio": 8,
        "io_channels": 2,
    },
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The config of a stereo VAE with a few hundred weights, to be changed at will."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the starter recipe, `…/runs/starter/<time>`."""
    from tests.shrunk import shrunk
    from zoo.training.run import train

    return train(shrunk("starter", tmp_path_factory.mktemp("trained"))).folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    # Nets this small gain nothing from a second one, and lose much on a busy machine.
    torch.set_num_threads(1)
