"""What guessing scores: the level a result has to beat before it means anything.

| kind | the guess |
|---|---|
| classification, choice | every label equally likely: 100 / labels |
| tagging | every word's tag drawn from the split's own distribution of tags |
| span | one word of the context, all equally likely |
| retrieval | every sentence of the database equally likely: 100 / sentences |
| regression, mining | 0: no correlation; a random pair among millions is never right |

Drawn guesses use a fixed seed, so the level of a split is one number.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from xtreme_stilts.data.features import WORD, Example
from xtreme_stilts.evaluation import metrics
from xtreme_stilts.tasks import Family


def chance(family: Family, examples: Sequence[Example], *, language: str) -> float:
    """Percent of the family's primary metric that guessing reaches on these examples.

    Args:
        examples: the labelled examples that were scored (retrieval: the database's side).
    """
    draw = random.Random(0)
    if family.kind == "classification":
        return 100 / len(family.labels) if family.metric == "accuracy" else 0.0
    if family.kind == "choice":
        return 100 / family.num_choices
    if family.kind == "embedding":
        return 100 / len(examples) if family.metric == "retrieval_accuracy" else 0.0
    if family.kind == "tagging":
        targets = [list(example.targets) for example in examples]
        tags = [tag for sentence in targets for tag in sentence]
        return _score(family, [[draw.choice(tags) for _ in sentence] for sentence in targets], targets, language)
    if family.kind == "span":
        guesses = [draw.choice(WORD.findall(example.inputs[1]) or [""]) for example in examples]
        return _score(family, guesses, [list(example.targets) for example in examples], language)
    return 0.0


def _score(family: Family, guesses: list, targets: list, language: str) -> float:
    return metrics.primary_value(family.metric, metrics.metric(family.metric)(guesses, targets, language=language))
