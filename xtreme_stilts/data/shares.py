"""A fixed part of a task's examples: what it contributes to a mixture with a budget.

Examples are ranked by a hash of their ids. The order is therefore the same in every language of a translated data
set, whose rows keep the ids of the original, and on every machine; it has nothing to do with the order of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from xtreme_stilts.data.features import Example
from xtreme_stilts.errors import UserError


def share_of(
    read: Callable[[], Iterable[Example]], *, first: int, count: int, where: str = "this task"
) -> Iterator[Example]:
    """The examples ranked [first, first + count), in the order they are read.

    Ranks go on from the beginning after the last example, so a task needs `count` examples, not `first + count`.

    Args:
        read: gives all examples; called twice, the ids alone are kept between.
        where: what to call the data in an error.

    Raises:
        UserError: there are fewer than `count` examples.
    """
    ids = [example.id for example in read()]
    if len(ids) < count:
        raise UserError(f"{where}: found {len(ids)} examples; its share of the mixture's budget is {count}")
    ranked = sorted(range(len(ids)), key=lambda number: (_hash(ids[number]), number))
    chosen = {ranked[rank % len(ids)] for rank in range(first, first + count)}
    return (example for number, example in enumerate(read()) if number in chosen)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
