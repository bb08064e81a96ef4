"""The training loop of one phase: steps, checkpoints, validation, early stopping.

It knows nothing of tasks beyond a name, a head and a stream of batches, and nothing of where its starting
point came from. Everything random is a function of (seed, step), and the streams' states are in each
checkpoint, so that a run cut off anywhere and started again ends with the same parameters.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax.sharding import Mesh

from xtreme_stilts import processes, stopping
from xtreme_stilts.config import Recipe
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.models import Model
from xtreme_stilts.training import steps as steps_lib
from xtreme_stilts.training.checkpoints import Checkpoints
from xtreme_stilts.training.logs import MetricsLog, Progress, Unheard
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import put_batch

Tree = Any

PROFILE_AFTER = 10  # steps of this process that pass before a profile: compilation and warming up are left out
CHECKPOINT_EVERY = 1000  # steps, where neither the recipe's checkpoints nor its validations say otherwise


class Batches(Protocol):
    """A stream of training batches whose position can be saved."""

    def __next__(self) -> dict[str, np.ndarray]: ...
    def get_state(self) -> Any: ...
    def set_state(self, state: Any) -> None: ...
    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskStream:
    """One task of a phase's mixture."""

    name: str
    head: str  # which of the model's heads it trains
    rate: float  # its share of the optimizer steps, before normalising
    batches: Batches


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How a training phase ended."""

    steps: int  # optimizer steps done
    best_step: int  # the step whose parameters are in `best`
    best_value: float  # its validation value; nan without validation
    tokens: int  # real tokens seen
    seconds: float  # of this process, without what was done before a resume


@dataclasses.dataclass
class _Watch:
    """Early stopping: the best validation so far and how many have passed since."""

    best_value: float = -math.inf
    best_step: int = 0
    since_best: int = 0

    def improved(self, value: float, *, step: int) -> bool:
        if value > self.best_value:
            self.best_value, self.best_step, self.since_best = value, step, 0
            return True
        self.since_best += 1
        return False


def pick_task(rates: Sequence[float], *, seed: int, step: int) -> int:
    """The task of an optimizer step (jiant: one task per step), a function of seed and step alone."""
    shares = np.asarray(rates, np.float64)
    return int(np.random.default_rng((seed, step)).choice(len(shares), p=shares / shares.sum()))


class Trainer:
    """Trains one phase in its folder, going on where a run before it stopped.

    Args:
        model: encoder and heads.
        folder: the phase's folder; checkpoints and metrics.jsonl are written there.
        recipe: how to train.
        steps: optimizer steps in all.
        seed: of dropout and task order.
        mesh: the devices.
        title: for the progress line.
        profile_steps: so many steps are profiled, after PROFILE_AFTER others, into `profile/` of the folder.
    """

    def __init__(
        self,
        model: Model,
        *,
        folder: epath.Path,
        recipe: Recipe,
        steps: int,
        seed: int,
        mesh: Mesh,
        title: str,
        profile_steps: int = 0,
    ):
        self.profile_steps = profile_steps
        self.model, self.folder, self.recipe, self.steps = model, folder, recipe, steps
        self.seed, self.mesh, self.title = seed, mesh, title
        self.optimizer = AdamW.of(recipe)

    def fit(
        self,
        start: Callable[[], Tree],
        *,
        streams: Sequence[TaskStream],
        validate: Callable[[Tree], Mapping[str, float]] | None,
        whole: Callable[[Tree, int], Tree] = lambda params, step: params,
        too_large: Callable[[], str] = lambda: "the step does not fit into a device's memory; take fewer rows",
    ) -> Fit:
        """Runs to the last step or until validation stops improving.

        Args:
            start: gives the initial parameters; called only where there is no checkpoint to go on from.
            streams: the mixture's tasks.
            validate: params -> metrics, among them `selection`, the value to maximise; None = the last
                parameters are the best.
            whole: what is validated and saved as the best, from the parameters and the number of steps they
                had; differs from these where only a part of the model is trained (`vocabulary.py`).
            too_large: the sentence for a step that the device has no memory for.

        Raises:
            Stopped: the run was told to stop; the checkpoint is saved.
            UserError: the loss is not finite (names the step, the task and the cached rows of the batch), or a step
                does not fit into memory.
        """
        with Checkpoints(self.folder / "latest", keep=2) as latest, Checkpoints(self.folder / "best") as best:
            run = _Run(self, latest=latest, best=best, streams=streams, validate=validate, whole=whole)
            run.begin(start)
            try:
                while run.step < self.steps and run.watch.since_best < self.recipe.patience:
                    run.advance()
                return run.finish()
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                raise UserError(f"{self.title}: {too_large()}") from error
            finally:
                run.log.close()
                for stream in streams:
                    stream.batches.close()  # ends its prefetching thread


class _Run:
    """The moving parts of one `Trainer.fit`."""

    def __init__(self, trainer: Trainer, *, latest: Checkpoints, best: Checkpoints, streams, validate, whole):
        self.trainer, self.latest, self.best = trainer, latest, best
        self.streams, self.validate, self.whole = list(streams), validate, whole
        self.watch, self.tokens, self.step = _Watch(), 0, 0
        self.pending = collections.deque()  # (step, stream, rows, StepMetrics) not read from the device yet
        self.schedule = Schedule.of(trainer.recipe, steps=trainer.steps)

    # -- beginning and end

    def begin(self, start: Callable[[], Tree]) -> None:
        """Own latest checkpoint if there is one, else the given start."""
        trainer = self.trainer
        if not self._resume():
            params = start()
            self.state = steps_lib.init_optimizer(trainer.model, trainer.optimizer, trainer.mesh)(params)
        if processes.is_first():
            self.log = MetricsLog(trainer.folder, from_step=self.step)
            self.progress = Progress(trainer.title, total=trainer.steps, start=self.step)
        else:
            self.log = self.progress = Unheard()
        self.first_step, self.profiling = self.step, False
        self.began = self.interval_began = time.monotonic()

    def _resume(self) -> bool:
        abstract = None
        for number in self.latest.steps():
            abstract = abstract or _split(
                steps_lib.abstract_state(self.trainer.model, optimizer=self.trainer.optimizer, mesh=self.trainer.mesh)
            )
            try:
                trees, record = self.latest.restore(number, abstract=abstract), self.latest.record(number)
            except (
                Exception
            ) as error:  # whatever the storage raises for a damaged checkpoint: the one before may be whole
                print(
                    f"{self.trainer.folder}/latest/{number} cannot be read ({type(error).__name__}: "
                    f"{str(error).splitlines()[0] if str(error) else ''}); trying the one before it"
                )
                continue
            self.state = _join(trees, step=jnp.int32(number))
            self.step, self.tokens = number, record["tokens"]
            self.watch = _Watch(**record["watch"])
            for stream in self.streams:
                stream.batches.set_state(record["streams"][stream.name])
            return True
        return False

    def finish(self) -> Fit:
        """The last validation, the best checkpoint on disk, the end of the log."""
        self._end_profile()
        self._read_pending()
        if self.validate is None or not self.best.steps():
            self._save_best(self.step, self.whole(self.state.params, self.step))
            self.watch.best_step = self.step
        seconds = time.monotonic() - self.began
        value = self.watch.best_value if self.validate else math.nan
        self.progress.close(
            note=f"{self._rate_note()}"
            + (f", best {value:.2f} at step {self.watch.best_step}" if self.validate else "")
        )
        return Fit(
            steps=self.step, best_step=self.watch.best_step, best_value=value, tokens=self.tokens, seconds=seconds
        )

    # -- one optimizer step

    def advance(self) -> None:
        trainer, recipe = self.trainer, self.trainer.recipe
        self._profile()
        stream = self.streams[pick_task([s.rate for s in self.streams], seed=trainer.seed, step=self.step)]
        batch = stack_micro_batches([next(stream.batches) for _ in range(recipe.accumulate)])
        run_step = steps_lib.train_step(trainer.model, stream.head, trainer.optimizer, trainer.mesh)
        self.state, metrics = run_step(
            self.state, put_batch(batch, mesh=trainer.mesh, leading=1), self.schedule, np.uint32(trainer.seed)
        )
        self.step += 1
        self.pending.append((self.step, stream.name, batch["row"], metrics))
        last = self.step == trainer.steps
        if self.step % recipe.log_every == 0 or last:
            self._read_pending()
        if self.validate and (last or (recipe.eval_every and self.step % recipe.eval_every == 0)):
            self._validate()
        every = recipe.checkpoint_every or recipe.eval_every or CHECKPOINT_EVERY
        stop = not last and stopping.requested(self.step)
        if not last and (stop or self.step % every == 0):
            self._save_latest()
        if stop:
            raise Stopped(f"{trainer.title} after step {self.step} of {trainer.steps}")

    def _profile(self) -> None:
        """Begins and ends the profile, where one is asked for."""
        asked, passed = self.trainer.profile_steps, self.step - self.first_step
        if asked and passed == PROFILE_AFTER:
            self._read_pending()  # what was begun before is no part of it
            jax.profiler.start_trace(str(self.trainer.folder / "profile"))
            self.profiling = True
        elif self.profiling and passed == PROFILE_AFTER + asked:
            self._end_profile()

    def _end_profile(self) -> None:
        if self.profiling:
            jax.block_until_ready(self.state)
            jax.profiler.stop_trace()
            self.profiling = False

    def _read_pending(self) -> None:
        """Fetches the metrics of the steps since the last time; the device is not waited for in between."""
        if not self.pending:
            return
        losses, tokens = [], 0
        for step, task, rows, metrics in self.pending:
            metrics = jax.device_get(metrics)
            if not np.isfinite(metrics.loss) or not np.isfinite(metrics.grad_norm):
                kept = ", ".join(map(str, self.latest.steps())) or "none"
                raise UserError(
                    f"the loss of step {step} is {metrics.loss} (gradient norm {metrics.grad_norm}) on task {task!r}, "
                    f"cached rows {rows[rows >= 0].tolist()[:64]}; good checkpoints: {kept}; try a lower learning rate"
                )
            losses.append(float(metrics.loss))
            tokens += int(metrics.tokens)
        self.pending.clear()
        now = time.monotonic()
        self.tokens += tokens
        self.tokens_per_second = tokens / max(now - self.interval_began, 1e-9)
        self.interval_began = now
        self.loss = sum(losses) / len(losses)
        self.log.write(
            step,
            loss=self.loss,
            learning_rate=float(metrics.learning_rate),
            task=task,
            grad_norm=float(metrics.grad_norm),
            tokens=self.tokens,
            tokens_per_second=round(self.tokens_per_second),
        )
        self.progress.update(self.step, note=self._rate_note())

    def _rate_note(self) -> str:
        return f"loss {self.loss:.3f}, {self.tokens_per_second:,.0f} tokens/s" if hasattr(self, "loss") else ""

    # -- validation and checkpoints

    def _validate(self) -> None:
        self._read_pending()
        params = self.whole(self.state.params, self.step)
        values = self.validate(params)
        self.log.write(self.step, **{f"validation/{name}": value for name, value in values.items()})
        if self.watch.improved(values["selection"], step=self.step):
            self._save_best(self.step, params)
        self.interval_began = time.monotonic()

    def _save_best(self, step: int, params: Tree) -> None:
        record = {"step": step, "value": self.watch.best_value if self.validate else None}
        self.best.save(step, trees={"encoder": params["encoder"], "heads": params["heads"]}, record=record)

    def _save_latest(self) -> None:
        self._read_pending()
        record = {
            "tokens": self.tokens,
            "watch": dataclasses.asdict(self.watch),
            "streams": {stream.name: stream.batches.get_state() for stream in self.streams},
        }
        self.latest.save(self.step, trees=_split(self.state), record=record)
        self.interval_began = time.monotonic()


def _split(state: steps_lib.TrainState) -> dict[str, Tree]:
    return {"encoder": state.params["encoder"], "heads": state.params["heads"], "optimizer": state.opt_state}


def _join(trees: dict[str, Tree], *, step: jax.Array) -> steps_lib.TrainState:
    return steps_lib.TrainState({"encoder": trees["encoder"], "heads": trees["heads"]}, trees["optimizer"], step)


def stack_micro_batches(batches: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Batches of one shape -> one batch with a leading axis of micro-batches."""
    return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
