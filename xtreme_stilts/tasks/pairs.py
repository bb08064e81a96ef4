"""Classification and regression of one text or two."""

from __future__ import annotations

from collections.abc import Sequence

from xtreme_stilts.tasks.preprocessors import label_target


def classification(row, language, *, texts: Sequence[str], names: Sequence[str], label: str = "label"):
    """Texts and label under plain feature names.

    Args:
        row: features `texts`, string[], and `label`, int[] (-1 = unlabelled) or string[].
        language: unused.
        texts: names of one or two features, in input order.
        names: our label strings, in the order of the data set's class numbers.
        label: name of the label's feature.
    """
    import tensorflow as tf

    return {"inputs": tf.stack([row[text] for text in texts]), "targets": label_target(row[label], names)}


def regression(row, language, *, texts: Sequence[str], label: str = "label"):
    """Like `classification`, with a score, float[], that becomes its shortest decimal string; negative =
    unlabelled."""
    import tensorflow as tf

    score = tf.strings.as_string(row[label], shortest=True)
    return {
        "inputs": tf.stack([row[text] for text in texts]),
        "targets": tf.boolean_mask([score], [row[label] >= 0]),
    }


def xnli(row, language, *, names: Sequence[str]):
    """XNLI as TFDS has it: all languages in one row, the hypotheses as a list in an order of its own.

    Args:
        row: `premise` {language: string[]}, `hypothesis` {`language`: string[n], `translation`: string[n]},
            `label` int[].
        language: the one to take.
        names: label strings, in the order of the data set's class numbers.
    """
    import tensorflow as tf

    premise, hypotheses = row["premise"].get(language, ""), row["hypothesis"]
    hypothesis = tf.boolean_mask(hypotheses["translation"], hypotheses["language"] == language)[:1]
    return {
        "inputs": tf.concat([[premise], hypothesis], 0),
        "targets": label_target(row["label"], names),
    }


def in_xnli_row(row, language):
    """Keeps rows that hold both texts in this language (copies of XNLI may have few of its languages)."""
    import tensorflow as tf

    premise = tf.convert_to_tensor(row["premise"].get(language, ""))
    return (premise != "") & tf.reduce_any(row["hypothesis"]["language"] == language)


def word_in_context(row, language, *, names: Sequence[str]):
    """WiC as a text pair: the word is put before the first sentence (jiant compares the two word spans
    instead)."""
    import tensorflow as tf

    first = tf.strings.join([row["word"], ": ", row["sentence1"]])
    return {"inputs": tf.stack([first, row["sentence2"]]), "targets": label_target(row["label"], names)}
