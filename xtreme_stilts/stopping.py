"""Told to stop: by Ctrl-C, or by whoever takes the machine away (SIGTERM: spot TPUs, SLURM, Kubernetes).

The first signal asks: training saves a checkpoint after the step it is in and the program ends with status 75,
which launch scripts answer by starting it again; evaluation ends after the language it is in. The second stops at
once; checkpoints are complete or absent at any moment, so nothing is damaged, only the steps since the last one are
done again.

With several processes all of them must stop at the same step. Then JAX's own watch for preemption is asked, which
tells every process when one was told to stop, at a step that all of them reach.
"""

from __future__ import annotations

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
