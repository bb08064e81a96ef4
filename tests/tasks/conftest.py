"""What the tests of tasks share: the check that examples are what the text schema says."""

import itertools

import pytest

_INPUTS = {"classification": (1, 2), "regression": (1, 2), "span": (2,), "mlm": (1, 2), "embedding": (1,)}


@pytest.fixture
def check_examples():
    """`check_examples(task, split)` reads the first examples and returns them."""
    from xtreme_stilts import tasks
    from xtreme_stilts.tasks import seqio_tasks

    def check(name, split, count=3):
        family = tasks.task(name).family
        examples = list(itertools.islice(seqio_tasks.examples(name, split), count))
        assert examples
        assert len({example["id"] for example in examples}) == len(examples)
        for example in examples:
            _check_example(example, family, name)
        return examples

    return check


def _check_example(example, family, name):
    inputs, targets, starts = example["inputs"], example["targets"], example["starts"]
    assert set(example) == {"id", "inputs", "targets", "starts"}
    assert all(text.strip() for text in inputs), (name, inputs)
    if family.kind == "choice":
        assert len(inputs) == family.num_choices + 1
        assert all(0 <= int(target) < family.num_choices for target in targets)
    elif family.kind == "tagging":
        assert len(inputs) == len(targets) > 0
        assert set(targets) <= set(family.labels)
        assert not any(char.isspace() for word in inputs for char in word)
    else:
        assert len(inputs) in _INPUTS[family.kind]
    if family.kind == "classification":
        assert len(targets) <= 1
        assert set(targets) <= set(family.labels)
    if family.kind == "span":
        for target, start in zip(targets, starts, strict=True):
            assert inputs[1][start : start + len(target)] == target, name
    else:
        assert starts == []
    if family.kind == "mlm":
        assert targets == []
