"""What a study leaves behind, as fingerprints that two runs can be compared by.

Part of it: results.csv, every file below `evaluations/` (predictions, scores, thresholds), the arrays of each phase's
`best` (read back through orbax: the files' own bytes carry times and random names), how each training ended, and the
values of its validations. No part of it: times, speeds, and what only tells of the run (run cards, the report).
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

Outcome = Mapping[str, str]  # what -> sha256 of it

_OF_THE_RUN = ("seconds",)  # fields of done.json that differ between any two runs


def outcome(workdir: pathlib.Path) -> Outcome:
    """Reads a finished study directory.

    Raises:
        OSError, ValueError: something is missing or cannot be read.
    """
    found = {"results.csv": _sha256((workdir / "results.csv").read_bytes())}
    for phase in sorted(path for path in (workdir / "phases").iterdir() if path.is_dir()):
        for path in sorted(phase.glob("evaluations/*/[!.]*")):  # what a kill leaves half written has a hidden name
            found[str(path.relative_to(workdir))] = _sha256(path.read_bytes())
        if (phase / "done.json").exists():
            found |= {f"phases/{phase.name}/{name}": digest for name, digest in _trained(phase)}
    return found


def differences(found: Outcome, *, whole: Outcome) -> list[str]:
    """What is not as in the whole run, in words, a phrase each."""
    changes = {"is missing": whole.keys() - found.keys(), "is one too many": found.keys() - whole.keys()}
    changes["differs"] = {name for name in whole.keys() & found.keys() if whole[name] != found[name]}
    return [f"{name} {what}" for what, names in changes.items() for name in sorted(names)]


def _trained(phase: pathlib.Path) -> Iterator[tuple[str, str]]:
    ended = json.loads((phase / "done.json").read_text(), object_pairs_hook=_without_times)
    yield "done.json", _sha256(json.dumps(ended, sort_keys=True).encode())
    lines = map(json.loads, (phase / "metrics.jsonl").read_text().splitlines())
    values = [line | {"time": None} for line in lines if "validation/selection" in line]
    yield "validations", _sha256(json.dumps(values, sort_keys=True).encode())
    steps = [path for path in (phase / "best").iterdir() if path.name.isdigit()]
    if len(steps) != 1:
        raise ValueError(f"{phase}/best holds {len(steps)} checkpoints; 1 was expected")
    for item in sorted(path for path in steps[0].iterdir() if (path / "_METADATA").exists()):
        for name, digest in _arrays(item):
            yield f"best/{steps[0].name}/{item.name}{name}", digest


def _without_times(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in pairs if name not in _OF_THE_RUN}


def _arrays(folder: pathlib.Path) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings(action="ignore"), ocp.PyTreeCheckpointer() as reader:  # of another topology's shards
        tree = reader.restore(folder)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest = _sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        yield jax.tree_util.keystr(path), digest


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
