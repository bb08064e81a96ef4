"""Nested dicts as flat ones, for comparing settings and for showing them. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(value: Any, *, path: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by their dotted paths; a dict without entries is a leaf, too.

    Args:
        value: a dict, or a leaf.
        path: what the paths begin with.
    """
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    beginning = f"{path}." if path else ""
    return {name: leaf for key, each in value.items() for name, leaf in flat(each, path=f"{beginning}{key}").items()}
