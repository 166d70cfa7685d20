"""Which input samples an output sample depends on, computed from the layers."""

from __future__ import annotations

from torch import nn

from zoo.nets.activations import Antialiased, SnakeBeta
from zoo.nets.conv import UpConv1d, WNConv1d
from zoo.nets.local_attention import LocalDownBlock, LocalTransformer, LocalUpBlock
from zoo.nets.taae import Transpose
from zoo.nets.transformer import TransformerBlock

Span = tuple[int, int]


def input_span(module: nn.Module, first: int, last: int) -> Span:
    """First and last input index that outputs `first` … `last` of `module` depend on.

    Indices count samples or frames of the module's own input and output; they may lie outside
    of a signal, where its padding is. Raises: NotImplementedError for a layer that sees the whole
    signal, such as attention without a window, and for one it doesn't know.
    """
    match module:
        case nn.Sequential():
            for layer in reversed(module):
                first, last = input_span(layer, first, last)
            return first, last
        case WNConv1d():
            reach = (module.kernel_size - 1) * module.dilation
            left = module.padding[0]
            return first * module.stride - left, last * module.stride - left + reach
        case UpConv1d():
            reach = module.kernel_size - 1 - module.cut
            return -((reach - first) // module.stride), (last + module.cut) // module.stride
        case nn.Upsample():
            factor = int(module.scale_factor)  # type: ignore[arg-type]
            return first // factor, last // factor
        case Antialiased():
            return first - 5, last + 5
        case SnakeBeta() | nn.ELU() | nn.Tanh() | nn.Identity() | Transpose():
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
        case nn.Module(layers=nn.Sequential() as layers):
            # In a residual unit the sum adds nothing that its layers do not see; linear layers
            # before and after see one frame.
            return input_span(layers, first, last)
        case _:
            raise NotImplementedError(f"input span of {type(module).__name__}")
