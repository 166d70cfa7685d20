"""The `zoo` command. Each subcommand imports what it needs when it runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import typer

from zoo.cli.decode import decode
from zoo.cli.diff import diff
from zoo.cli.encode import encode
from zoo.cli.evaluate import evaluate
from zoo.cli.export import export
from zoo.cli.list import list_
from zoo.cli.pull import pull
from zoo.cli.push import push
from zoo.cli.reconstruct import reconstruct
from zoo.cli.schema import schema
from zoo.cli.show import show
from zoo.cli.train import train
from zoo.cli.validate import validate
from zoo.errors import ZooError

app = typer.Typer(
    name="zoo",
    help="Train and use neural audio autoencoders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(train)
app.command()(encode)
app.command()(decode)
app.command()(reconstruct)
app.command()(evaluate)
app.command()(pull)
app.command()(export)
app.command()(push)
app.command()(validate)
app.command("list")(list_)
app.command()(show)
app.command()(diff)
app.command()(schema)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version.")) -> None:
    if version:
        from zoo import __version__

        print(__version__)
        raise typer.Exit


def main() -> None:
    """Runs the command line; a user's error is one message and exit code 2."""
    before = signal.signal(signal.SIGINT, _end)
    try:
        app()
    except ZooError as error:
        _fail(str(error))
    except OSError as error:
        # A full disk, a missing right: the file and the reason are all that helps.
        if error.strerror is None:
            raise
        name = error.filename2 or error.filename
        _fail(f"{name}: {error.strerror}" if name else error.strerror)
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: Any) -> None:
    """Ctrl-C ends a command at once; Python's own handler would raise in the middle of an import.

    A progress bar has hidden the cursor of its terminal.
    """
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h")
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _fail(message: str) -> None:
    print(f"zoo: error: {message}", file=sys.stderr)
    sys.exit(2)
