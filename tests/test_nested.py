"""Nested dicts and their dotted paths."""

from __future__ import annotations

import pytest

from xtreme_stilts.nested import flat


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"a": 1, "b": {"c": (2, 3), "d": {"e": None}}}, "", {"a": 1, "b.c": (2, 3), "b.d.e": None}),
        ({"a": {}, "b": {"c": {}}}, "config", {"config.a": {}, "config.b.c": {}}),  # a group without fields is told
        ({1: {2: "x"}}, "", {"1.2": "x"}),
        (7, "config", {"config": 7}),
    ],
)
def test_leaves_by_their_paths(value, path, expected):
    assert flat(value, path=path) == expected
