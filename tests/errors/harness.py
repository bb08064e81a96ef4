"""Bad inputs, each given to the real command in this process, and what came back.

Terms: a *case* is one bad input, a *command* what a user would have typed in the folder the case's files are in (its
first word names the module of `xtreme_stilts`, or a script of launch/), an *answer* the exit status and what stood on
standard error. Commands run in this process, one after another, and leave flags, tasks, settings and loggers as they
were; launch scripts run in their own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import itertools
import logging
import os
import pathlib
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parents[2]
Content = str | bytes | Callable[[pathlib.Path], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    Attributes:
        given: what is wrong with it, in words.
        command: what is typed.
        says: what the answer must hold: the field, file or line, what was found, what is valid.
        files: what the folder holds beside `tiny.py` and `configs/`: path -> content, or a function that makes it.
        varies: a regular expression; what it finds differs between versions of libraries and is left out of the table.
        lines: how many sentences come back.
        status: the exit status.
    """

    given: str
    command: str
    says: tuple[str, ...]
    files: Mapping[str, Content] = dataclasses.field(default_factory=dict)
    varies: str = ""
    lines: int = 1
    status: int = 2

    def prepare(self, folder: pathlib.Path) -> None:
        """Makes the files in an empty folder."""
        (folder / "configs").symlink_to(ROOT / "configs")
        (folder / "launch").symlink_to(ROOT / "launch")
        for name, content in {"tiny.py": TINY, **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content, encoding="utf-8")


def config_file(*changes: str) -> str:
    """A config file: a study of one miniature target with these lines added to `get_config`, where it is `made`."""
    lines = [
        "made = config.default()",
        "recipes.miniature(made)",
        'made.name, made.pretrain, made.targets = "tiny", (), ("mini_xnli",)',
        'made.update({"model": {"width": 16, "layers": 1, "heads": 2, "mlp": 32}})',
        *changes,
        "return made",
    ]
    body = "".join(f"    {line}\n" for line in lines)
    return f"from xtreme_stilts import config, recipes\n\n\ndef get_config(arg=None):\n{body}"


TINY = config_file()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `folder` is where the command ran."""

    status: int
    stderr: str
    folder: pathlib.Path

    @property
    def sentences(self) -> list[str]:
        """The lines of standard error, less what differs between machines."""
        text = self.stderr
        for path, name in ((self.folder.resolve(), "FOLDER"), (self.folder, "FOLDER"), (ROOT, "PACKAGE")):
            text = text.replace(str(path), name)
        text = re.sub(r"/\S*/site-packages/", "", text)
        return [line.rstrip() for line in text.splitlines() if line.strip()]

    @property
    def errors(self) -> list[str]:
        """The sentences that begin with "error:", without that word."""
        return [line.removeprefix("error: ") for line in self.sentences if line.startswith("error: ")]


def answer(case: Case, folder: pathlib.Path) -> Answer:
    """Gives a case to its command."""
    case.prepare(folder)
    program, *words = shlex.split(case.command)
    if program.startswith("launch/"):
        return _script([program, *words], folder)
    with _as_it_was(), contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                status = _COMMANDS.get(program, _plain)(program, words)
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                status = 1
                traceback.print_exc()
    return Answer(status=status, stderr=errors.getvalue(), folder=folder)


# --------------------------------------------------------------------------------------------------
# Running


def _script(words: list[str], folder: pathlib.Path) -> Answer:
    """A launch script, which finds one GPU, and no gcloud, kubectl or sbatch."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CUDA_VISIBLE_DEVICES": "0", "GCLOUD": "false"}
    done = subprocess.run(
        ["bash", *words],
        cwd=folder,
        env={**environment, "KUBECTL": "false", "SBATCH": "false"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Answer(status=done.returncode, stderr=done.stderr, folder=folder)


def _plain(program: str, words: list[str]) -> int:
    return _module(program).main(words)


def _with_name(program: str, words: list[str]) -> int:
    return _module(program).main([program, *words])


def _module(program: str):
    name = f"xtreme_stilts.{program}"
    is_package = (ROOT / "xtreme_stilts" / program / "__main__.py").exists()
    return importlib.import_module(f"{name}.__main__" if is_package else name)


def _run_main(program: str, words: list[str]) -> int:
    """`main` has the process's own flags, which forget here what they were set to; what is accepted is not trained."""
    from unittest import mock

    from absl import flags

    from xtreme_stilts import study

    module = _module(program)
    sys.argv = [program, *words]
    accepted = mock.patch.object(study, "work", side_effect=AssertionError("the study was accepted"))
    try:
        with accepted:
            return module.run([program, *words])
    finally:
        for name in [name for name in flags.FLAGS if name.startswith("config.")]:
            delattr(flags.FLAGS, name)
        for flag in itertools.chain(*map(flags.FLAGS.flags_by_module_dict().get, ("xtreme_stilts.main", _DEFINES))):
            flag.unparse()


_DEFINES = "xtreme_stilts.flags"  # --config
_COMMANDS = {"main": _run_main, "preflight": _with_name, "contamination": _with_name}


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Puts back what a command changes in its process."""
    from xtreme_stilts.tasks import registry, sources

    tables = [getattr(registry, name) for name in ("_families", "_mixtures", "_suites")]
    before = [dict(table) for table in tables]
    environment, path, argv, settings = dict(os.environ), list(sys.path), sys.argv, sources.settings()
    loggers = {logging.getLogger(name): None for name in ("", "xtreme_stilts", "absl", "jax._src.xla_bridge")}
    loggers = {each: (each.level, each.propagate, list(each.handlers)) for each in loggers}
    sys.modules.pop("config_config", None)  # a config file that is read next keeps what the last one defined
    modules, writes = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # else the folder of a config has one that sentences would name
    try:
        yield
    finally:
        for table, contents in zip(tables, before, strict=True):
            table.clear()
            table.update(contents)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:], sys.argv, sys.dont_write_bytecode = path, argv, writes
        sources.use(settings)
        for each, (level, propagate, handlers) in loggers.items():
            each.level, each.propagate, each.handlers[:] = level, propagate, handlers
        for name in set(sys.modules) - modules:
            if name.startswith(("users_", "config_config")):
                del sys.modules[name]
