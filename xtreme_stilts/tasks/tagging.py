"""One tag for each word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# XTREME's conversion takes blanks and zero-width non-joiners out of words (utils_preprocess.py).
_INSIDE_WORDS = r"[\s\x{00a0}\x{200c}]+"


def tagging(row, language, *, tags: str, names: Sequence[str], words: str = "tokens"):
    """Words and tags; blanks inside words are removed, and a word without letters or without a tag is left
    out.

    Args:
        row: features `words` string[n] and `tags` int[n] or string[n].
        language: unused.
        tags, words: names of the features.
        names: our tag strings, in the order of the data set's class numbers; "" = no tag.
    """
    import tensorflow as tf

    text = tf.strings.regex_replace(row[words], _INSIDE_WORDS, "")
    labels = row[tags] if row[tags].dtype == tf.string else tf.gather(tf.constant(names), row[tags])
    used = (text != "") & (labels != "")
    return {"inputs": tf.boolean_mask(text, used), "targets": tf.boolean_mask(labels, used)}


def has_words(row, language, *, words: str = "tokens"):
    """Keeps sentences that have a word."""
    import tensorflow as tf

    return tf.reduce_any(tf.strings.regex_replace(row[words], _INSIDE_WORDS, "") != "")


def tags_of(task: str) -> list[str]:
    """All tags of a task, of every split, sorted: the label set where only the data know it.

    Raises:
        UserError: the data are not there.
    """
    from xtreme_stilts.tasks import registry, seqio_tasks

    def tags() -> Iterator[str]:
        for split in registry.task(task).splits:
            for example in seqio_tasks.examples(task, split):
                yield from example["targets"]

    return sorted(set(tags()))
