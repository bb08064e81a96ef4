"""Stand-ins for the commands the scripts call: each writes down its words and answers as the test says.

No test here reaches a cloud, a cluster or an accelerator: the executables are named by environment variables or found
first on PATH, and every one of them is a small Python script in the test's own folder.
"""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys
from typing import NamedTuple

import pytest

LAUNCH = pathlib.Path(__file__).resolve().parents[2] / "launch"

# Writes its words and standard input down, then answers with the first unused answer whose `words` it was called with.
_STAND_IN = """#!{python} -S
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
text = sys.stdin.read() if "--filename=-" in words else ""
environment = {{name: os.environ[name] for name in {watched!r} if name in os.environ}}
with open(folder / "calls.jsonl", "a", encoding="utf-8") as calls:
    record = {{"name": {name!r}, "words": words, "stdin": text, "environment": environment}}
    calls.write(json.dumps(record) + "\\n")
answers = json.loads((folder / {name!r}).with_suffix(".json").read_text(encoding="utf-8"))
for number, answer in enumerate(answers):
    used = folder / f"{name}-used-{{number}}"
    if not used.exists() and all(word in words for word in answer["words"]):
        used.touch()
        print(answer.get("stdout", ""))
        sys.exit(answer.get("status", 0))
"""


class Done(NamedTuple):
    """What a script did: its exit status and what it wrote."""

    status: int
    out: str
    err: str


class Bench:
    """A folder with stand-ins, and a way to run scripts that find nothing but them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environment = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "POLL_SECONDS": "0",
        }

    def stand_in(self, name: str, answers: list[dict] | None = None, *, watched: tuple[str, ...] = ()) -> pathlib.Path:
        """Adds an executable. `answers`: {"words": needed, "stdout": text, "status": int}, each used once, in order."""
        text = _STAND_IN.format(python=sys.executable, folder=str(self.folder), name=name, watched=watched)
        (self.folder / f"{name}.json").write_text(json.dumps(answers or []), encoding="utf-8")
        return self.executable(name, text)

    def executable(self, name: str, text: str) -> pathlib.Path:
        """Adds an executable with the given text."""
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def run(self, script: str | pathlib.Path, *words: str, **environment: str) -> Done:
        """Runs a script of launch/ (or any path) with the given words."""
        done = subprocess.run(
            ["bash", str(LAUNCH / script), *words],
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment, **environment},
            cwd=self.folder,
        )
        return Done(status=done.returncode, out=done.stdout, err=done.stderr)

    def records(self) -> list[dict]:
        """All calls so far: {"name", "words", "stdin", "environment"}."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def calls(self) -> list[list[str]]:
        """The words of all calls so far."""
        return [record["words"] for record in self.records()]


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    """An empty bench in the test's own folder."""
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def launch() -> pathlib.Path:
    """The folder of the scripts."""
    return LAUNCH


# Words that a shell would take apart, expand or run.
AWKWARD = (
    "python",
    "-c",
    "two  words",
    "it's",
    'say "hi"',
    "$HOME $(touch hit) `touch hit`",
    "new\nline",
    "back\\slash",
    "*",
    "; touch hit &",
    "",
    "--",
    "ümläut 語",
    "$$(PATH)",
)


@pytest.fixture(scope="session")
def awkward() -> tuple[str, ...]:
    """A program whose every argument must arrive as it is."""
    return AWKWARD
