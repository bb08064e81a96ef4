"""The jitted functions of a phase, compiled ahead of time from shapes alone.

Terms. A *program* is one compiled function: a training step or an evaluation step with its model, head, mesh and
batch shape. Phases that run the same functions have equal programs, which are compiled once.

Memory is that of one chip. *Arguments* are the parameters, the optimizer's moments and the batch; the training step
gives back its state in their place. *Temporaries* are everything else that lives during the step. Active-vocabulary
training (`training/vocabulary.py`) makes the word table of a phase smaller than what is compiled here, whose table is
whole; and it keeps one whole table beside the step, which the two moments of the whole table outweigh. So the memory
said here is an upper bound for such a phase.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import time
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from xtreme_stilts.data.loader import EMPTY, Masking, Shape, assemble
from xtreme_stilts.models import Model
from xtreme_stilts.quiet import native_stderr
from xtreme_stilts.training import memory as memory_lib
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.optimizer import AdamW
from xtreme_stilts.training.sharding import abstract_batch, param_shardings, placed

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What decides a compiled function. Hashable.

    Attributes:
        model: encoder and all heads of the phase.
        head: the one that is trained or read.
        shape: of a (micro-)batch.
        optimizer: None = evaluation.
        accumulate: micro-batches of a training step.
        token_types: whether the batch has them (BERT).
        others: of a step on several tasks (heads `mixed`), head and shape of those beside the first.
    """

    model: Model
    head: str
    shape: Shape
    optimizer: AdamW | None = None
    accumulate: int = 1
    token_types: bool = False
    others: tuple[tuple[str, Shape], ...] = ()

    @property
    def trains(self) -> bool:
        """Whether it is a training step."""
        return self.optimizer is not None

    @property
    def kind(self) -> str:
        """Of its head."""
        return self.model.heads[self.head].kind

    def __str__(self) -> str:
        verb = "train" if self.trains else "evaluate"
        kinds = dict.fromkeys(self.model.heads[head].kind for head, _ in self.parts)
        micro = f" x {self.accumulate}" if self.accumulate > 1 else ""
        return f"{verb} {' + '.join(kinds)} {self.shape.rows} x {self.shape.length}{micro}"

    @property
    def parts(self) -> tuple[tuple[str, Shape], ...]:
        """Head and shape of every task."""
        return ((self.head, self.shape), *self.others)

    def with_half_the_rows(self) -> Program:
        """Half the rows of a micro-batch, and twice as many of them in a training step."""
        (_, shape), *others = ((head, dataclasses.replace(each, rows=each.rows // 2)) for head, each in self.parts)
        accumulate = self.accumulate * (2 if self.trains else 1)
        return dataclasses.replace(self, shape=shape, others=tuple(others), accumulate=accumulate)


class Memory(NamedTuple):
    """Bytes on one chip."""

    arguments: int
    temporaries: int
    code: int
    output: int  # what is returned beside the arguments that are reused

    @property
    def total(self) -> int:
        """All of it at the same time."""
        return sum(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler said of a program.

    Attributes:
        memory: as `memory_analysis` has it; where the compiler refused, what it said that it needed.
        fits: whether it was compiled and its memory is within the chip's.
        rematerialized: each "involuntary full rematerialization" that the partitioner warned of: whole arrays moved
            between all devices because two shardings do not go together.
        seconds: it took.
        failure: how the compiler failed, where it did for another reason than memory; nothing else is known then.
    """

    memory: Memory
    fits: bool
    rematerialized: tuple[str, ...]
    seconds: float
    failure: str = ""


# --------------------------------------------------------------------------------------------------
# Arguments, as shapes


def batch_shapes(kind: str, *, shape: Shape, choices: int = 1, token_types: bool = False) -> dict[str, np.ndarray]:
    """A batch without examples, by the same function that makes real ones; see `loader.assemble` for the arrays."""
    tickets = np.full((shape.rows, shape.slots), EMPTY, np.int64)
    masking = Masking(seed=0) if kind == "mlm" else None
    return assemble(_NoExamples(kind, choices, token_types), tickets, shape=shape, masking=masking)


class _NoExamples:
    """What `assemble` reads of a cache, for a batch in which no slot is filled."""

    class vocabulary:
        pad_id, mask_id, vocab_size, unmaskable_ids = 0, 0, 1, ()

    def __init__(self, kind: str, choices: int, token_types: bool):
        self.kind, self.num_choices = kind, choices
        self.sizes, self.offsets = np.zeros(1, np.int64), np.zeros(2, np.int64)
        per_token = {"tokens", *(["token_types"] if token_types else []), *(["tags"] if kind == "tagging" else [])}
        self.columns = {name: np.zeros(0, np.int32) for name in per_token}
        self.columns["lengths"] = np.zeros((1, choices), np.int32)
        if kind in ("classification", "regression", "choice"):
            self.columns["label"] = np.zeros(1, np.float32 if kind == "regression" else np.int32)
        for name in ("start", "end") if kind == "span" else ():
            self.columns[name] = np.zeros(1, np.int32)

    def __len__(self) -> int:
        return 1


def lower(program: Program, *, mesh: Mesh) -> jax.stages.Lowered:
    """The program's jitted function, traced for shapes that are placed on the mesh as a run places its arrays."""
    model = program.model
    first, *others = batches = [_batch(program, head, shape) for head, shape in program.parts]
    if not program.trains:
        params = placed(model.abstract_params(), param_shardings(model, mesh))
        return steps_lib.predict_step(model, program.head, mesh).lower(params, abstract_batch(first, mesh=mesh))
    step = {"optimizer": program.optimizer, "mesh": mesh, "accumulate": program.accumulate}
    if others:
        return memory_lib.lower_mixed(model, heads=[head for head, _ in program.parts], batches=batches, **step)
    return memory_lib.lower(model, head=program.head, batch=first, **step)


def _batch(program: Program, head: str, shape: Shape) -> dict[str, np.ndarray]:
    of = program.model.heads[head]
    return batch_shapes(of.kind, shape=shape, choices=of.num_choices, token_types=program.token_types)


def argument_bytes(program: Program, *, mesh: Mesh) -> int:
    """Bytes of the arguments on one chip, without their layout's padding; nothing is compiled."""
    model = program.model
    if program.trains:
        trees = steps_lib.abstract_state(model, optimizer=program.optimizer, mesh=mesh)
    else:
        trees = placed(model.abstract_params(), param_shardings(model, mesh))
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(trees)
    )


def parameters(model: Model) -> int:
    """Number of parameters, heads included."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(model.abstract_params()))


# --------------------------------------------------------------------------------------------------
# Compiling


def compile_program(program: Program, *, mesh: Mesh, limit: int) -> Compiled:
    """Compiles a program for the mesh's devices and reads off what it needs.

    Args:
        limit: bytes of memory on one chip.

    Raises:
        jax.errors.JaxRuntimeError: the compiler gives up for another reason than memory.
    """
    began = time.monotonic()
    try:
        outcome = compile_lowered(lower(program, mesh=mesh))
        memory, fits = outcome.memory, outcome.memory.total <= limit
    except OutOfMemory as refusal:
        arguments = argument_bytes(program, mesh=mesh)
        memory, fits = refusal.memory(arguments), False
        outcome = Outcome(memory, refusal.log)
    return Compiled(
        memory=memory, fits=fits, rematerialized=tuple(involuntary(outcome.log)), seconds=time.monotonic() - began
    )


class Outcome(NamedTuple):
    """What came of a compilation."""

    memory: Memory
    log: str  # what the compiler wrote to standard error


class OutOfMemory(Exception):
    """The compiler's word that a program does not fit, and its log."""

    def __init__(self, said: str, log: str):
        super().__init__(said)
        self.log = log

    def memory(self, arguments: int) -> Memory:
        """What the program would have needed, of which `arguments` are known.

        The compiler calls it "total memory required for HLO temporaries" or "Used ... of", and means arguments and
        results, too.
        """
        found = re.search(r"(?:HLO temporaries \(|Used )([\d.]+)([KMGT]?)", str(self))
        total = int(float(found[1]) * _UNITS[found[2]]) if found else 0
        return Memory(arguments, max(0, total - arguments), 0, 0)


def compile_lowered(lowered: jax.stages.Lowered) -> Outcome:
    """Compiles, and reads the compiler's log.

    Raises:
        OutOfMemory: the program does not fit the chip.
        jax.errors.JaxRuntimeError: the compiler gives up for another reason.
    """
    refused = None
    with native_stderr():
        try:
            compiled = lowered.compile()
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            refused = str(error)
        # Standard error is that context's file for now, and can be read back.
        log = os.pread(2, os.fstat(2).st_size, 0).decode("utf-8", "replace")
    if refused is not None:
        raise OutOfMemory(refused, log)
    found = compiled.memory_analysis()
    memory = Memory(
        arguments=found.argument_size_in_bytes,
        temporaries=found.temp_size_in_bytes,
        code=found.generated_code_size_in_bytes,
        output=found.output_size_in_bytes - found.alias_size_in_bytes,
    )
    return Outcome(memory, log)


def involuntary(log: str) -> list[str]:
    """What the partitioner warned of in the compiler's log, each once: `sharding -> sharding: operation`."""
    pattern = (
        r"Involuntary full rematerialization.*?from sharding (.+?) to (.+?) efficiently for HLO operation (.{1,160})"
    )
    lines = [line for line in log.splitlines() if "Involuntary full rematerialization" in line]
    found = [re.search(pattern, line) for line in lines]
    said = [f"{each[1]} -> {each[2]}: {each[3]}" if each else line for each, line in zip(found, lines, strict=True)]
    return list(dict.fromkeys(said))
