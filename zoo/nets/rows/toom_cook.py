"""Short filters with fewer multiplications than taps × outputs.

A filter of r taps gives m neighbouring outputs from m + r - 1 inputs. As matrices,

    y = A ((G g) ∘ (B x)),

with one multiplication for each row of G instead of m · r. Where the taps are matrices and the
samples are rows of channels, each multiplication is a matrix product, and what A, B and G cost is
little beside it.

Source: Toom 1963 and Cook 1966; Winograd 1980, "Arithmetic Complexity of Computations";
Lavin & Gray 2015, arXiv:1509.09308 (for convolutional networks); Barabasz et al. 2018,
arXiv:1803.10986 (points and their error in floating point).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

_Matrix = list[list[Fraction]]


@dataclass(frozen=True)
class ShortFilter:
    """y_t = Σ_k g_k x_{t+k} for t < `outputs`, k < `taps`, as y = A ((G g) ∘ (B x)).

    Attributes:
        outputs, taps: m and r.
        combine: A, (m, products); exact, in float64 as the others.
        weigh: G, (products, r).
        spread: B, (products, inputs), inputs = m + r - 1.
    """

    outputs: int
    taps: int
    combine: Tensor
    weigh: Tensor
    spread: Tensor

    @property
    def products(self) -> int:
        return self.weigh.shape[0]

    @property
    def inputs(self) -> int:
        return self.spread.shape[1]


def toom_cook(outputs: int, taps: int, points: Sequence[Fraction | int]) -> ShortFilter:
    """The filter from the values of polynomials at `points` and at infinity.

    Args:
        points: outputs + taps - 2 different numbers.
    """
    products = outputs + taps - 1
    assert len(set(points)) == products - 1
    at = [Fraction(point) for point in points]
    # A polynomial's coefficients from its values; filtering is multiplication, transposed.
    coefficients = _inverse(_values(at, products))
    spread = [list(column) for column in zip(*coefficients, strict=True)]
    weigh = _values(at, taps)
    for row, taps_row in zip(spread, weigh, strict=True):
        # Powers of two move from B to G, so that what B gives is about as large as its input.
        shift = _power_of_two(max(abs(value) for value in row))
        row[:] = [value / shift for value in row]
        taps_row[:] = [value * shift for value in taps_row]
    combine = [list(column) for column in zip(*_values(at, outputs), strict=True)]
    return ShortFilter(outputs, taps, _tensor(combine), _tensor(weigh), _tensor(spread))


def nested(fine: ShortFilter, coarse: ShortFilter) -> ShortFilter:
    """Blocks of `fine.outputs` taps and outputs, `coarse` over the blocks: both savings at once.

    It loses less to rounding than one filter of as many points.
    """
    block = fine.outputs
    assert block == fine.taps
    weigh = torch.kron(coarse.weigh, fine.weigh)
    combine = torch.kron(coarse.combine, fine.combine)
    spread = weigh.new_zeros(len(weigh), block * (coarse.inputs - 1) + fine.inputs)
    for number, column in enumerate(coarse.spread.split(1, dim=1)):
        first = number * block
        spread[:, first : first + fine.inputs] += torch.kron(column, fine.spread)
    return ShortFilter(coarse.outputs * block, coarse.taps * block, combine, weigh, spread)


def _values(points: Sequence[Fraction], terms: int) -> _Matrix:
    """Powers of each point, and the leading coefficient: the value at infinity."""
    finite = [[point**power for power in range(terms)] for point in points]
    return [*finite, [Fraction(int(power == terms - 1)) for power in range(terms)]]


def _inverse(matrix: _Matrix) -> _Matrix:
    """Gauss and Jordan's, exact."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(size):
            if i != column and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]


def _power_of_two(value: Fraction) -> Fraction:
    """The power of two with value / power from 3/4 to 3/2."""
    power = Fraction(1)
    while value / power > Fraction(3, 2):
        power *= 2
    while value / power < Fraction(3, 4):
        power /= 2
    return power


def _tensor(matrix: _Matrix) -> Tensor:
    return torch.tensor([[float(value) for value in row] for row in matrix], dtype=torch.float64)


_HALF = Fraction(1, 2)
# 4 products for 3 outputs of 2 taps, instead of 6.
TWO_TAPS = toom_cook(3, 2, (0, 1, -1))
# 28 products for 12 outputs of up to 8 taps, instead of 96.
EIGHT_TAPS = nested(toom_cook(4, 4, (1, -1, 2, -2, _HALF, -_HALF)), TWO_TAPS)
