"""Fills the ${names} of a YAML template: fill.py TEMPLATE NAME=VALUE ... -- PROGRAM ARGUMENT...

Values are written as JSON, which is YAML, so none of them can be taken for syntax: whole numbers as numbers,
everything else as strings, and the program as the list `command`. Kubernetes replaces $(NAME) in commands and reads
$$ as $; every $ of the program is therefore doubled.
"""

from __future__ import annotations

import json
import pathlib
import string
import sys


def fill(template: str, *, values: dict[str, str], program: list[str]) -> str:
    """Returns the filled template. Raises KeyError where the template has a name without a value."""
    filled = {name: value if value.isdecimal() else json.dumps(value) for name, value in values.items()}
    command = json.dumps([word.replace("$", "$$") for word in program])
    return string.Template(template).substitute(filled, command=command)


def main(argv: list[str]) -> None:
    """Prints the filled template."""
    path, *words = argv
    end = words.index("--")
    values = dict(word.split("=", 1) for word in words[:end])
    sys.stdout.write(fill(pathlib.Path(path).read_text(encoding="utf-8"), values=values, program=words[end + 1 :]))


if __name__ == "__main__":
    main(sys.argv[1:])
