"""What the commands share: their flags, with every fault turned into one sentence.

Commands that take a config have absl's flags, since ml_collections' overrides (`--config.model.preset=mini`) are such;
the others have argparse's. Terms: an *override* is the part of a command line that sets one field of the config.
"""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from absl import flags
from ml_collections import config_flags

from xtreme_stilts.errors import STORAGE_STATUS, Problems, StorageError, UserError, did_you_mean
from xtreme_stilts.files import storage_fault

if TYPE_CHECKING:  # imported only once the flags are right
    from xtreme_stilts.config import StudyConfig


def tell(error: UserError) -> None:
    """Prints the sentences of an error on standard error, one a line."""
    for sentence in str(error).splitlines():
        print(f"error: {sentence}", file=sys.stderr)


def answered(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None) -> int:
    """Runs a command that is over in one go; bad input and files that cannot be read or written are told.

    Args:
        command: takes the command line, returns the exit status.
        argv: the command line.

    Returns:
        The command's exit status; 2 for bad input, STORAGE_STATUS for a disk that fails.
    """
    try:
        return command(argv)
    except UserError as error:
        tell(error)
        return 2
    except (OSError, StorageError) as error:
        fault = storage_fault(error)
        named = f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)
        print(f"error: {fault or named}", file=sys.stderr)
        return STORAGE_STATUS if fault else 2


# --------------------------------------------------------------------------------------------------
# Commands without a config


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UserError where argparse prints its usage and exits."""

    def parse_args(self, args=None, namespace=None) -> argparse.Namespace:
        """As argparse's; of an unknown flag it names the nearest one."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown and unknown[0].startswith("-"):
            known = [name for action in self._actions for name in action.option_strings]
            raise UserError(f"there is no flag {unknown[0]}; {did_you_mean(unknown[0].partition('=')[0], known)}")
        if unknown:
            raise UserError(f"unexpected argument {unknown[0]!r}; --help says what is expected")
        return found

    def _check_value(self, action: argparse.Action, value) -> None:
        if action.choices is not None and value not in action.choices:
            name = "/".join(action.option_strings) or action.metavar or action.dest
            raise UserError(f"{name} is {value!r}; {did_you_mean(value, action.choices)}")

    def error(self, message: str) -> NoReturn:
        """Raises UserError: what is wrong, and where the usage is told."""
        raise UserError(f"{message}; --help says what is expected")


# --------------------------------------------------------------------------------------------------
# Commands with a config


def define_config(values: flags.FlagValues = flags.FLAGS, *, argv: Sequence[str] | None = None) -> flags.FlagHolder:
    """Defines `--config`.

    Args:
        values: where; by default the process's own flags.
        argv: where its overrides are looked for; None = sys.argv.
    """
    return config_flags.DEFINE_config_file(
        "config",
        None,
        "FILE[:ARG] with get_config(arg).",
        flag_values=values,
        lock_config=False,
        accept_new_attributes=True,  # config.parse tells all that are no fields, with the nearest name
        sys_argv=None if argv is None else list(argv),
    )


def parse(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parses the command line into `values`; returns the arguments that are no flags, the program's name first.

    Raises:
        UserError: unknown flags or groups of fields, unreadable values (all of them), or no such config file.
    """
    try:
        rest = values(list(argv))
    except Exception as error:  # a config file is a program; whatever it raises
        problems = Problems(_unfit(argv))
        if not problems or isinstance(error, flags.UnrecognizedFlagError):
            problems.append(_sentence(error, values))
        raise UserError("\n".join(dict.fromkeys(problems))) from error
    given = values["config"]
    if given.present and given.value is None:
        file = given.config_filename
        raise UserError(f"--config: {file}: get_config returned None; it must return config.default() with changes")
    return rest


def _unfit(argv: Sequence[str]) -> Iterator[str]:
    """A sentence for each override that ml_collections refuses, which itself ends at the first."""
    words = [word for word in _joined(argv) if re.match("--?config=", word)]
    if not words:
        return
    for word in _joined(argv):
        if re.match(r"--?(no)?config\.", word):
            values = flags.FlagValues()
            define_config(values, argv=["", words[-1], word])
            try:
                values(["", words[-1], word])
            except Exception as error:
                yield _sentence(error, values, override=word.lstrip("-"))


def _joined(argv: Sequence[str]) -> list[str]:
    """The words of a command line, a flag of the config and a value that follows it as one."""
    found: list[str] = []
    for word in argv:
        if found and re.fullmatch(r"--?config[^=]*", found[-1]) and not word.startswith("-"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _sentence(error: Exception, values: flags.FlagValues, *, override: str = "") -> str:
    """What is wrong with a command line, of which `override` is the part that is, if that is known."""
    if isinstance(error, UserError):  # of a config file
        return f"--config: {error}"
    if isinstance(error, flags.UnrecognizedFlagError):
        ours = [each for module, each in values.flags_by_module_dict().items() if not module.startswith("absl.")]
        known = [f"--{flag.name}" for each in ours for flag in each]
        return f"there is no flag --{error.flagname}; {did_you_mean(f'--{error.flagname}', known)}"
    if isinstance(error, flags.Error) and "Traceback" in str(error):
        return _of_config_file(str(error))
    path, _, text = override.removeprefix("config.").partition("=")
    if isinstance(error, flags.IllegalFlagValueError) and (override or str(error).startswith("flag --config.")):
        return _of_value(error, path, text)
    if isinstance(error, flags.Error):
        return str(error)
    if override and isinstance(error, (AttributeError, KeyError, TypeError, ValueError)):
        from xtreme_stilts import config

        parent = f"config.{path.rpartition('.')[0]}"
        return config.field_problem(path) or f"{parent} is not there to be changed; the config file must make it"
    if isinstance(error, SyntaxError):
        return f"--config: {error.filename} line {error.lineno}: {type(error).__name__}: {error.msg}"
    if isinstance(error, AttributeError) and error.name == "get_config":
        return f"--config: {error.obj.__file__} has no function get_config(arg=None)"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"--config: {last.filename} line {last.lineno}: {type(error).__name__}: {error}"


def _of_value(error: Exception, path: str, text: str) -> str:
    from xtreme_stilts import config

    if not path:
        path, text = re.match(r"flag --config\.(.*?)=(.*?): ", str(error), re.DOTALL).groups()
    if wrong := config.field_problem(path):
        return wrong
    what = config.kind_of(path)
    return f"config.{path} is {text!r}; it must be {what}" if what else f"config.{path}: {error}"


def _of_config_file(said: str) -> str:
    """ml_collections' complaint in one sentence, where it has put a whole traceback of a config file into it."""
    fault = said.strip().splitlines()[-1]
    if "UserError: " in fault:
        return f"--config: {fault.partition('UserError: ')[2]}"
    file, line = re.findall(r'File "(.*)", line (\d+)', said)[-1]
    return f"--config: {file} line {line}: {fault}"


def _of_missing_file(error: BaseException | None) -> str:
    """A sentence on what came of reading a config file; one that is not there has been looked for in vain."""
    if isinstance(error, OSError) and error.filename:
        return f"--config: {error.filename}: {error.strerror}"
    file = re.search(r"\[Relative path\]:\s*(\S+)", str(error))
    return f"--config: there is no file {file[1]!r}" if file else f"--config: {error}"


def no_more(rest: Sequence[str]) -> None:
    """Raises UserError if there are arguments after the program's name that are no flags."""
    if rest[1:]:
        raise UserError(f"unexpected argument {rest[1]!r}; flags are written --name=value")


def study_of(config, *, also: Callable[..., Problems] | None = None) -> StudyConfig:
    """The checked study of a config flag's value.

    Args:
        config: the value.
        also: what to look for where anything is wrong, so that all is told at once: `study.problems_of`, or anything
            that takes and gives the same; None = `study.name_problems`.

    Raises:
        UserError: the file cannot be read, or what `config.parse` raises.
    """
    from xtreme_stilts import config as config_lib

    try:
        getattr(config, "keys", None)  # ml_collections puts off its complaint about a file until the config is used
        found = config_lib.read(config)
    except OSError as error:
        raise UserError(_of_missing_file(error.__cause__)) from error
    if found.problems:
        from xtreme_stilts import study

        (also or study.name_problems)(found.study, known=found.problems).tell()
    return found.study
