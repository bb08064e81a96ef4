"""The tasks and mixtures of the registry as real seqio tasks and mixtures, in seqio's own registries.

    from xtreme_stilts.tasks import configure, seqio_tasks  # importing registers
    configure(data_dir="...")
    seqio.get_mixture_or_task("xnli.sw").get_dataset(split="test", shuffle=False)

`register` brings seqio's registries up to date with the family registry and touches nothing that is not ours;
call it after `register_family`, `register_mixture` or `declare`. Sources look for data only when they are
read, so registering needs none. Preprocessing is: number the rows, drop those that are not the language's or
have no label, convert to the text schema. The number of a row is its id where the data set has none; it is
the same every time as long as `shuffle=False`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from xtreme_stilts import datasets
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import languages, preprocessors, registry, sources

tf.config.set_visible_devices([], "GPU")  # the accelerator is JAX's

_TEXT = seqio.PassThroughVocabulary(1)
OUTPUT_FEATURES = {
    "id": seqio.Feature(_TEXT, dtype=tf.string, rank=0, add_eos=False),
    "inputs": seqio.Feature(_TEXT, dtype=tf.string, rank=1, add_eos=False),
    "targets": seqio.Feature(_TEXT, dtype=tf.string, rank=1, add_eos=False),
    "starts": seqio.Feature(_TEXT, dtype=tf.int32, rank=1, add_eos=False),
}


# --------------------------------------------------------------------------------------------------
# Registering

_registered: dict[str, registry.Family | registry.Mixture] = {}  # what seqio holds of ours


def register() -> None:
    """Adds every task and mixture to seqio's registries, replacing those of ours that changed.

    Raises:
        UserError: seqio has a task of the same name that is not ours, or lacks a declared task of a mixture.
    """
    tasks = {task.name: task for family in registry.families() if family.source for task in _all_tasks(family)}
    mixtures = {mixture.name: mixture for mixture in registry.mixtures()}
    wanted = {name: task.family for name, task in tasks.items()} | mixtures
    present = {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}
    if wanted == _registered and present.issuperset(wanted):
        return
    for name, old in list(_registered.items()):
        # Mixtures are always made anew, since a seqio.Mixture holds its tasks themselves.
        if isinstance(old, registry.Mixture) or old != wanted.get(name) or name not in present:
            del _registered[name]
            seqio.TaskRegistry.remove(name)
            seqio.MixtureRegistry.remove(name)
    for task in tasks.values():
        if task.name not in _registered:
            _add_task(task)
    for mixture in mixtures.values():
        _add_mixture(mixture)


def _all_tasks(family: registry.Family) -> Iterator[registry.Task]:
    for language in family.languages:
        yield registry.Task(family, language)
        if family.kind == "embedding":
            yield registry.Task(family, language + registry.ENGLISH_SIDE)


def _add_task(task: registry.Task) -> None:
    if task.name in seqio.TaskRegistry.names():
        raise UserError(f"seqio already has a task {task.name!r} from elsewhere; rename that one, then `declare` it")
    source = PreparedTfds(task) if isinstance(task.family.source, sources.Tfds) else RowSource(task)
    convert = functools.partial(text_examples, task=task)
    seqio.TaskRegistry.add(task.name, source=source, preprocessors=[convert], output_features=OUTPUT_FEATURES)
    _registered[task.name] = task.family


def _add_mixture(mixture: registry.Mixture) -> None:
    for name in mixture.tasks:
        if name not in seqio.TaskRegistry.names():
            raise UserError(
                f"mixture {mixture.name!r} names the declared task {name!r}, which seqio lacks: import the"
                " module that registers it"
            )
    rate = functools.partial(_rate, mixture=mixture)
    seqio.MixtureRegistry.add(mixture.name, list(mixture.tasks), default_rate=rate)
    _registered[mixture.name] = mixture


def _rate(task: seqio.Task, *, mixture: registry.Mixture) -> float:
    """The mixture's rate of a task, from its rows before any are dropped.

    seqio's rates do not change, so of a schedule they are those half-way. They count examples, those of our training
    stream count steps.
    """
    if not mixture.mlm:
        return mixture.rate(task.name, rows=_rows(task), progress=0.5)
    # The share of the language modelling depends on the rates of all others.
    rows = {name: _rows(seqio.TaskRegistry.get(name)) for name in mixture.tasks}
    return mixture.sampling_rates(rows, progress=0.5)[task.name]


def _rows(task: seqio.Task) -> int:
    """Rows of the training split, or of the first split if a task is only evaluated on."""
    return task.num_input_examples("train" if "train" in task.splits else task.splits[0])


# --------------------------------------------------------------------------------------------------
# Reading


def dataset(name: str, split: str, *, shuffle: bool = False, seed: int | None = None) -> tf.data.Dataset:
    """Examples of a task in the text schema.

    Args:
        name: `<family>.<language>`, or a declared task.
        split: `train`, `validation`, `test`, or another the family has.
        shuffle, seed: see seqio. Row numbers serve as ids only without shuffling.

    Raises:
        UserError: unknown task or split, data that is not there, or a declared task with other features.
    """
    task = registry.task(name)
    if task.family.source:
        registry.source_split(name, split)
    register()
    if task.name not in seqio.TaskRegistry.names():
        raise UserError(f"task {name!r} is declared but seqio has no such task: import the module that registers it")
    found = seqio.TaskRegistry.get(task.name)
    _check_features(found)
    if split not in found.splits:
        raise UserError(f"task {name!r} has no split {split!r}; it has {', '.join(found.splits)}")
    examples = found.get_dataset(split=split, shuffle=shuffle, seed=seed, try_in_mem_cache=False)
    return examples.map(lambda example: {key: example[key] for key in OUTPUT_FEATURES})


def examples(name: str, split: str) -> Iterator[dict[str, Any]]:
    """The same as plain Python: {"id": str, "inputs": [str], "targets": [str], "starts": [int]}, in the
    source's order."""
    for example in dataset(name, split).as_numpy_iterator():
        texts = {key: [text.decode("utf-8") for text in example[key]] for key in ("inputs", "targets")}
        yield {"id": example["id"].decode("utf-8"), **texts, "starts": example["starts"].tolist()}


def _check_features(task: seqio.Task) -> None:
    for name, feature in OUTPUT_FEATURES.items():
        given = task.output_features.get(name)
        if given is None or (given.dtype, given.rank) != (feature.dtype, feature.rank):
            found = "no such feature" if given is None else f"{given.dtype.name} of rank {given.rank}"
            raise UserError(
                f"seqio task {task.name!r}: feature {name!r} must be {feature.dtype.name} of rank"
                f" {feature.rank} (the text schema of xtreme_stilts.tasks), found {found}"
            )


def text_examples(rows: tf.data.Dataset, *, task: registry.Task) -> tf.data.Dataset:
    """Rows of the task's data set -> examples in the text schema."""
    family, language = task
    rows = rows.enumerate().map(preprocessors.with_id)
    if family.keep:
        rows = rows.filter(lambda row: family.keep(row, language))
    examples = rows.map(
        lambda row: preprocessors.text_schema({"id": row["id"]} | family.convert(row, language)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return preprocessors.distinct(examples) if family.distinct else examples


def _check_rows(rows: tf.data.Dataset, task: registry.Task, split: str) -> None:
    """Raises UserError if a split holds nothing for the task's language."""
    family, language = task
    mine = rows
    if family.keep:
        mine = rows.enumerate().map(preprocessors.with_id).filter(lambda row: family.keep(row, language))
    if not any(True for _ in mine.take(1)):
        raise UserError(
            f"task {task.name!r} has no {split!r} rows here: {registry.source_version(task.name)} holds"
            f" nothing for {language!r} in {registry.source_split(task.name, split)!r}"
        )


# --------------------------------------------------------------------------------------------------
# Sources

_SAMPLE_ROWS = 20  # enough text to tell one script from another


class PreparedTfds(seqio.TfdsDataSource):
    """A prepared TensorFlow data set. It says what is missing and how to get it, and downloads only when told
    to."""

    def __init__(self, task: registry.Task):
        self._task = task
        splits = {split: registry.source_split(task.name, split) for split in task.splits}
        super().__init__(self._config(task.language), splits=splits, read_only=True)

    def get_dataset(
        self,
        split=tfds.Split.TRAIN,
        shuffle=True,
        seed=None,
        shard_info=None,
        *,
        sequence_length=None,
        use_cached=False,
        num_epochs=1,
    ) -> tf.data.Dataset:
        """Rows of a split.

        Raises:
            UserError: the data set is not prepared, or has no rows for this split and language.
        """
        loader = self._loader(split)
        _check_rows(loader.load(split, shuffle_files=False), self._task, split)
        return loader.load(split, shuffle_files=shuffle, seed=seed, shard_info=shard_info)

    def num_input_examples(self, split: str) -> int:
        """Rows of a split, before any are dropped."""
        return self._loader(split).size(split)

    def list_shards(self, split: str) -> Sequence[str]:
        """File names of a split."""
        return [instruction.filename for instruction in self._loader(split).files(split)]

    def _config(self, language: str) -> str:
        return self._task.family.source.describe(self._task.family.own_language(language))

    def _loader(self, split: str) -> seqio.utils.LazyTfdsLoader:
        """A loader of the data set that holds the language, with `split` as those of its parts that are
        there."""
        language = self._task.language
        name, other = self._config(language), self._task.family.source.swapped.get(language)
        builder = prepared(name, needed_by=self._task.name)
        if other and _is_written_like(builder, other, rather_than=language):
            name = self._config(other)
            builder = prepared(name, needed_by=self._task.name)
        info = builder.info
        parts = registry.source_split(self._task.name, split).split("+")
        there = [part for part in parts if part.partition("[")[0] in info.splits]
        if not there:
            raise UserError(
                f"task {self._task.name!r} has no {split!r} rows here: {name} in {info.data_dir} lacks the"
                f" split {' or '.join(parts)}; it has {', '.join(sorted(info.splits)) or 'none'}"
            )
        return seqio.utils.LazyTfdsLoader(name, split_map={split: "+".join(there)}, read_only=True)


def data_dir() -> str:
    """Where prepared data sets are looked for: the setting, else seqio's override, else TFDS's default."""
    if sources.settings().data_dir:
        seqio.set_tfds_data_dir_override(sources.settings().data_dir)
    return seqio.utils._get_data_dir_override(None) or str(tfds.core.constants.DATA_DIR)


def prepared(name: str, *, needed_by: str) -> tfds.core.DatasetBuilder:
    """The builder of a data set that is prepared in `data_dir()`.

    Args:
        name: `data set[/config]:version`.
        needed_by: name of the task, for the message.

    Raises:
        UserError: it is not there and neither `download` nor `manual_dir` can help, or it could not be prepared.
    """
    root = data_dir()
    path, _, version = name.partition(":")
    # Looked for by hand: asking TFDS for a builder of something absent already reaches for the network.
    if not tf.io.gfile.exists(f"{root}/{path}/{version}/dataset_info.json"):
        _prepare(name, root, needed_by=needed_by)
    return _builder(name, root)


def _prepare(name: str, root: str, *, needed_by: str) -> None:
    """Has TFDS prepare a data set: one of its own if downloads are allowed, one of ours also from `manual_dir`."""
    settings, path = sources.settings(), name.partition(":")[0]
    own = path.partition("/")[0] in datasets.BUILDERS
    if not settings.download and not (own and settings.manual_dir):
        how = (
            f"set manual_dir to a folder with its files ({datasets.where_to_get(path.partition('/')[0])})"
            if own
            else f"prepare it with tfds.builder({path!r}, data_dir={root!r}).download_and_prepare()"
        )
        raise UserError(
            f"task {needed_by!r} needs the TensorFlow data set {name}, which is not in {root}:"
            f" set download to True, point data_dir to where it is, or {how}"
        )
    logging.info("preparing %s in %s", name, root)
    if own:
        datasets.builder_class(path.partition("/")[0])  # TFDS knows it from now on
    manual = {"manual_dir": settings.manual_dir} if settings.manual_dir else {}
    try:
        builder = tfds.builder(name, data_dir=root)
        if own:
            builder.fetches = settings.download
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False, **manual))
    except Exception as error:  # whatever the network and the data set's script raise
        raise UserError(f"task {needed_by!r} needs {name}, which could not be prepared in {root}: {error}") from error


@functools.lru_cache(maxsize=1024)
def _builder(name: str, root: str) -> tfds.core.DatasetBuilder:
    return tfds.builder(name, data_dir=root)


def _is_written_like(builder: tfds.core.DatasetBuilder, other: str, *, rather_than: str) -> bool:
    """Whether a data set has more letters of the script of language `other` than of that of `rather_than`."""
    scripts = (languages.language(code).script for code in (other, rather_than))
    others, own = (languages.script_share(_sample(builder), script) for script in scripts)
    return others > own


@functools.lru_cache(maxsize=64)
def _sample(builder: tfds.core.DatasetBuilder) -> str:
    """Some text of a data set, whatever its features."""
    rows = builder.as_dataset(split=next(iter(builder.info.splits))).take(_SAMPLE_ROWS)
    texts = [leaf for row in rows for leaf in tf.nest.flatten(row) if leaf.dtype == tf.string]
    return tf.strings.reduce_join([tf.strings.reduce_join(text) for text in texts]).numpy().decode()


class RowSource(seqio.FunctionDataSource):
    """Rows made or read by a family's `Rows.read`."""

    def __init__(self, task: registry.Task):
        self._task = task
        super().__init__(self._rows_dataset, splits=task.splits)

    def num_input_examples(self, split: str) -> int:
        """Rows of a split, before any are dropped."""
        return _count_rows(self._task, split, registry.source_version(self._task.name))

    def _rows_dataset(self, split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        source_split = registry.source_split(self._task.name, split)
        read = functools.partial(self._task.family.source.read, self._task.language, source_split)
        if next(iter(read()), None) is None:
            raise UserError(f"task {self._task.name!r} has no {split!r} rows")
        return rows_dataset(read)


@functools.lru_cache(maxsize=4096)
def _count_rows(task: registry.Task, split: str, version: str) -> int:
    return sum(1 for _ in task.family.source.read(task.language, registry.source_split(task.name, split)))


_CHUNK = 1000  # rows that cross from Python to TensorFlow at once: one by one takes five times as long


def rows_dataset(read: Callable[[], Iterable[sources.Row]]) -> tf.data.Dataset:
    """Python rows as a dataset; `read()` is called for each pass. Types come from the first rows.

    A value is a string, a number, a list of either, or a dict of these; see `sources.Rows`.
    """
    specs = _specs(list(itertools.islice(read(), _CHUNK)))

    def chunks():
        rows = iter(read())
        while chunk := list(itertools.islice(rows, _CHUNK)):
            yield _columns(chunk, specs)

    return tf.data.Dataset.from_generator(chunks, output_signature=specs).unbatch()


def _specs(values: Sequence[Any]) -> Any:
    """Type and shape of a chunk of values: vector of scalars, ragged matrix of lists, or a dict of these."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _specs([value[key] for value in values]) for key in first}
    if isinstance(first, (list, tuple, np.ndarray)):
        items = [item for value in values for item in value] or [""]
        return tf.RaggedTensorSpec([None, None], _specs(items).dtype)
    if isinstance(first, (str, bytes)):
        return tf.TensorSpec([None], tf.string)
    floating = any(isinstance(value, (float, np.floating)) for value in values)
    return tf.TensorSpec([None], tf.float32 if floating else tf.int64)


def _columns(values: Sequence[Any], spec: Any) -> Any:
    """A chunk of values as tensors of this type and shape."""
    if isinstance(spec, Mapping):
        return {key: _columns([value[key] for value in values], each) for key, each in spec.items()}
    if isinstance(spec, tf.TensorSpec):
        return tf.constant(values, spec.dtype)
    flat = tf.constant([item for value in values for item in value], spec.dtype)
    return tf.RaggedTensor.from_row_lengths(flat, [len(value) for value in values])


register()
