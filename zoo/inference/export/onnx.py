"""Encoder and decoder as ONNX files, for any batch and length."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import CheckpointError, ZooError
from zoo.inference.export.networks import Side, difference
from zoo.inference.export.program import traced

_INSTALL = "pip install 'zoo[export]'"
# A single file of this format holds 2 GiB at most.
_LARGE_BYTES = 1_900_000_000


def require_onnx() -> None:
    """Raises: ZooError where the packages that write ONNX are not installed."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ZooError(f"ONNX files need {' and '.join(missing)}: {_INSTALL}")


def write_onnx(side: Side, folder: Path) -> str:
    """Writes `<name>.onnx`, and compares it by onnxruntime; gives what was found, in words.

    Raises: CheckpointError where it can't be traced or differs; OSError where it can't be written.
    """
    require_onnx()
    path = folder / f"{side.name}.onnx"
    program = traced(side)
    size = sum(value.nbytes for value in program.state_dict.values())
    axes = {0: "batch", 2: "samples" if side.input_name == "audio" else "frames"}
    with _quiet():
        try:
            written: Any = torch.onnx.export(
                program,
                (side.example,),
                input_names=[side.input_name],
                output_names=[side.output_name],
                dynamic_shapes=(axes,),
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise CheckpointError(
                f"the {side.name} of this network has no form in ONNX: {reason}"
            ) from None
        # The places in the code that each operation came from, as they are on this machine.
        for node in written.model.graph.all_nodes():
            node.metadata_props.clear()
        written.save(str(path), external_data=size > _LARGE_BYTES)
    if importlib.util.find_spec("onnxruntime") is None:
        return f"{path.name}: not compared, as onnxruntime is not installed ({_INSTALL})"
    try:
        found = difference(side, _runtime(path, side))
    except CheckpointError:
        raise
    except Exception as error:
        # Its errors have no class of their own but Exception.
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"onnxruntime can't run the {side.name} of this network for any batch and length: "
            f"{reason}; export it as zoo or stable-audio-tools"
        ) from None
    return f"{path.name}: by onnxruntime, differs from the model by at most {found:.1e}"


def _runtime(path: Path, side: Side):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(given: Tensor) -> Tensor:
        (found,) = session.run([side.output_name], {side.input_name: given.numpy()})
        return torch.from_numpy(found)

    return run


@contextlib.contextmanager
def _quiet():
    """torch's exporter prints what it does, and warns of its own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
