"""Multiple choice: inputs are the context, then the choices; each choice is read as the pair (context,
choice)."""

from __future__ import annotations


def _number_target(label):
    """string[1] with the 0-based number of the right choice; string[0] where it is negative."""
    import tensorflow as tf

    return tf.boolean_mask([tf.strings.as_string(label)], [label >= 0])


def hellaswag(row, language):
    """HellaSwag: the unfinished last sentence of the context moves to the front of every choice.

    jiant reads the release's `ctx_a` (whole sentences) and `ctx_b` (the unfinished one); TFDS has only their
    join, `context`, so it is cut after its last sentence end. A context that ends with a whole sentence, as
    WikiHow's do, has no unfinished one.

    Args:
        row: `context` string[], `endings` string[4], `label` int[] (-1 = unlabelled).
        language: unused.
    """
    import tensorflow as tf

    parts = tf.strings.split(
        tf.strings.regex_replace(tf.strings.strip(row["context"]), r"(?s)^(.*[.!?])\s+([^.!?]+)$", "\\1\u241e\\2"),
        "\u241e",
    )
    whole, unfinished = parts[0], tf.strings.reduce_join(parts[1:2])
    choices = tf.strings.strip(tf.strings.join([unfinished, " ", row["endings"]]))
    return {"inputs": tf.concat([[whole], choices], 0), "targets": _number_target(row["label"])}


def cosmos_qa(row, language):
    """CosmosQA: `context` and `question` are the context, `answer0` ... `answer3` the choices, `label`
    int[]."""
    import tensorflow as tf

    context = tf.strings.join([row["context"], " ", row["question"]])
    answers = [row[f"answer{i}"] for i in range(4)]
    return {"inputs": tf.stack([context, *answers]), "targets": _number_target(row["label"])}


def commonsense_qa(row, language):
    """CommonsenseQA: `question` string[], `choices` {`label`: string[n], `text`: string[n]}, `answerKey` (""
    = unlabelled)."""
    import tensorflow as tf

    gold = tf.where(row["choices"]["label"] == row["answerKey"])[:1, 0]
    return {
        "inputs": tf.concat([[row["question"]], row["choices"]["text"]], 0),
        "targets": tf.strings.as_string(gold),
    }


def social_iqa(row, language):
    """Social IQa: `context`, `question`, `answerA` to `answerC`, `label` "1" to "3" ("" = unlabelled)."""
    import tensorflow as tf

    context = tf.strings.join([row["context"], " ", row["question"]])
    gold = tf.where(tf.constant(["1", "2", "3"]) == row["label"])[:1, 0]
    return {
        "inputs": tf.stack([context, row["answerA"], row["answerB"], row["answerC"]]),
        "targets": tf.strings.as_string(gold),
    }


def copa(row, language):
    """COPA: the premise and the question in words (Roemmele et al. 2011); `question` is "cause" or
    "effect"."""
    import tensorflow as tf

    question = tf.where(row["question"] == "cause", " What was the cause of this?", " What happened as a result?")
    context = tf.strings.join([row["premise"], question])
    return {
        "inputs": tf.stack([context, row["choice1"], row["choice2"]]),
        "targets": _number_target(row["label"]),
    }


def story_cloze(row, language):
    """Story Cloze: `sentence1` to `sentence4` are the context, `ending1` and `ending2` the choices, `label` 0 or 1."""
    import tensorflow as tf

    context = tf.strings.join([row[f"sentence{i}"] for i in range(1, 5)], " ")
    return {
        "inputs": tf.stack([context, row["ending1"], row["ending2"]]),
        "targets": _number_target(row["label"]),
    }
