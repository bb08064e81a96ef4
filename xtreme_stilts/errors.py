"""The two ways a program ends early on purpose: bad input, answered with a sentence, and being told to stop."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The message is a sentence: where, what was found, what is valid. Programs exit with status 2."""


class Stopped(Exception):
    """The run was told to stop and has saved what it had. Programs exit with EXIT_STATUS."""


EXIT_STATUS = 75  # of a run that was told to stop; EX_TEMPFAIL of sysexits.h: "run me again"


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
