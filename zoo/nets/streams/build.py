"""Which stream serves which layer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from zoo.nets import dac, oobleck, seanet
from zoo.nets.activations import POINTWISE, Antialiased, Snake1d, SnakeBeta
from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d
from zoo.nets.local_attention import (
    LocalAttentionDecoder,
    LocalAttentionEncoder,
    LocalDownBlock,
    LocalTransformer,
    LocalUpBlock,
)
from zoo.nets.padded_conv import CutConvTranspose1d, PaddedConv1d
from zoo.nets.span import input_span
from zoo.nets.streams.conv import ConvStream
from zoo.nets.streams.recurrent import LSTMStream
from zoo.nets.streams.stream import Chain, Pointwise, Stream, Sum
from zoo.nets.streams.window import Window
from zoo.nets.transformer import TransformerBlock
from zoo.nets.transpose import Transpose


def stream(module: nn.Module) -> Stream:
    """A new stream of a layer, a block or a network in eval mode.

    A network or block names its parts in order as `layers`; a layer from elsewhere brings a
    method `stream()`.

    Raises:
        NotImplementedError: for a layer that sees all of its input at once, such as attention
            without a window, and for one that is not known here.
    """
    match module:
        case nn.Module(stream=_):
            return cast(Any, module).stream()
        case WNConv1d():
            return ConvStream(module, frames=isinstance(module, DownConv1d))
        case UpConv1d() | CutConvTranspose1d():
            return _windowed(module, step_out=module.stride)
        case PaddedConv1d():
            reflects = module.pad_mode == "reflect"
            mirrored = max(module.left, module.right + module.stride - 1) if reflects else 0
            return _windowed(module, step_in=module.stride, mirrored=mirrored)
        case nn.Upsample():
            return _windowed(module, step_out=int(module.scale_factor))  # type: ignore[arg-type]
        case Antialiased():
            return _windowed(module)
        case TransformerBlock() | LocalTransformer():
            return _windowed(module, axis=1)
        case LocalDownBlock():
            return _windowed(module, step_in=module.ratio, axis=1)
        case LocalUpBlock():
            return _windowed(module, step_out=module.ratio, axis=1)
        case LocalAttentionEncoder() | LocalAttentionDecoder():

            def into(x: Tensor) -> Tensor:
                return module.project_in(x.transpose(1, 2))

            def out(x: Tensor) -> Tensor:
                return module.project_out(x).transpose(1, 2)

            return Chain([Pointwise(into), stream(module.layers), Pointwise(out)])
        case seanet.ResidualLSTM():
            return LSTMStream(module)
        case oobleck.ResidualUnit() | dac.ResidualUnit():
            return Sum([Pointwise(nn.Identity()), _chain(module.layers)])
        case seanet.ResidualBlock():
            return Sum([stream(module.shortcut), _chain(module.layers)])
        case nn.Sequential():
            return _chain(module)
        case nn.Module(layers=_):
            return _chain(cast(Any, module).layers)
        case SnakeBeta() | Snake1d() | Transpose() | nn.Conv1d(kernel_size=(1,), stride=(1,)):
            return Pointwise(module)
        case _ if isinstance(module, POINTWISE):
            return Pointwise(module)
        case _:
            raise NotImplementedError(f"{type(module).__name__} can't be run in blocks")


def _windowed(
    module: nn.Module, *, step_in: int = 1, step_out: int = 1, mirrored: int = 0, axis: int = -1
) -> Stream:
    input_span(module, 0, 0)  # Says why, where there is none.
    return Window(
        module,
        partial(input_span, module),
        step_in=step_in,
        step_out=step_out,
        mirrored=mirrored,
        axis=axis,
    )


def _chain(layers: Iterable[nn.Module]) -> Chain:
    return Chain([stream(layer) for layer in layers])
