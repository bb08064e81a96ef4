"""How a program ends early on purpose: with a sentence on bad input or on a disk that fails, or as it was told to."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator


class UserError(ValueError):
    """Bad input. The message is a sentence: where, what was found, what is valid. Programs exit with status 2."""


class Problems(list[str]):
    """Sentences on what is wrong, gathered so that a user is told all of them at once."""

    @contextlib.contextmanager
    def gathered(self, where: str = "") -> Iterator[None]:
        """Adds the sentences of a UserError raised in the body, each preceded by `where`."""
        try:
            yield
        except UserError as error:
            self.extend(where + line for line in str(error).splitlines())

    def tell(self) -> None:
        """Raises UserError with every sentence once, a line each, if there are any."""
        if self:
            raise UserError("\n".join(dict.fromkeys(self)))


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Puts `where`, such as "config.tokenizer: ", before each sentence of a UserError raised in the body."""
    try:
        yield
    except UserError as error:
        raise UserError("\n".join(where + line for line in str(error).splitlines())) from error


class Stopped(Exception):
    """The run was told to stop and has saved what it had. Programs exit with EXIT_STATUS."""


class StorageError(Exception):
    """The disk is full, cannot be written or fails. What is finished stays. Programs exit with STORAGE_STATUS."""


EXIT_STATUS = 75  # of a run that was told to stop; EX_TEMPFAIL of sysexits.h: "run me again"
STORAGE_STATUS = 74  # of a run whose disk fails; EX_IOERR of sysexits.h: to be run again once somebody has looked


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A clause to end an error sentence with: the nearest valid name, or the valid names when none is near.

    Args:
        name: what was given.
        valid: the accepted names.
    """
    names = sorted(map(str, valid))
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
    return f"valid: {shown or '(none)'}"
