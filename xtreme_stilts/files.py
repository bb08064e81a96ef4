"""Writing files so that a reader sees the old one or the new one, never a part; reading records that may be missing."""

from __future__ import annotations

import json
import os
from typing import Any

from etils import epath


def write_text(path: epath.PathLike, text: str) -> None:
    """Replaces a file, in UTF-8, through a temporary name beside it; makes the folder if need be. Local or gs://."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            if "://" not in str(path):
                os.fsync(file.fileno())  # else a power cut after the rename can leave an empty file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: epath.PathLike, value: Any) -> None:
    """Replaces a JSON file, indented for people."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")


def read_object(path: epath.PathLike) -> dict[str, Any]:
    """The object in a JSON file; {} where it is missing, damaged or holds none: for reports, which go on without."""
    try:
        found = json.loads(epath.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
