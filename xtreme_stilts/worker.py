"""One program at work on a study: takes phases that are ready, one at a time, until none is left.

Several may work on one study directory at once, on one machine or on many: start the same command as often as there
are machines. Each claims a phase before it touches it (claims.py), so nothing is computed twice; one that dies is
replaced, and the phase goes on from its last checkpoint. At its end every worker has been through all phases, reading
back what others did, so each ends only when the whole study is done.

A phase is *ready* when its parent is trained. One that fails with bad input is noted (`failed.json`) and the others
go on; what would start from it is left out, and the next run tries again.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import jax
from etils import epath

from xtreme_stilts import processes, stopping, tasks
from xtreme_stilts.claims import Claims, utc_now
from xtreme_stilts.errors import Stopped, UserError
from xtreme_stilts.evaluation.zero_shot import LanguageScores, evaluate
from xtreme_stilts.files import write_json
from xtreme_stilts.graph import Cell, Phase, Plan
from xtreme_stilts.phase import Lost, Setting, give_up, train
from xtreme_stilts.report import results as results_lib

LOOK_EVERY = 2.0  # seconds between two looks for a phase that others hold or train the parent of


def work(layout: Plan, *, setting: Setting, claims: Claims, say: Callable[[str], None]) -> list[str]:
    """Runs what is missing of a plan, alone or beside others.

    Returns:
        One sentence for each phase that failed, after all others are done.

    Raises:
        UserError: a damaged results.csv; in a run of several processes, a phase that failed.
        Stopped: the run was told to stop.
    """
    worker = _Worker(layout, setting=setting, claims=claims, say=say)
    while worker.left:
        worker.step()
    return worker.end()


class _Worker:
    """What is left to do, and what went wrong."""

    def __init__(self, layout: Plan, *, setting: Setting, claims: Claims, say: Callable[[str], None]):
        self.layout, self.setting, self.claims, self.say = layout, setting, claims, say
        self.left: dict[int, Phase] = dict(enumerate(layout.phases, 1))
        self.failed: dict[str, str] = {}  # by fingerprint; "" = not tried, because of what failed before it
        self.failed_before = {number: self._failure(phase) for number, phase in self.left.items()}
        self.results: list[results_lib.Result] = []  # not in results.csv yet
        self.waited_for: set[str] = set()
        self.lost: set[int] = set()  # phases whose parameters were found damaged

    def step(self) -> None:
        """Runs one phase, or waits a little for those that others work on."""
        for number, phase in list(self.left.items()):
            if phase.parent is not None and phase.parent.fingerprint in self.failed:
                self.failed[phase.fingerprint] = ""
                del self.left[number]
        if not self.left:
            return
        with contextlib.ExitStack() as held:
            number = processes.decided(lambda: self._claim(held))
            if number:
                phase = self.left.pop(number)
                self._run(number, phase)
                return
        self._wait()

    def end(self) -> list[str]:
        """The last rows of results.csv; then what failed."""
        self._write_results()
        sentences = [
            f"phase {phase.path} (seed {phase.seed}): {self.failed[phase.fingerprint]}"
            for phase in self.layout.phases
            if self.failed.get(phase.fingerprint)
        ]
        if left_out := len(self.failed) - len(sentences):
            sentences.append(f"{left_out} phases that start from these were left out")
        return sentences

    # -- taking

    def _claim(self, held: contextlib.ExitStack) -> int:
        """The number of the first phase that is ready and free, held from now on; 0 = there is none."""
        for number, phase in self.left.items():
            if (phase.parent is None or self.setting.is_done(phase.parent)) and self._hold(phase, held):
                return number
        return 0

    def _wait(self) -> None:
        self._write_results()
        holders = (self.claims.holder(self.setting.folder(phase)) for phase in self.left.values())
        others = {str(holder) for holder in holders if holder is not None}
        if others - self.waited_for:
            self.say(
                f"{len(self.left)} phases are left, all begun or awaited from {', '.join(sorted(others))}; waiting"
            )
        self.waited_for |= others
        if stopping.requested():
            raise Stopped("while waiting for other workers")
        time.sleep(LOOK_EVERY)

    # -- running

    def _run(self, number: int, phase: Phase) -> None:
        record = self.setting.folder(phase) / "failed.json"
        if self._failure(phase) != self.failed_before[number]:  # another worker just tried
            self.failed[phase.fingerprint] = json.loads(record.read_text())["error"]
            return
        began = time.monotonic()
        try:
            worked = self._train_and_evaluate(f"[{number}/{len(self.layout.phases)}]", phase)
        except Lost as lost:
            self._train_again(number, lost)
            return
        except UserError as error:
            if jax.process_count() > 1:
                raise
            self.failed[phase.fingerprint] = str(error)
            write_json(record, {"error": str(error), "when": utc_now()})
            self.say(f"[{number}/{len(self.layout.phases)}] failed: {error}")
            return
        if processes.is_first():
            record.unlink(missing_ok=True)
            if worked:
                write_json(record.parent / "worked.json", {"seconds": time.monotonic() - began})
        if worked:
            self._write_results()

    def _train_again(self, number: int, lost: Lost) -> None:
        """Puts back a phase that needs parameters that are damaged, its own or its parent's, and the one that has them.

        Raises:
            UserError: it is the second time.
        """
        phase = self.layout.phases[number - 1]
        other = 1 + next(i for i, each in enumerate(self.layout.phases) if each.fingerprint == lost.phase.fingerprint)
        if other in self.lost:
            raise UserError(f"{lost}; its parameters were damaged before, so the disk should be looked at") from lost
        with contextlib.ExitStack() as held:
            if other != number and not processes.decided(lambda: self._hold(lost.phase, held)):
                damage = ""  # somebody works on it, and will find the same
            else:
                damage = give_up(lost.phase, setting=self.setting)
                self.lost.add(other)
        if damage:
            self.say(f"phase {lost.phase.path} (seed {lost.phase.seed}): {damage}; it is trained again")
        self.left = dict(sorted({**self.left, number: phase, other: lost.phase}.items()))

    def _hold(self, phase: Phase, held: contextlib.ExitStack) -> bool:
        claim = self.claims.take(self.setting.folder(phase))
        if claim is not None:
            held.enter_context(claim)
        return claim is not None

    def _train_and_evaluate(self, number: str, phase: Phase) -> bool:
        """Trains a phase unless it is done, and evaluates what is asked of it. Whether there was anything to do."""
        setting, worked, steps = self.setting, False, 0
        title = f"{number} {phase.kind} {phase.path} (seed {phase.seed})"
        if phase.recipe is not None:
            record = setting.folder(phase) / "done.json"
            if processes.decided(lambda: setting.is_done(phase)):
                self.say(f"{title}: reused")
            else:
                train(phase, setting=setting, title=title)
                worked = True
            steps = processes.decided(lambda: json.loads(record.read_text())["best_step"])
        scores: dict[str, list[LanguageScores]] = {}
        for name in self.layout.families_after(phase):
            done: list[str] = []

            def note(language: str, done: list[str] = done) -> None:
                done.append(language)
                if stopping.requested():
                    raise Stopped(f"the evaluation after {language}")

            began = time.monotonic()
            scores[name] = evaluate(phase, tasks.family(name), setting=setting, note=note)
            if done:
                worked = True
                self.say(f"{number} evaluated {name} in {len(done)} languages, {time.monotonic() - began:.1f} s")
        for cell in self.layout.cells_of(phase):
            self.results += _rows(cell, scores[cell.family], steps=steps, setting=setting)
        return worked

    def _write_results(self) -> None:
        if self.results and processes.is_first():
            with self.claims.wait(self.setting.workdir, "results"):
                results_lib.add(self.setting.workdir / "results.csv", self.results)
        self.results = []

    def _failure(self, phase: Phase) -> str:
        """What is noted of a phase's last failure; "" = nothing."""
        path: epath.Path = self.setting.folder(phase) / "failed.json"
        return path.read_text() if path.exists() else ""


def _rows(cell: Cell, scores: list[LanguageScores], *, steps: int, setting: Setting) -> list[results_lib.Result]:
    """The rows of results.csv that one cell of the table gives."""
    return [
        results_lib.Result(
            model=setting.model_name,
            intermediate=cell.row,
            target=cell.family,
            language=found.language,
            split=found.split,
            metric=metric,
            value=value,
            examples=found.examples,
            seed=cell.seed,
            layer=found.layer,
            pooling=found.pooling,
            steps=steps,
            fingerprint=cell.phase.fingerprint,
        )
        for found in scores
        for metric, value in {**found.scores, "chance": found.chance}.items()
        if value is not None
    ]
