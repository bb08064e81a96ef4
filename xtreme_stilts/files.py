"""Writing files so that a reader sees the old one or the new one, never a part; reading records that may be missing;
disks that are full or fail."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
from typing import Any

from etils import epath

from xtreme_stilts.errors import StorageError


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


def free_bytes(folder: epath.PathLike) -> int | None:
    """What a folder's disk has left; the folder need not exist yet. None where nobody can say, as on gs://."""
    if "://" in str(folder):
        return None
    path = pathlib.Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def require_space(folder: epath.PathLike, needed: int, *, free: int | None, what: str) -> None:
    """Refuses what a disk cannot hold, before the first byte of it is written.

    Args:
        folder: where it would be written.
        needed: bytes.
        free: what `free_bytes` says, or said to process 0.
        what: is to be written, for the sentence.

    Raises:
        StorageError: there is less.
    """
    if free is not None and free < needed:
        raise StorageError(f"{folder}: {what} needs {_size(needed)}, and {_size(free)} are free on its disk")


def _size(count: float) -> str:
    units = ["bytes", "KB", "MB", "GB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:.3g} {units[0]}" if count < 1000 else f"{count:,.0f} {units[0]}"


# Faults of the place that is written to, not of the program: what a person has to mend before it is run again.
_STORAGE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM)


def storage_fault(error: BaseException) -> str:
    """What a disk has done wrong, in words; "" where an error is no disk's fault.

    Orbax and TensorStore pass on the system's words in errors of their own, sometimes as the cause of another one.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageError):
            return str(seen)
        if isinstance(seen, OSError) and seen.errno in _STORAGE_FAULTS:
            return f"{seen.filename}: {seen.strerror}" if seen.filename else str(seen.strerror)
        for number in _STORAGE_FAULTS[:-2]:  # "Permission denied" is what services say of accounts, too
            if os.strerror(number) in str(seen):
                return os.strerror(number)
        seen = seen.__cause__ or seen.__context__
    return ""
