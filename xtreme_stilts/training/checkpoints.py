"""Orbax behind one small door: a phase's checkpoints, complete or absent, and whole or set aside.

A phase keeps two kinds: `latest` (parameters, optimizer, step, data state: to go on) and `best` (parameters
with the best validation value: to hand over and to evaluate). Parameters are saved as the two items `encoder`
and `heads`, because the hand-off reads only the first. A checkpoint saved on one mesh is restored on another:
the arrays take the shardings of the abstract tree that asks for them.

Orbax gives a checkpoint its name only when all of it is written. What happens to the files later it does not see, so
beside each finished checkpoint lies its *seal*, `<step>.seal.json`: the size and CRC-32 of every file in it. A
checkpoint is checked against its seal before it is read: sizes everywhere, contents on local disks (object stores
check theirs). One without a seal, because the program was killed between the two, is taken as it is.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from xtreme_stilts import processes
from xtreme_stilts.errors import StorageError
from xtreme_stilts.files import free_bytes, read_object, require_space, write_json

Tree = Any
_ARGS = ocp.args
_SEAL = ".seal.json"
_BLOCK = 2**22  # bytes read at once


class Checkpoints:
    """The numbered checkpoints of one folder, newest kept.

    Args:
        folder: where they live; made on the first save.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: epath.PathLike, *, keep: int = 1):
        self.folder = epath.Path(folder)
        self._unsealed: int | None = None
        self._manager = ocp.CheckpointManager(
            self.folder.absolute() if "://" not in str(folder) else self.folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=True,
                enable_async_checkpointing=True,
                # Processes meet under the step's number; `latest` and `best` are written at the same step.
                multiprocessing_options=ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=self.folder.name),
            ),
            item_handlers=None,
        )

    def save(self, step: int, *, trees: Mapping[str, Tree], record: dict) -> None:
        """Writes one checkpoint in the background; the next save or `close` waits for it.

        Args:
            step: its number; a checkpoint of this number that is there already is replaced.
            trees: named trees of arrays.
            record: JSON-serialisable facts.

        Raises:
            StorageError: the disk has no room for it, or has not finished the one before.
        """
        self.wait()
        if step in self._manager.all_steps():
            self._manager.delete(step)
        items = {name: tree for name, tree in trees.items() if jax.tree.leaves(tree)}
        require_space(
            self.folder,
            sum(leaf.nbytes for leaf in jax.tree.leaves(items)),
            free=processes.decided(lambda: free_bytes(self.folder)),
            what=f"checkpoint {step}",
        )
        saved = {name: _ARGS.PyTreeSave(tree) for name, tree in items.items()}
        self._manager.save(step, args=_ARGS.Composite(record=_ARGS.JsonSave(record), **saved), force=True)
        self._unsealed = step

    def wait(self) -> None:
        """Until what is being written is there, and sealed.

        Raises:
            StorageError: orbax has waited too long for the disk.
        """
        try:
            self._manager.wait_until_finished()
        except TimeoutError as error:  # by the time of day, so that of a clock that was set, too
            raise StorageError(
                f"{self.folder}: checkpoint {self._unsealed} did not finish in time ({error})"
            ) from error
        step, self._unsealed = self._unsealed, None
        if step is not None and processes.is_first():
            write_json(self._seal(step), _contents(self.folder / str(step)))
            kept = {self._seal(each).name for each in self._manager.all_steps()}
            for path in self.folder.glob(f"*{_SEAL}"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _seal(self, step: int) -> epath.Path:
        return self.folder / f"{step}{_SEAL}"

    def steps(self) -> list[int]:
        """Numbers of the complete checkpoints, newest first; the same on all processes."""
        return processes.decided(lambda: sorted(self._manager.all_steps(), reverse=True))

    def damage(self, step: int) -> str:
        """What is wrong with a checkpoint's files, in words, as process 0 finds it; "" = nothing."""
        return processes.decided(lambda: self._damage(step))

    def damage_of_newest(self) -> str:
        """The same of the newest checkpoint, with its path; a folder without one is damaged, too."""
        steps = self.steps()
        if not steps:
            return f"{self.folder} holds no checkpoint"
        damage = self.damage(steps[0])
        return f"{self.folder}/{steps[0]} {damage}" if damage else ""

    def _damage(self, step: int) -> str:
        if step not in self._manager.all_steps():
            return "is not there"
        sealed = read_object(self._seal(step))
        found = _contents(self.folder / str(step)) if sealed else {}
        for name, expected in sealed.items():
            if name not in found:
                return f"has lost its file {name}"
            if found[name]["size"] != expected["size"]:
                return f"has {found[name]['size']:,} of the {expected['size']:,} bytes of its file {name}"
            if found[name] != expected:
                return f"has other bytes in its file {name} than were written"
        return ""

    def set_aside(self, step: int) -> str:
        """Moves a damaged checkpoint out of the way, where there is one; the sentence's end that says where it is."""
        where = processes.decided(lambda: self._set_aside(step))
        self._manager.reload()
        return where

    def _set_aside(self, step: int) -> str:
        self._seal(step).unlink(missing_ok=True)
        found = self.folder / str(step)
        if not found.exists():
            return ""
        aside = self.folder.parent / "damaged" / f"{self.folder.name}-{step}"
        aside.rmtree(missing_ok=True)
        aside.parent.mkdir(parents=True, exist_ok=True)
        found.rename(aside)
        return f"; it is now {aside}, which nothing needs"

    def record(self, step: int) -> dict:
        """The JSON facts of a checkpoint."""
        return self._manager.restore(step, args=_ARGS.Composite(record=_ARGS.JsonRestore()))["record"]

    def restore(self, step: int, *, abstract: Mapping[str, Tree]) -> dict[str, Tree]:
        """Reads the named trees.

        Args:
            step: the checkpoint's number.
            abstract: for each wanted item a tree of ShapeDtypeStruct with shardings.

        Raises:
            ValueError: a shape or a name differs from what was saved.
        """
        wanted = {name: tree for name, tree in abstract.items() if jax.tree.leaves(tree)}
        args = {
            name: _ARGS.PyTreeRestore(item=tree, restore_args=ocp.checkpoint_utils.construct_restore_args(tree))
            for name, tree in wanted.items()
        }
        restored = self._manager.restore(step, args=_ARGS.Composite(**args)) if args else {}
        return {name: restored[name] if name in wanted else tree for name, tree in abstract.items()}

    def close(self) -> None:
        """Waits for what is being written."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_unused) -> None:
        self.close()


def _contents(folder: epath.Path) -> dict[str, dict[str, int]]:
    """Size and, on a local disk, CRC-32 of every file below a folder, by its path there."""
    local = "://" not in str(folder)
    return {
        str(path.relative_to(folder)): {"size": path.stat().length} | ({"crc32": _crc32(path)} if local else {})
        for path in sorted(_files(folder))
    }


def _files(folder: epath.Path) -> Iterator[epath.Path]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _crc32(path: epath.Path) -> int:
    found = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def quiet_orbax() -> None:
    """Keeps orbax's notes about each save out of the program's output. A save that fails raises; the log would only
    put its traceback before the sentence."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)
