"""How much of a signal is processed at a time, from the memory that is free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.nets.prepared import unprepared

_FEWEST_FRAMES, _MOST_FRAMES = 16, 1024
# Results of the largest layer that are there at once, as measured on a CPU (benchmarks/memory.py).
_RESULTS_AT_ONCE = 8
_SHARE = 4
_CPU_MOST_BYTES = 2**30
# On a CPU the heap serves results of less than 32 MB again and again; larger ones are mapped and
# cleared anew each time, which takes up to half of the run.
CPU_FAST_BYTES = 2**24
_UNKNOWN_BYTES = 2**31
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def frames_at_once(
    bytes_per_frame: int, context: int, device: torch.device, fast_bytes: int = CPU_FAST_BYTES
) -> int:
    """A power of two: fast, and a fourth of the free memory at most; on a CPU 1 GiB.

    Args:
        bytes_per_frame: of the largest result of a layer, for one latent frame.
        context: frames that some layers have to run over again with each block; fewer would
            cost more than they save.
        fast_bytes: size of the largest result at which a CPU is fastest.
    """
    wanted = _MOST_FRAMES
    if device.type == "cpu":
        wanted = min(max(fast_bytes // bytes_per_frame, context), _MOST_FRAMES)
    fits = budget(device) // (_RESULTS_AT_ONCE * bytes_per_frame)
    return max(1 << max(0, min(wanted, fits).bit_length() - 1), _FEWEST_FRAMES)


@torch.no_grad()
def largest_result(network: Callable[[Tensor], Tensor], parts: nn.Module, x: Tensor) -> int:
    """Bytes of the largest result of any of `parts` when `network` runs over `x`."""
    largest = 1

    def note(module: nn.Module, given: object, result: object) -> None:
        nonlocal largest
        if isinstance(result, Tensor):
            largest = max(largest, result.numel() * result.element_size())

    hooks = [part.register_forward_hook(note) for part in parts.modules()]
    try:
        with unprepared(parts):
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def budget(device: torch.device) -> int:
    """Bytes that one call may use there."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // _SHARE
    return min(free_bytes() // _SHARE, _CPU_MOST_BYTES)


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
