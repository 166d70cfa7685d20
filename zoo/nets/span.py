"""Which input samples an output sample depends on, computed from the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import nn

from zoo.nets.activations import POINTWISE, Antialiased, Snake1d, SnakeBeta
from zoo.nets.conv import UpConv1d, WNConv1d
from zoo.nets.local_attention import LocalDownBlock, LocalTransformer, LocalUpBlock
from zoo.nets.padded_conv import CutConvTranspose1d, PaddedConv1d
from zoo.nets.transformer import TransformerBlock
from zoo.nets.transpose import Transpose

Span = tuple[int, int]


def input_span(module: nn.Module, first: int, last: int) -> Span:
    """First and last input index that outputs `first` … `last` of `module` depend on.

    Indices count samples or frames of the module's own input and output; they may lie outside
    of a signal, where its padding is. A network or block names its parts in order as `layers`.

    Raises:
        NotImplementedError: for a layer that depends on all of its input, such as attention
            without a window, and for one that is not known here.
    """
    match module:
        case WNConv1d():
            reach = (module.kernel_size - 1) * module.dilation
            left = module.padding[0]
            return first * module.stride - left, last * module.stride - left + reach
        case nn.Conv1d(kernel_size=(1,), stride=(1,)):
            return first, last
        case PaddedConv1d():
            _check_padded(module)
            start = first * module.stride - module.left
            return start, last * module.stride - module.left + module.reach
        case UpConv1d() | CutConvTranspose1d():
            if isinstance(module, CutConvTranspose1d):
                _check_norm(module.convtr.norm)
            reach = module.kernel_size - 1 - module.cut
            return -((reach - first) // module.stride), (last + module.cut) // module.stride
        case nn.Upsample():
            factor = int(module.scale_factor)  # type: ignore[arg-type]
            return first // factor, last // factor
        case Antialiased():
            return first - 5, last + 5
        case SnakeBeta() | Snake1d() | Transpose():
            return first, last
        case TransformerBlock() | LocalTransformer():
            before, after = module.reach
            return first - before, last + after
        case LocalDownBlock():
            first, last = first * module.ratio, last * module.ratio + module.ratio - 1
            return input_span(module.transformer, first, last)
        case LocalUpBlock():
            first, last = input_span(module.transformer, first, last)
            return first // module.ratio, last // module.ratio
        case nn.LSTM() | nn.Module(lstm=nn.LSTM()):
            raise NotImplementedError("an LSTM depends on all of the signal before")
        case nn.Sequential() | nn.Module(layers=_):
            # In a residual unit the sum adds nothing that its layers do not see; linear layers
            # before and after see one frame.
            layers = module if isinstance(module, nn.Sequential) else module.layers
            for layer in reversed(list(cast(Iterable[nn.Module], layers))):
                first, last = input_span(layer, first, last)
            return first, last
        case _ if isinstance(module, POINTWISE):
            return first, last
        case _:
            raise NotImplementedError(f"input span of {type(module).__name__}")


def _check_padded(conv: PaddedConv1d) -> None:
    if conv.pad_mode == "circular":
        raise NotImplementedError("circular padding joins both ends of the signal")
    _check_norm(conv.conv.norm)


def _check_norm(norm: nn.Module) -> None:
    if isinstance(norm, nn.GroupNorm):
        raise NotImplementedError("a norm over time depends on all of the signal")
