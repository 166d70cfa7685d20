"""What goes wrong for a user: one readable message, and no traceback in the CLI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class ZooError(Exception):
    """Base of all errors that a user can mend."""


class AudioError(ZooError):
    """An audio file or array that cannot be used."""


class CheckpointError(ZooError):
    """A weight or latent file that cannot be read, or does not fit the model."""


class TrainingError(ZooError):
    """A training run that cannot start or go on."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a config: `path` is the dotted key as written, empty for the whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(ZooError):
    """A config that is refused, with every problem found in it."""

    def __init__(self, problems: Iterable[Problem] | str, source: str = "") -> None:
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        self.source = source
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        prefix = f"{self.source}: " if self.source else ""
        if len(self.problems) == 1:
            return f"{prefix}{self.problems[0]}"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{prefix}{len(self.problems)} problems{lines}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the closest of `choices`, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
