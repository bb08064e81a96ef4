"""The one kind of error a user is meant to see: a sentence that says what is wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The message is a sentence: where, what was found, what is valid. Programs exit with status 2."""


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
