"""A share of a task's examples: the same ids in every language, nothing twice, all of a budget together."""

import random

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.data.features import Example
from xtreme_stilts.data.shares import share_of
from xtreme_stilts.errors import UserError


def _examples(language, count=100, seed=0):
    """Rows in an order of the language's own, as translated files may have."""
    ids = list(range(count))
    random.Random(f"{language}{seed}").shuffle(ids)
    return [Example(id=str(i), inputs=(f"{language} text {i}",)) for i in ids]


def _ids(language, share, **changes):
    return {e.id for e in share_of(lambda: _examples(language, **changes), first=share.first, count=share.count)}


@pytest.mark.parametrize("budget", [7, 40, 41])
def test_shares_of_translations_are_disjoint_and_together_what_english_alone_would_give(budget):
    languages = ("en", "de", "sw", "zh")
    mixture = tasks.Mixture(name="nli", tasks=tuple(f"xnli.{code}" for code in languages), budget=budget)
    shares = [_ids(code, mixture.share(f"xnli.{code}")) for code in languages]
    assert sum(map(len, shares)) == budget and max(map(len, shares)) - min(map(len, shares)) <= 1
    alone = tasks.Mixture(name="en", tasks=("xnli.en",), budget=budget)
    assert set().union(*shares) == _ids("en", alone.share("xnli.en"))


def test_a_share_is_drawn_from_the_whole_set_and_keeps_its_order():
    chosen = [
        int(e.id)
        for e in share_of(lambda: [Example(id=str(i), inputs=("x",)) for i in range(1000)], first=0, count=100)
    ]
    assert chosen == sorted(chosen)
    assert sum(i < 500 for i in chosen) in range(35, 66)  # binomial(100, 1/2), three standard deviations


def test_ranks_beyond_the_end_begin_again():
    assert len(_ids("de", tasks.Share(first=90, count=20))) == 20


def test_too_few_examples_are_said():
    with pytest.raises(UserError, match="here: found 100 examples; its share of the mixture's budget is 101"):
        share_of(lambda: _examples("de"), first=0, count=101, where="here")


def test_a_mixture_without_a_budget_has_no_shares_and_one_too_small_is_refused():
    assert tasks.Mixture(name="two", tasks=("xnli.de", "xnli.en")).share("xnli.de") is None
    with pytest.raises(UserError, match="budget of 1 examples for 2 tasks"):
        tasks.register_mixture(tasks.Mixture(name="two", tasks=("mnli.en", "qqp.en"), budget=1))
