"""What the commands that take a config share: parsing of their flags, with every fault turned into one sentence."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from xtreme_stilts.errors import UserError

if TYPE_CHECKING:  # imported only once the flags are right
    from xtreme_stilts.config import StudyConfig


def parse(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parses the command line into `values`; returns the arguments that are no flags, the program's name first.

    Raises:
        UserError: an unknown flag or field, an unreadable value, or no such config file.
    """
    try:
        return values(list(argv))
    except flags.Error as error:
        raise UserError(_of_config_file(str(error))) from error
    except FileNotFoundError as error:
        raise UserError(f"--config: there is no file {error.filename or error}") from error
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        # ml_collections raises these for an unknown field or an unreadable value after --config.
        raise UserError(f"--config: {str(error).splitlines()[-1].strip()}") from error
    except Exception as error:  # a config file is a program; whatever it raises
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(f"--config: {last.filename} line {last.lineno}: {type(error).__name__}: {error}") from error


def _of_config_file(said: str) -> str:
    """ml_collections' complaint in one sentence, where it has put a whole traceback of a config file into it."""
    if "Traceback" not in said:
        return said
    fault = said.strip().splitlines()[-1]
    if "UserError: " in fault:
        return f"--config: {fault.partition('UserError: ')[2]}"
    file, line = re.findall(r'File "(.*)", line (\d+)', said)[-1]
    return f"--config: {file} line {line}: {fault}"


def no_more(rest: Sequence[str]) -> None:
    """Raises UserError if there are arguments after the program's name that are no flags."""
    if rest[1:]:
        raise UserError(f"unexpected argument {rest[1]!r}; flags are written --name=value")


def study_of(config) -> StudyConfig:
    """The checked study of a config flag's value.

    Raises:
        UserError: the file cannot be read, or what `config.parse` raises.
    """
    from xtreme_stilts import config as config_lib

    try:
        return config_lib.parse(config)
    except OSError as error:  # ml_collections puts off its complaint about the file until the config is read
        raise UserError(f"--config: {str(error).splitlines()[-1].strip()}") from error
