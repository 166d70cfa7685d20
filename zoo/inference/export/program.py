"""Encoder and decoder as programs of torch.export, for any batch and length."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from zoo.errors import CheckpointError
from zoo.inference.export.networks import Side, difference


def traced(side: Side) -> ExportedProgram:
    """The program of a network. Raises: CheckpointError for one that can't be traced."""
    free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(side.network, (side.example,), dynamic_shapes=(free,))
    except Exception as error:
        # Whatever torch can't follow ends in one of a dozen kinds of error.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"torch.export can't follow the {side.name} of this network for any length: {reason}; "
            "export it as zoo or stable-audio-tools"
        ) from None


def write_program(side: Side, folder: Path) -> str:
    """Writes `<name>.pt2`, reloads and compares it; gives what was found, in words.

    Raises: CheckpointError where it can't be traced or differs; OSError where it can't be written.
    """
    path = folder / f"{side.name}.pt2"
    program = traced(side)
    # The places in the code that each operation came from, as they are on this machine.
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.export.save(program, path)
        except RuntimeError as error:
            # torch's writer has no other words for a full disk.
            raise OSError(errno.EIO, str(error).splitlines()[0], str(path)) from None
        again = torch.export.load(path).module()
    found = difference(side, again)
    return f"{path.name}: reloaded, differs from the model by at most {found:.1e}"
