"""Lists that go together, such as the widths and strides of a network's blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.errors import Problem


def equal_lengths(**lists: Sequence[object]) -> Iterator[Problem]:
    """A problem for each list that is not as long as the first; paths `config.<name>`."""
    (first, items), *others = lists.items()
    for name, other in others:
        if len(other) != len(items):
            yield Problem(
                f"config.{name}",
                f"{len(other)} {name}, but {len(items)} {first}: each block needs one of each",
            )
