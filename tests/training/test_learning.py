"""What a guess costs, by hand, and which courses of a loss count as not having learned."""

from __future__ import annotations

import dataclasses
import json
import math
import types

import numpy as np
import pytest

from xtreme_stilts.training import learning
from xtreme_stilts.training.learning import FEWEST, JUDGED, KEPT, Course, Unlearned

GUESS = math.log(3)


def rows(kind, *, sizes=(1, 1), **columns):
    columns = {name: np.array(column) for name, column in columns.items()}
    return types.SimpleNamespace(kind=kind, columns=columns, sizes=np.array(sizes))


def course(losses, *, steps=None, tasks=("task",)):
    """The course of a run with these losses at steps 1, 2, ..., of tasks in turn."""
    found = Course(steps or len(losses))
    for step, loss in enumerate(losses, 1):
        found.add(tasks[(step - 1) % len(tasks)], loss, step=step)
    return found


@pytest.mark.parametrize("kind", ["classification", "choice"])
def test_guess_of_labels_is_their_entropy(kind):
    assert learning.guess(rows(kind, label=[0, 1, 2, 0, 1, 2])) == pytest.approx(math.log(3))
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert learning.guess(rows(kind, label=[2, 2, -1, 2, 0, -1])) == pytest.approx(expected)
    assert learning.guess(rows(kind, label=[1, 1])) == 0


def test_guess_of_tags_counts_tagged_tokens_only(monkeypatch):
    tags = [-1, 0, 0, 3, -1, -1, 0, 3, 3, -1]
    assert learning.guess(rows("tagging", tags=tags)) == pytest.approx(math.log(2))
    monkeypatch.setattr(learning, "_CHUNK", 3)  # so that parts differ in their highest tag
    assert learning.guess(rows("tagging", tags=tags)) == pytest.approx(math.log(2))


def test_guess_of_numbers_is_their_variance():
    assert learning.guess(rows("regression", label=np.float32([1, 3, 5]))) == pytest.approx(8 / 3)


def test_guess_of_spans_finds_all_tokens_alike():
    assert learning.guess(rows("span", sizes=(4, 16))) == pytest.approx((math.log(4) + math.log(16)) / 2)


def test_language_models_have_no_guess():
    assert math.isnan(learning.guess(rows("mlm")))
    assert course([9.0] * 100).unlearned({"task": math.nan}, best_step=100) == {}


def test_a_loss_that_stays_at_guessing():
    random = np.random.default_rng(0)
    found = course((GUESS + random.normal(0, 0.02, 200)).tolist()).unlearned({"task": GUESS}, best_step=200)
    assert found["task"].guess == GUESS
    assert found["task"].end == pytest.approx(GUESS, abs=0.02)
    assert found["task"].beginning == pytest.approx(GUESS, abs=0.02)


def test_beginning_and_end_are_means_over_tenths():
    losses = [5.0] * 20 + [4.0] * 160 + [2.0] * 20
    assert course(losses).unlearned({"task": 2.0}, best_step=200) == {"task": Unlearned(5.0, 2.0, 2.0)}


def test_a_loss_that_falls_a_little_is_learning():
    low, high = (np.linspace(GUESS, share * GUESS, 200).tolist() for share in (KEPT - 0.02, KEPT + 0.02))
    assert course(low).unlearned({"task": GUESS}, best_step=200) == {}
    assert set(course(high).unlearned({"task": GUESS}, best_step=200)) == {"task"}


def test_a_run_that_broke_down_after_its_best_step_has_learned():
    losses = np.linspace(GUESS, 0.2, 100).tolist() + [GUESS * 2] * 100
    assert course(losses).unlearned({"task": GUESS}, best_step=100) == {}
    assert set(course(losses).unlearned({"task": GUESS}, best_step=200)) == {"task"}
    assert set(course(losses).unlearned({"task": GUESS}, best_step=1)) == {"task"}


def test_few_steps_are_not_judged():
    assert course([GUESS] * (JUDGED - 1)).unlearned({"task": GUESS}, best_step=JUDGED - 1) == {}
    assert set(course([GUESS] * JUDGED).unlearned({"task": GUESS}, best_step=JUDGED)) == {"task"}
    # Few of many planned ones: training was stopped early.
    stopped = course([GUESS] * JUDGED, steps=100 * JUDGED)
    assert set(stopped.unlearned({"task": GUESS}, best_step=JUDGED)) == {"task"}


def test_the_last_steps_are_as_many_as_a_mean_needs():
    losses = [GUESS] * JUDGED  # of which a tenth would be fewer than FEWEST
    losses[-FEWEST:] = [0.0] * (FEWEST // 2) + [GUESS] * (FEWEST - FEWEST // 2)
    assert course(losses).unlearned({"task": GUESS}, best_step=JUDGED) == {}


def test_tasks_are_judged_by_their_own_losses():
    losses = [value for step in range(100) for value in (GUESS, GUESS * (1 - step / 200))]
    found = course(losses, tasks=("stuck", "learns")).unlearned({"stuck": GUESS, "learns": GUESS}, best_step=200)
    assert set(found) == {"stuck"}


def test_labels_that_are_all_the_same_need_no_learning():
    assert course([0.0] * 100).unlearned({"task": 0.0}, best_step=100) == {}


def test_a_course_goes_on_from_its_record():
    losses = np.random.default_rng(1).normal(GUESS, 0.1, 90).tolist()
    begun = course(losses[:37], steps=90)
    record = json.loads(json.dumps(dataclasses.asdict(begun)))
    resumed = Course.resumed(record, steps=90)
    for step, loss in enumerate(losses[37:], 38):
        resumed.add("task", loss, step=step)
    assert resumed == course(losses)
    assert Course.resumed(None, steps=90) == Course(90)
