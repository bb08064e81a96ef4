"""The training loop of one phase: steps, checkpoints, validation, early stopping.

It knows nothing of tasks beyond a name, a head and a stream of batches, and nothing of where its starting
point came from. Everything random is a function of (seed, step), and the streams' states are in each
checkpoint, so that a run cut off anywhere and started again ends with the same parameters.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

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
from xtreme_stilts.training.learning import Course, Unlearned
from xtreme_stilts.training.logs import MetricsLog, Progress, Unheard
from xtreme_stilts.training.mixed import Draws, Layout, mixed_step
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import put_batch

Tree = Any

PROFILE_AFTER = 10  # steps of this process that pass before a profile: compilation and warming up are left out
NAMED = 64  # examples of a task that a sentence about a step names at most
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
    rate: float | Callable[[float], float]  # its share of the steps before normalising, or that at a progress, 0 to 1
    batches: Batches
    loss_weight: float = 1.0  # what its loss is multiplied by
    like: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)  # a batch's shapes, where steps are mixed
    guess: float = math.nan  # loss of an answer that looks at nothing (`learning.guess`); nan = none to compare with
    ids: Callable[[np.ndarray], Sequence[str]] | None = None  # cached rows -> ids of their examples, for sentences

    def rate_at(self, progress: float) -> float:
        """The rate when this part of the optimizer steps is done."""
        return self.rate(progress) if callable(self.rate) else self.rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How a training phase ended."""

    steps: int  # optimizer steps done
    best_step: int  # the step whose parameters are in `best`
    best_value: float  # its validation value; nan without validation
    tokens: int  # real tokens seen
    seconds: float  # of this process, without what was done before a resume
    unlearned: Mapping[str, Unlearned] = dataclasses.field(default_factory=dict)  # tasks that did not learn


@dataclasses.dataclass
class _Watch:
    """Early stopping: the best validation so far and how many have passed since."""

    best_value: float = -math.inf
    best_step: int = 0
    since_best: int = 0
    due: bool = False  # the validation after the last step was cut off

    def improved(self, value: float, *, step: int) -> bool:
        if value > self.best_value:
            self.best_value, self.best_step, self.since_best = value, step, 0
            return True
        self.since_best += 1
        return False


def pick_task(rates: Sequence[float], *, seed: int, step: int) -> int:
    """The task of an optimizer step (jiant: one task per step), a function of seed and step alone."""
    return int(pick_tasks(rates, seed=seed, step=step, count=1)[0])


def pick_tasks(rates: Sequence[float], *, seed: int, step: int, count: int) -> np.ndarray:
    """int32[count]: the tasks of a step's micro-batches, drawn independently; a function of seed and step alone."""
    shares = np.asarray(rates, np.float64)
    return np.random.default_rng((seed, step)).choice(len(shares), size=count, p=shares / shares.sum()).astype(np.int32)


class _Step(NamedTuple):
    """An optimizer step, ready to run."""

    run: Callable  # the jitted function
    batch: dict[str, np.ndarray]  # [micro-batches, rows, ...], this process's rows
    weighing: Any  # the function's last argument
    rows: dict[str, np.ndarray]  # task -> its cached rows


class _OneTask:
    """jiant's way: all micro-batches of an optimizer step are of one task. Its loss is times the task's weight."""

    def __init__(self, trainer: Trainer, streams: Sequence[TaskStream]):
        self.trainer, self.streams = trainer, streams

    def step(self, number: int) -> _Step:
        trainer = self.trainer
        rates = [stream.rate_at(number / trainer.steps) for stream in self.streams]
        stream = self.streams[pick_task(rates, seed=trainer.seed, step=number)]
        batch = stack_micro_batches([next(stream.batches) for _ in range(trainer.recipe.accumulate)])
        run = steps_lib.train_step(trainer.model, stream.head, trainer.optimizer, trainer.mesh)
        return _Step(run, batch, np.float32(stream.loss_weight), {stream.name: batch["row"]})


class _MixedTasks:
    """Every micro-batch of an optimizer step is of a task of its own; see `mixed.py`."""

    def __init__(self, trainer: Trainer, streams: Sequence[TaskStream]):
        self.trainer, self.streams = trainer, streams
        self.layout = Layout.of(
            trainer.model, heads=[stream.head for stream in streams], like=[stream.like for stream in streams]
        )
        self.loss_weight = np.array([stream.loss_weight for stream in streams], np.float32)

    def step(self, number: int) -> _Step:
        trainer = self.trainer
        rates = [stream.rate_at(number / trainer.steps) for stream in self.streams]
        drawn = pick_tasks(rates, seed=trainer.seed, step=number, count=trainer.recipe.accumulate)
        batches = [next(self.streams[task].batches) for task in drawn]
        rows = {
            self.streams[task].name: np.concatenate(
                [batch["row"].ravel() for batch, other in zip(batches, drawn, strict=True) if other == task]
            )
            for task in sorted(set(drawn.tolist()))
        }
        run = mixed_step(trainer.model, self.layout, trainer.optimizer, trainer.mesh)
        return _Step(run, self.layout.stack(batches), Draws(drawn, self.loss_weight), rows)


_WAYS = {"one": _OneTask, "mixed": _MixedTasks}  # `MixtureConfig.heads`


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
        heads: str = "one",
        whole: Callable[[Tree, int], Tree] = lambda params, step: params,
        too_large: Callable[[], str] = lambda: "the step does not fit into a device's memory; take fewer rows",
    ) -> Fit:
        """Runs to the last step or until validation stops improving.

        Args:
            start: gives the initial parameters; called only where there is no checkpoint to go on from.
            streams: the mixture's tasks.
            validate: params -> metrics, among them `selection`, the value to maximise; None = the last
                parameters are the best.
            heads: "one" = an optimizer step is of one task, "mixed" = of several (`MixtureConfig.heads`).
            whole: what is validated and saved as the best, from the parameters and the number of steps they
                had; differs from these where only a part of the model is trained (`vocabulary.py`).
            too_large: the sentence for a step that the device has no memory for.

        Raises:
            Stopped: the run was told to stop; the checkpoint is saved.
            UserError: the loss or the gradient is not finite (names the step, the task, the cached rows of the batch
                and their examples), or a step does not fit into memory.
        """
        with Checkpoints(self.folder / "latest", keep=2) as latest, Checkpoints(self.folder / "best") as best:
            way = _WAYS[heads](self, streams)
            run = _Run(self, latest=latest, best=best, streams=streams, way=way, validate=validate, whole=whole)
            run.begin(start)
            try:
                if run.watch.due:
                    run.judge()
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

    def __init__(self, trainer: Trainer, *, latest: Checkpoints, best: Checkpoints, streams, way, validate, whole):
        self.trainer, self.latest, self.best = trainer, latest, best
        self.streams, self.way, self.validate, self.whole = list(streams), way, validate, whole
        self.watch, self.tokens, self.step = _Watch(), 0, 0
        self.course = Course(trainer.steps)
        self.pending = collections.deque()  # (step, rows by task, StepMetrics) not read from the device yet
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
        """Whether there was a checkpoint to go on from. Damaged ones are set aside, and the one before is taken: it
        leads to the same numbers, only later."""
        for number in self.latest.steps():
            try:
                fault = self._fault(number)
                if not fault:
                    self._read(number)
                    return True
            except Exception as error:  # of many types, from the storage; without a seal it may be damaged
                said = str(error).splitlines()
                fault = f"cannot be read ({type(error).__name__}: {said[0] if said else ''})"
            aside = self.latest.set_aside(number)
            if processes.is_first():
                before = "the one before it" if self.latest.steps() else "the phase's start"
                print(f"{self.latest.folder}/{number} {fault}{aside}; going on from {before}", file=sys.stderr)
        return False

    def _fault(self, number: int) -> str:
        """Why a checkpoint cannot be gone on from; "" = it can. Its best parameters must be there as well, or be
        older than some that are: then the same steps make them again."""
        if damage := self.latest.damage(number):
            return damage
        best = self.latest.record(number)["watch"]["best_step"]
        kept = self.best.steps()
        if not best or not self.validate or max(kept, default=0) > best:
            return ""
        damage = self.best.damage(best)
        return f"needs the best parameters, but {self.best.folder}/{best} {damage}" if damage else ""

    def _read(self, number: int) -> None:
        trainer = self.trainer
        state = steps_lib.abstract_state(trainer.model, optimizer=trainer.optimizer, mesh=trainer.mesh)
        trees, record = self.latest.restore(number, abstract=_split(state)), self.latest.record(number)
        self.state = _join(trees, step=jnp.int32(number))
        self.step, self.tokens = number, record["tokens"]
        self.watch = _Watch(**record["watch"])
        self.course = Course.resumed(record.get("course"), steps=trainer.steps)
        for stream in self.streams:
            stream.batches.set_state(record["streams"][stream.name])

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
        guesses = {stream.name: stream.guess for stream in self.streams}
        return Fit(
            steps=self.step,
            best_step=self.watch.best_step,
            best_value=value,
            tokens=self.tokens,
            seconds=seconds,
            unlearned=self.course.unlearned(guesses, best_step=self.watch.best_step),
        )

    # -- one optimizer step

    def advance(self) -> None:
        trainer, recipe = self.trainer, self.trainer.recipe
        self._profile()
        step = self.way.step(self.step)
        batch = put_batch(step.batch, mesh=trainer.mesh, leading=1)
        self.state, metrics = step.run(self.state, batch, self.schedule, np.uint32(trainer.seed), step.weighing)
        self.step += 1
        self.pending.append((self.step, step.rows, metrics))
        last = self.step == trainer.steps
        if self.step % recipe.log_every == 0 or last:
            self._read_pending()
        if self.validate and (last or (recipe.eval_every and self.step % recipe.eval_every == 0)):
            self.judge()
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
        losses, of_task, tokens = [], collections.defaultdict(list), 0
        for step, rows, metrics in self.pending:
            metrics = jax.device_get(metrics)
            if not np.isfinite(metrics.loss) or not np.isfinite(metrics.grad_norm):
                self._not_finite(step, rows, metrics)
            losses.append(float(metrics.loss))
            for task, loss in self._losses(rows, metrics).items():
                of_task[task].append(loss)
                self.course.add(task, loss, step=step)
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
            task="+".join(rows),  # of the last step
            **({f"loss/{name}": sum(of) / len(of) for name, of in of_task.items()} if len(self.streams) > 1 else {}),
            grad_norm=float(metrics.grad_norm),
            tokens=self.tokens,
            tokens_per_second=round(self.tokens_per_second),
        )
        self.progress.update(self.step, note=self._rate_note())

    def _losses(self, tasks: Iterable[str], metrics: steps_lib.StepMetrics) -> dict[str, float]:
        """The mean loss of each task of a step."""
        if metrics.task_losses is None:
            return dict.fromkeys(tasks, float(metrics.loss))
        by_name = dict(zip([stream.name for stream in self.streams], metrics.task_losses.tolist(), strict=True))
        return {name: by_name[name] for name in tasks}

    def _not_finite(self, step: int, rows: dict[str, np.ndarray], metrics: steps_lib.StepMetrics) -> NoReturn:
        losses = self._losses(rows, metrics)
        tasks = [name for name, loss in losses.items() if not np.isfinite(loss)] or list(rows)
        kept = ", ".join(map(str, self.latest.steps())) or "none"
        raise UserError(
            f"the loss of step {step} is {metrics.loss} (gradient norm {metrics.grad_norm}) on "
            f"{' and '.join(self._named(name, rows[name]) for name in tasks)}; "
            f"good checkpoints: {kept}; try a lower learning rate"
        )

    def _named(self, task: str, rows: np.ndarray) -> str:
        """A task and its part of a batch, as far as this process has it: cached rows and the ids of their examples."""
        ids_of = next(stream.ids for stream in self.streams if stream.name == task)
        named = rows.ravel()[rows.ravel() >= 0]
        shown = named[:NAMED]
        ids = list(dict.fromkeys(ids_of(shown))) if ids_of else []
        share = f" of process {jax.process_index()}" if jax.process_count() > 1 else ""
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        examples = f" (examples {', '.join(map(repr, ids))})" if ids else ""
        return f"task {task!r}, cached rows {shown.tolist()}{more}{share}{examples}"

    def _rate_note(self) -> str:
        return f"loss {self.loss:.3f}, {self.tokens_per_second:,.0f} tokens/s" if hasattr(self, "loss") else ""

    # -- validation and checkpoints

    def judge(self) -> None:
        """The validation after the last step. Told to stop meanwhile, it is left to the next run."""
        self.watch.due = True
        self._read_pending()
        params = self.whole(self.state.params, self.step)
        try:
            values = self.validate(params)
        except Stopped:
            self._save_latest()
            at = f"{self.step} of {self.trainer.steps}"
            raise Stopped(f"{self.trainer.title} in the validation after step {at}") from None
        self.watch.due = False
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
            "course": dataclasses.asdict(self.course),
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
