"""The accelerators that `--topology` may name, and devices of them for the compiler.

Terms. A *topology* is a kind of chip and how many: `v5e:2x4` (the shape of a TPU slice), `h200:1`, `cpu:1`. *Memory*
is what the compiler grants a program on one chip, in bytes; *peak* is dense bfloat16 FLOP/s of one chip. For the CPU
there is no such table: its memory is this machine's, its peak is measured with one matrix product in float32.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from xtreme_stilts.errors import UserError, did_you_mean

GIB = 2**30

_FLAT = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_CUBIC = ((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), (4, 4, 4), (4, 4, 8), (4, 8, 8), (8, 8, 8), (8, 8, 16))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of accelerator.

    Attributes:
        name: as `--topology` has it.
        platform: tpu (compiled for here), gpu (not), cpu.
        peak: FLOP/s, dense bfloat16.
        memory: bytes a program may use.
        bandwidth: bytes/s of its memory.
        slices: shapes of the slices on offer; empty = any number.
        accelerator: Cloud TPU's accelerator type, up to its number of `cores_per_chip` each.
        source: of the numbers.
    """

    name: str
    platform: str
    peak: float
    memory: int
    bandwidth: float
    slices: tuple[tuple[int, ...], ...] = ()
    accelerator: str = ""
    cores_per_chip: int = 1
    source: str


_GPU_SHARE = 75  # per cent of a GPU's memory that JAX takes unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise

# TPU memory is the limit libtpu 0.0.42 enforces: what is on the chip less what the system keeps.
_TABLE = (
    Chip(
        name="v5e",
        platform="tpu",
        peak=197e12,
        memory=int(15.75 * GIB),
        bandwidth=819e9,
        slices=_FLAT,
        accelerator="v5litepod",
        source="Cloud TPU documentation, TPU v5e",
    ),
    Chip(
        name="v5p",
        platform="tpu",
        peak=459e12,
        memory=int(95.74 * GIB),
        bandwidth=2765e9,
        slices=_CUBIC,
        accelerator="v5p",
        cores_per_chip=2,
        source="Cloud TPU documentation, TPU v5p",
    ),
    Chip(
        name="v6e",
        platform="tpu",
        peak=918e12,
        memory=int(31.25 * GIB),
        bandwidth=1640e9,
        slices=_FLAT,
        accelerator="v6e",
        source="Cloud TPU documentation, TPU v6e",
    ),
    Chip(
        name="a100",
        platform="gpu",
        peak=312e12,
        memory=_GPU_SHARE * 80 * 10**9 // 100,
        bandwidth=2039e9,
        source="NVIDIA A100 80GB SXM data sheet",
    ),
    Chip(
        name="h100",
        platform="gpu",
        peak=989.4e12,
        memory=_GPU_SHARE * 80 * 10**9 // 100,
        bandwidth=3350e9,
        source="NVIDIA H100 SXM data sheet, without sparsity",
    ),
    Chip(
        name="h200",
        platform="gpu",
        peak=989.4e12,
        memory=_GPU_SHARE * 141 * 10**9 // 100,
        bandwidth=4800e9,
        source="NVIDIA H200 SXM data sheet, without sparsity",
    ),
)
CHIPS: Mapping[str, Chip] = MappingProxyType({chip.name: chip for chip in _TABLE})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Topology:
    """A number of chips of one kind."""

    chip: Chip
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of chips."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.chip.name}:{'x'.join(map(str, self.shape))}"


def parse(text: str) -> Topology:
    """The topology that `CHIP:SHAPE` names.

    Raises:
        UserError: no such chip, or no such slice of it.
    """
    name, _, size = text.partition(":")
    valid = [*CHIPS, "cpu"]
    if name not in valid:
        raise UserError(f"--topology={text}: no chip {name!r}; {did_you_mean(name, valid)}")
    slices = CHIPS[name].slices if name in CHIPS else ()
    known = ["x".join(map(str, shape)) for shape in slices]
    if slices and size not in known:
        raise UserError(f"--topology={text}: no slice {size!r} of {name}; {_nearest_slice(size, known)}")
    if not slices and not (size.isdecimal() and int(size) > 0):
        raise UserError(f"--topology={text}: {size!r} is no number of chips; write {name}:1 or {name}:8")
    shape = tuple(int(part) for part in size.split("x"))
    return Topology(chip=CHIPS[name] if name in CHIPS else _this_cpu(shape[0]), shape=shape)


def _nearest_slice(size: str, known: list[str]) -> str:
    """The slice with the number of chips nearest to what was written; the valid ones where it is no product."""
    parts = size.split("x")
    if not all(part.isdecimal() and int(part) for part in parts):
        return did_you_mean(size, known)
    asked = math.prod(map(int, parts))
    near = min(known, key=lambda each: abs(math.log(math.prod(map(int, each.split("x"))) / asked)))
    return f"did you mean {near!r}? valid: {', '.join(known)}"


def prepare(topologies: Iterable[Topology]) -> None:
    """Settings for JAX and libtpu that must be made before either starts: no accelerator is looked for, and the CPU
    backend shows as many devices as the largest topology without a TPU compiler has."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # no Cloud metadata server is asked
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"  # its lock guards a TPU, and none is used
    os.environ["TPU_STDERR_LOG_LEVEL"] = os.environ["TPU_MIN_LOG_LEVEL"] = "1"  # warnings, which are counted
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_WORKER_ID", "0")
    import jax

    here = max((each.size for each in topologies if each.chip.platform != "tpu"), default=1)
    if here > 1:
        jax.config.update("jax_num_cpu_devices", here)
    jax.config.update("jax_enable_compilation_cache", False)  # what is compiled here runs nowhere


def devices(topology: Topology) -> list[Any]:
    """Devices to compile for: of the TPU slice, which need not exist, else CPU devices that stand for the chips.

    Raises:
        UserError: libtpu is not installed, or does not know the slice.
    """
    import jax
    from jax.experimental import topologies

    chip = topology.chip
    if chip.platform != "tpu":
        return jax.devices("cpu")[: topology.size]
    os.environ["TPU_ACCELERATOR_TYPE"] = f"{chip.accelerator}-{topology.size * chip.cores_per_chip}"
    # A host has at least 2 x 2 chips, unless it is the only one.
    single = {"chips_per_host_bounds": (1, 1, 1)} if topology.size == 1 else {}
    try:
        return topologies.get_topology_desc(str(topology), platform="tpu", **single).devices
    except jax.errors.JaxRuntimeError as error:
        raise UserError(f"--topology={topology}: the TPU compiler does not know it: {_first_line(error)}") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"--topology={topology} needs the TPU compiler, libtpu; install it with pip install -e '.[preflight]' "
            f"({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _this_cpu(size: int) -> Chip:
    """This machine's share for one of `size` devices on it."""
    import numpy as np

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    x = np.ones((2048, 2048), np.float32)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        x @ x
        times.append(time.perf_counter() - began)
    copied = np.ones(2**26, np.uint8)
    began = time.perf_counter()
    copied.copy()
    bandwidth = 2 * copied.nbytes / (time.perf_counter() - began)
    return Chip(
        name="cpu",
        platform="cpu",
        peak=2 * 2048**3 / min(times) / size,
        memory=memory // size,
        bandwidth=bandwidth / size,
        source="this machine: its memory, a float32 matrix product and a copy, both measured now",
    )
