"""How much of a signal is processed at a time, from the memory that is free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

_FEWEST_FRAMES, _MOST_FRAMES = 16, 1024
# Results of the largest layer that are there at once, as measured on a CPU (benchmarks/memory.py).
_RESULTS_AT_ONCE = 8
_CPU_SHARE, _CPU_MOST_BYTES = 4, 2**30
_GPU_SHARE = 2
_UNKNOWN_BYTES = 2**31
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def frames_at_once(bytes_per_frame: int, device: torch.device) -> int:
    """A power of two that leaves most of the free memory free; at most 1 GiB is used on a CPU.

    Args:
        bytes_per_frame: of the largest result of a layer, for one latent frame.
    """
    fits = budget(device) // (_RESULTS_AT_ONCE * max(1, bytes_per_frame))
    return min(max(1 << max(0, fits.bit_length() - 1), _FEWEST_FRAMES), _MOST_FRAMES)


@torch.no_grad()
def largest_result(network: Callable[[Tensor], Tensor], parts: nn.Module, x: Tensor) -> int:
    """Bytes of the largest result of any of `parts` when `network` runs over `x`."""
    largest = 0

    def note(module: nn.Module, given: object, result: object) -> None:
        nonlocal largest
        if isinstance(result, Tensor):
            largest = max(largest, result.numel() * result.element_size())

    hooks = [part.register_forward_hook(note) for part in parts.modules()]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def budget(device: torch.device) -> int:
    """Bytes that one call may use there."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // _GPU_SHARE
    return min(free_bytes() // _CPU_SHARE, _CPU_MOST_BYTES)


def free_bytes() -> int:
    """Memory of this machine, or of the container, that is free or can be made so."""
    known = [_UNKNOWN_BYTES]
    if _MEMINFO.is_file():
        lines = _MEMINFO.read_text().splitlines()
        known = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        known.append(limit - int((_CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # Without a limit, the file is missing or says "max".
    return max(0, min(known, default=_UNKNOWN_BYTES))
