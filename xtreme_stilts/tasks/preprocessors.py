"""What every conversion shares: the text schema, and targets from labels. In-graph TensorFlow throughout.

The modules beside this one (`pairs`, `choices`, `tagging`, `spans`, `retrieval`, `text`) hold one function
for each layout a data set's rows come in: `convert(row, language)` gives `inputs`, `targets` and, for spans,
`starts`; `keep(row, language)` says whether a row is used. They serve the real data sets and the miniature
ones alike, whose features are the same. TensorFlow is imported inside functions, because the registry, which
names these functions, must stay light.
"""

from __future__ import annotations

from collections.abc import Sequence

ID_FEATURES = ("id", "uid", "idx")  # under which data sets keep an example's id, in order of preference


def with_id(number, row):
    """The row with a string feature `id`: the data set's own, else its number in the split."""
    import tensorflow as tf

    own = next((row[name] for name in ID_FEATURES if name in row), number)
    return row | {"id": own if own.dtype == tf.string else tf.strings.as_string(own)}


def label_target(label, names: Sequence[str]):
    """string[1] with the label's string; string[0] where there is no label (-1, or an empty string).

    Args:
        label: int[] index into `names`, or string[] that is a label itself.
        names: label strings in the order of the data set's class numbers.
    """
    import tensorflow as tf

    if label.dtype == tf.string:
        return tf.boolean_mask([label], [label != ""])
    return tf.boolean_mask([tf.gather(tf.constant(names), tf.maximum(label, 0))], [label >= 0])


def labelled(row, language, *, label: str = "label"):
    """Keeps rows with a gold label (SNLI marks pairs its annotators disagreed on with -1)."""
    return row[label] != "" if row[label].dtype.name == "string" else row[label] >= 0


def text_schema(example):
    """The example with all features of the text schema and nothing else, vectors of unknown length."""
    import tensorflow as tf

    return {
        "id": example["id"],
        "inputs": tf.ensure_shape(example["inputs"], [None]),
        "targets": tf.ensure_shape(example["targets"], [None]),
        "starts": tf.ensure_shape(example.get("starts", tf.zeros([0], tf.int32)), [None]),
    }


def distinct(examples):
    """tf.data.Dataset of the examples whose first input was not seen before and is not blank; their number
    becomes the id."""
    import tensorflow as tf

    texts = (
        examples.map(lambda example: tf.strings.strip(example["inputs"][0])).filter(lambda text: text != "").unique()
    )
    return texts.enumerate().map(
        lambda number, text: text_schema(
            {
                "id": tf.strings.as_string(number),
                "inputs": text[tf.newaxis],
                "targets": tf.zeros([0], tf.string),
            }
        )
    )
