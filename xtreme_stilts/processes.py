"""Several processes as one program: joining, agreeing, and leaving together.

Every process runs the same program over the same study directory, holds some of the devices and reads its own share
of every batch. What is decided from the state of the disk (is this phase done? which checkpoint is the newest?) is
decided by process 0 and told to the others, because they may look at another moment; reports and records are written
by process 0 alone. With one process all of this costs nothing.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from xtreme_stilts.errors import UserError
from xtreme_stilts.nested import flat

T = TypeVar("T")

HEARTBEAT_SECONDS = 30  # without a sign of life for so long, a process counts as dead and the others stop


def join(*, coordinator: str = "", count: int = 0, index: int = -1) -> None:
    """Joins the processes of this run; must come before anything else asks JAX for devices.

    Without arguments the environment decides: `JAX_COORDINATOR_ADDRESS` with `JAX_NUM_PROCESSES` and
    `JAX_PROCESS_ID`, SLURM, Open MPI, GKE and Cloud TPU are recognised; anything else is a run of one process.

    Args:
        coordinator: `host:port` of process 0.
        count: number of processes.
        index: of this one, from 0.

    Raises:
        UserError: some of the three are given, but not all; or the others did not come.
    """
    given = {"coordinator": bool(coordinator), "processes": count > 0, "process": index >= 0}
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(f"--{name}" for name, there in given.items() if not there)
        raise UserError(
            f"a run of several processes needs --coordinator, --processes and --process; {missing} is missing"
        )
    if index >= 0 and not index < count:
        raise UserError(f"--process is {index}; with --processes={count} it must be 0 to {count - 1}")
    if not coordinator and not _many_processes():
        return
    asked = {"coordinator_address": coordinator, "num_processes": count, "process_id": index} if coordinator else {}
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS, **asked)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes of this run did not find each other: {str(error).splitlines()[0]}") from error


def _many_processes() -> bool:
    """Whether the environment is one that starts several processes."""
    env = os.environ
    counted = (env.get(name, "1") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "JAX_NUM_PROCESSES"))
    hosts = env.get("TPU_WORKER_HOSTNAMES", "").split(",")
    on_tpu = any(pathlib.Path(device).exists() for device in ("/dev/accel0", "/dev/vfio/0"))
    return any(number.isdigit() and int(number) > 1 for number in counted) or len(hosts) > 1 or on_tpu


def is_first() -> bool:
    """Whether this is process 0, which prints and writes records."""
    return jax.process_index() == 0


def decided(decide: Callable[[], T]) -> T:
    """What process 0 decides, on all processes: `decide()` is called there only; JSON-serialisable.

    Raises:
        UserError: `decide` raised one; it is raised on all processes.
    """
    if jax.process_count() == 1:
        return decide()
    try:
        answer = {"value": decide()} if is_first() else {}
    except UserError as error:
        answer = {"error": str(error)}
    told = _gather(json.dumps(answer).encode())[0]
    found = json.loads(told)
    if "error" in found:
        raise UserError(found["error"])
    return found["value"]


def barrier(name: str) -> None:
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def check_agreement(
    what: str, value: Mapping[str, Any], *, advice: str = "start all of them with the same command"
) -> None:
    """Compares nested dicts of settings or facts between processes.

    Args:
        what: what they are called in the sentence; a field's name follows after a dot. "" = the names say it all.
        value: this process's.
        advice: what to do where they differ.

    Raises:
        UserError: on all processes alike: which field differs, on which process, and both values.
    """
    if jax.process_count() == 1:
        return
    texts = _gather(json.dumps(value, sort_keys=True, default=str).encode())
    first, *others = (flat(json.loads(text), path=what) for text in texts)
    for number, other in enumerate(others, 1):
        for name in sorted(first.keys() | other.keys()):
            if first.get(name) != other.get(name):
                raise UserError(
                    f"the processes disagree: {name} is {first.get(name)!r} on process 0 and {other.get(name)!r} on "
                    f"process {number}; {advice}"
                )


def _gather(message: bytes) -> list[bytes]:
    """Every process's message, on all processes."""
    from jax.experimental import multihost_utils

    sizes = np.asarray(multihost_utils.process_allgather(np.int32(len(message)))).ravel()
    padded = np.zeros(max(int(sizes.max()), 1), np.uint8)
    padded[: len(message)] = np.frombuffer(message, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]
