"""Orbax behind one small door: a phase's checkpoints, complete or absent.

A phase keeps two kinds: `latest` (parameters, optimizer, step, data state: to go on) and `best` (parameters
with the best validation value: to hand over and to evaluate). Parameters are saved as the two items `encoder`
and `heads`, because the hand-off reads only the first. A checkpoint saved on one mesh is restored on another:
the arrays take the shardings of the abstract tree that asks for them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

Tree = Any
_ARGS = ocp.args


class Checkpoints:
    """The numbered checkpoints of one folder, newest kept.

    Args:
        folder: where they live; made on the first save.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: epath.PathLike, *, keep: int = 1):
        self.folder = epath.Path(folder)
        self._manager = ocp.CheckpointManager(
            self.folder.absolute() if "://" not in str(folder) else self.folder,
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, enable_async_checkpointing=True),
            item_handlers=None,
        )

    def save(self, step: int, *, trees: Mapping[str, Tree], record: dict) -> None:
        """Writes one checkpoint in the background; the next save or `close` waits for it.

        Args:
            step: its number; a checkpoint of this number that is there already is replaced.
            trees: named trees of arrays.
            record: JSON-serialisable facts.
        """
        if step in self._manager.all_steps():
            self._manager.delete(step)
        items = {name: _ARGS.PyTreeSave(tree) for name, tree in trees.items() if jax.tree.leaves(tree)}
        self._manager.save(step, args=_ARGS.Composite(record=_ARGS.JsonSave(record), **items), force=True)

    def steps(self) -> list[int]:
        """Numbers of the complete checkpoints, newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

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
        self._manager.wait_until_finished()
        self._manager.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_unused) -> None:
        self.close()


def quiet_orbax() -> None:
    """Keeps orbax's notes about each save out of the program's output; warnings stay."""
    logging.getLogger("absl").setLevel(logging.WARNING)
