"""Extractive question answering: inputs are question and context, targets the answer texts, starts where they
begin."""

from __future__ import annotations

from xtreme_stilts.tasks import languages


def squad(row, language):
    """SQuAD's layout; no answers = unanswerable, or not given.

    Args:
        row: `question`, `context` string[]; `answers` {`text`: string[n], `answer_start`: int[n], code
            points}.
        language: unused.
    """
    import tensorflow as tf

    answers = row["answers"]
    return {
        "inputs": tf.stack([row["question"], row["context"]]),
        "targets": answers["text"],
        "starts": tf.cast(answers["answer_start"], tf.int32),
    }


def of_language(row, language):
    """Keeps rows whose id begins with the language's English name: TyDiQA's training file holds nine
    languages.

    Ids look like `english-8282-1`, some like `english--8282-1` (a negative number after the hyphen).
    """
    import tensorflow as tf

    return tf.strings.regex_full_match(row["id"], f"{languages.language(language).name.lower()}-.*")
