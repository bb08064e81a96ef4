"""Told to stop: by Ctrl-C, or by whoever takes the machine away (SIGTERM: spot TPUs, SLURM, Kubernetes).

The first signal asks, and the program ends with status 75, which launch scripts answer by starting it again. The second
stops at once; checkpoints are complete or absent at any moment, so nothing is damaged, only the steps since the last
one are done again.

How long the first takes depends on what it meets:

    training      the step it is in, then one checkpoint
    validation    one batch, then one checkpoint; the next run begins with that validation
    evaluation    one batch; the next run does that language again
    tokenising    one chunk of examples (`cache.CHUNK`); the next run does that split again

With the smallest model each of these took 6 to 8 seconds, the end of the interpreter included, on two CPU cores that
eight other programs shared; spot TPUs and Kubernetes give 30. What waits in addition, where it is just going on:
compiling a function, reading weights, the start of TensorFlow, mining the sentences of one language, the report.

With several processes all of them must stop at the same step. Then JAX's own watch for preemption is asked, which
tells every process when one was told to stop, at a step that all of them reach; Ctrl-C is passed on to it as SIGTERM.
Outside of training they do not stop: validation goes on to the step after it, tokenising and evaluation to the first
step of the next phase that trains. If the machine is gone before, what is finished by then is kept: every split, and
every language.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import jax

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Asked:
    """The signal that came, if one has."""

    number: int | None = None


_asked = _Asked()


def watch() -> None:
    """Begins to catch the signals; in the main thread only. A run of several processes leaves SIGTERM to JAX."""
    _asked.number = None
    for number in _SIGNALS if jax.process_count() == 1 else (signal.SIGINT,):
        signal.signal(number, _note)


def _note(number: int, frame: FrameType | None) -> None:
    if _asked.number is not None:
        raise KeyboardInterrupt
    _asked.number = number
    name = signal.Signals(number).name
    print(f"{name}: saving, then stopping; once more stops at once", file=sys.stderr, flush=True)
    if jax.process_count() > 1:
        os.kill(os.getpid(), signal.SIGTERM)  # to JAX, which tells the others


def requested(step: int | None = None) -> bool:
    """Whether to stop now.

    Args:
        step: of the training loop, the same on all processes; None outside of it, where several processes do not stop.
    """
    if jax.process_count() == 1:
        return _asked.number is not None
    if step is None:
        return False
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)
