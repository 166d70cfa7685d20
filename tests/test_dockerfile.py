"""The image installs what `make setup` installs, and runs as nobody in particular."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined, `ARG` values put in."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    values = dict(text.split("=", 1) for name, text in found if name == "ARG" and "=" in text)
    return [
        (name, re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], m[0]), text))
        for name, text in found
    ]


def of(dockerfile: str, name: str) -> list[str]:
    """Arguments of all instructions of one name."""
    return [text for found, text in instructions(dockerfile) if found == name]


def stages(dockerfile: str) -> list[str]:
    """The text of each stage."""
    return re.split(r"^(?=FROM )", dockerfile, flags=re.MULTILINE)[1:]


def pip_lines(commands: list[str]) -> list[list[str]]:
    """The arguments of every `pip install`, without what only a checkout or an image wants."""
    found = []
    for command in commands:
        for part in command.split("&&"):
            words = shlex.split(part)
            if "pip" in words and "install" in words:
                arguments = words[words.index("install") + 1 :]
                found.append([a for a in arguments if a not in ("-e", "--no-cache-dir")])
    return found


def make_commands(makefile: str) -> list[str]:
    """Every command of the Makefile, variables put in."""
    values = dict(re.findall(r"^(\w+) [:?]?= (.*)$", makefile, flags=re.MULTILINE))
    commands = [line[1:] for line in makefile.splitlines() if line.startswith("\t")]
    for _ in range(3):
        commands = [re.sub(r"\$\((\w+)\)", lambda m: values.get(m[1], ""), c) for c in commands]
    return [command for command in commands if "pip install" in command]


def kept(path: str, ignore: str) -> bool:
    """Whether .dockerignore lets a path at the root through: its last matching line decides."""
    result = True
    for line in ignore.splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern):
            result = line.startswith("!")
    return result


def copied(dockerfile: str) -> list[str]:
    """What is copied from the repository (and not from another stage)."""
    sources = []
    for text in of(dockerfile, "COPY"):
        words = text.split()
        if not any(word.startswith("--from=") for word in words):
            sources += words[:-1]
    return sources


def problems(dockerfile: str, makefile: str, ignore: str) -> list[str]:
    """All that is wrong with the image."""
    found = []
    last = stages(dockerfile)[-1]
    if len(stages(dockerfile)) < 2:
        found.append("one stage only")
    ours, theirs = pip_lines(of(dockerfile, "RUN")), pip_lines(make_commands(makefile))
    if not theirs or ours != theirs:
        found.append(f"pip installs {ours}, `make setup` {theirs}")
    for text in of(dockerfile, "RUN"):
        if "pip install" in text and "--no-cache-dir" not in text:
            found.append(f"pip keeps its cache: {text}")
        if "apt-get install" in text and (
            "--no-install-recommends" not in text or "rm -rf /var/lib/apt/lists" not in text
        ):
            found.append(f"apt leaves things behind: {text}")
        if re.search(r"[^|]\|[^|]", text) and not any("pipefail" in s for s in of(last, "SHELL")):
            found.append(f"a pipe hides its failure: {text}")
    for text in of(dockerfile, "FROM"):
        if not re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-\w+( AS \w+)?", text):
            found.append(f"not a pinned image: {text}")
    if (of(last, "USER") or ["root"])[-1] in ("root", "0"):
        found.append("runs as root")
    if of(last, "ENTRYPOINT") != ['["zoo"]'] or of(last, "CMD") != ['["--help"]']:
        found.append("does not start zoo")
    if (of(last, "WORKDIR") or [""])[-1] != "/work":
        found.append("does not start in /work")
    for path in copied(dockerfile):
        if not (ROOT / path).exists():
            found.append(f"not in the repository: {path}")
        if not kept(path, ignore):
            found.append(f"hidden by .dockerignore: {path}")
    return found


def test_image_installs_what_make_setup_installs():
    assert problems(DOCKERFILE, MAKEFILE, IGNORE) == []
    assert pip_lines(make_commands(MAKEFILE)) == [
        ["--no-deps", "-r", "requirements.lock"],
        ["--no-deps", "--no-build-isolation", "."],
    ]


def test_image_holds_all_that_the_wheel_is_made_of():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
    }
    assert needed | {"requirements.lock"} == set(copied(DOCKERFILE))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("Dockerfile", "-r requirements.lock", "-r other.lock"),
        ("Dockerfile", "--no-deps -r", "-r"),
        ("Dockerfile", "--no-build-isolation ", ""),
        ("Dockerfile", "--no-cache-dir --no-deps -r", "--no-deps -r"),
        ("Dockerfile", "python:3.11-slim-bookworm", "python:latest"),
        ("Dockerfile", "python:3.11-slim-bookworm", "python"),
        ("Dockerfile", "USER 1000\n", ""),
        ("Dockerfile", "USER 1000\n", "USER root\n"),
        ("Dockerfile", "USER 1000\nWORKDIR /work", "USER 1000"),
        ("Dockerfile", 'ENTRYPOINT ["zoo"]', "ENTRYPOINT zoo"),
        ("Dockerfile", "COPY recipes recipes", "COPY recepies recipes"),
        ("Dockerfile", "FROM ${BASE}\n", ""),
        ("Dockerfile", "RUN useradd", "RUN apt-get install -y gcc && useradd"),
        ("Dockerfile", "RUN useradd", "RUN echo zoo | sort && useradd"),
        ("Makefile", "-r requirements.lock", "-r other.lock"),
        ("Makefile", "PIP_ZOO := pip install --no-deps", "PIP_ZOO := pip install"),
        (".dockerignore", "!zoo\n", ""),
    ],
)
def test_a_change_for_the_worse_is_seen(file, old, new):
    files = {"Dockerfile": DOCKERFILE, "Makefile": MAKEFILE, ".dockerignore": IGNORE}
    assert old in files[file]
    files[file] = files[file].replace(old, new)
    assert problems(files["Dockerfile"], files["Makefile"], files[".dockerignore"])
