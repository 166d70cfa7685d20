"""The command line, called as from a shell."""

from __future__ import annotations

import pytest

from zoo.cli import main as cli


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs `zoo …` in an empty folder: exit code, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run_command
