"""Training one phase: the device mesh, the optimizer, the jitted steps, checkpoints, the loop. No TensorFlow here."""

from xtreme_stilts.training.loop import Fit, TaskStream, Trainer

__all__ = ["Fit", "TaskStream", "Trainer"]
