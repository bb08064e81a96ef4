from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import uuid

import numpy as np
import pytest

from xtreme_stilts.data import cache as cache_module
from xtreme_stilts.data.cache import Cache, Damaged, build, cache_key
from xtreme_stilts.data.features import Example, Limits, Recipe, encode
from xtreme_stilts.errors import UserError

SENTENCES = [Example(f"s{i}", ("dog " * (i % 5) + "the é\u2028", "cat" * (i % 3)), (str(i % 2),)) for i in range(11)]


@pytest.fixture
def make(tmp_path, tiny):
    """Builds a small classification cache; keywords change it."""

    def make(**changes) -> Cache:
        arguments = {"kind": "classification", "labels": ("0", "1"), "tokenizer": tiny, "cache_dir": tmp_path}
        arguments |= {"examples": SENTENCES} | changes
        return build("pairs.en", "train", **arguments)

    return make


def never():
    raise AssertionError("the text was read again")
    yield


@pytest.mark.parametrize("chunk", [1, 4, 2048])
def test_rows_and_examples_come_back(make, tiny, monkeypatch, chunk):
    monkeypatch.setattr(cache_module, "CHUNK", chunk)
    cache = make()
    rows = encode(SENTENCES, recipe=Recipe(kind="classification", labels=("0", "1")), tokenizer=tiny)
    offsets = np.append(0, np.cumsum(rows.lengths[:, 0]))
    assert len(cache) == cache.num_examples == 11
    assert cache.num_tokens == len(rows.tokens)
    assert cache.mean_length == pytest.approx(len(rows.tokens) / 11)
    assert cache.longest == rows.lengths.max()
    for i in range(11):
        row = cache.row(i)
        assert set(row) == {"tokens", "lengths", "example", "label"}
        assert row["tokens"].tolist() == rows.tokens[offsets[i] : offsets[i + 1]].tolist()
        assert row["lengths"].tolist() == [offsets[i + 1] - offsets[i]]
        assert row["label"] == i % 2
        assert row["example"] == i
    assert [cache.example(i) for i in (7, 0, 10)] == [SENTENCES[i] for i in (7, 0, 10)]
    assert list(cache.examples()) == SENTENCES
    assert cache.meta["counts"]["examples"] == 11
    with pytest.raises(ValueError, match="read-only"):
        cache.columns["tokens"][0] = 5


def test_a_split_sentence_keeps_its_example_number_across_chunks(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(cache_module, "CHUNK", 2)
    examples = [Example(str(i), ("abc",) * (i + 1), ("X",) * (i + 1)) for i in range(5)]
    limits = Limits(max_length=9)
    cache = build(
        "t",
        "s",
        kind="tagging",
        labels=("X",),
        tokenizer=tiny,
        limits=limits,
        cache_dir=tmp_path,
        examples=examples,
    )
    assert cache.columns["example"].tolist() == [0, 1, 2, 2, 3, 3, 4, 4, 4]
    assert cache.per_token == ("tokens", "tags", "word")


def test_a_present_cache_is_opened_without_its_text(make):
    first = make()
    again = make(examples=never())
    assert again.path == first.path
    assert again.fingerprint == first.fingerprint


def test_the_key_covers_all_that_decides_the_rows(tiny, unigram):
    base = {"recipe": Recipe(kind="span"), "tokenizer": tiny}
    keys = [
        cache_key("t", "s", **base),
        cache_key("u", "s", **base),
        cache_key("t", "r", **base),
        cache_key("t", "s", **base, data_version="1.0.0"),
        cache_key("t", "s", **base | {"tokenizer": unigram}),
        *(
            cache_key("t", "s", **base | {"recipe": recipe})
            for recipe in (
                Recipe(kind="mlm"),
                Recipe(kind="span", misplaced="skip"),
                Recipe(kind="span", limits=Limits(max_length=64)),
                Recipe(kind="span", limits=Limits(doc_stride=64)),
                Recipe(kind="span", limits=Limits(max_query=32)),
                Recipe(kind="classification", labels=("a", "b")),
                Recipe(kind="classification", labels=("b", "a")),
                Recipe(kind="choice", num_choices=2),
                Recipe(kind="choice", num_choices=3),
            )
        ),
    ]
    assert len(set(keys)) == len(keys)
    assert cache_key("t", "s", **base) == keys[0]


def test_the_key_covers_the_code_version(tiny, monkeypatch):
    before = cache_key("t", "s", recipe=Recipe(kind="span"), tokenizer=tiny)
    monkeypatch.setattr(cache_module, "CODE_VERSION", cache_module.CODE_VERSION + 1)
    assert cache_key("t", "s", recipe=Recipe(kind="span"), tokenizer=tiny) != before


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip_a_byte(folder / "tokens.npy"),
        lambda folder: flip_a_byte(folder / "examples.jsonl"),
        lambda folder: (folder / "label.npy").unlink(),
        lambda folder: (folder / "meta.json").unlink(),
        lambda folder: (folder / "meta.json").write_text("{"),
        lambda folder: (folder / "meta.json").write_text("{}"),
        lambda folder: os.truncate(folder / "offsets.npy", 130),
    ],
)
def test_a_damaged_cache_is_made_again(make, caplog, damage):
    first = make()
    fingerprint = first.fingerprint
    damage(first.path)
    with pytest.raises(Damaged):
        Cache(first.path)
    with caplog.at_level(logging.WARNING):
        again = make()
    assert "is damaged" in caplog.text
    assert again.fingerprint == fingerprint
    assert os.listdir(first.path.parent) == [first.path.name]  # nothing left behind


def test_a_failed_build_leaves_nothing(make, tmp_path):
    bad = [*SENTENCES, Example("bad", ("a", "b"), ("2",))]
    with pytest.raises(UserError, match="example 'bad'"):
        make(examples=bad)
    assert os.listdir(tmp_path) == []


def test_a_build_that_another_process_finished_first_is_used(make, tmp_path):
    def slow():
        make()  # meanwhile, elsewhere
        yield from SENTENCES

    assert list(make(examples=slow()).examples()) == SENTENCES
    assert len(os.listdir(tmp_path)) == 1


def test_an_empty_split_is_told(make, tmp_path):
    with pytest.raises(UserError, match="found no examples"):
        make(examples=[])
    blank = [Example("0", (" ",))]
    with pytest.raises(UserError, match="1 examples, none of which gives a row"):
        make(kind="mlm", examples=blank)
    assert os.listdir(tmp_path) == []


def test_only_a_training_split_skips_misplaced_answers(tmp_path, tiny):
    examples = [
        Example("0", ("who", "the dog"), ("cat",), (4,)),
        Example("1", ("who", "the dog"), ("dog",), (4,)),
    ]
    sizes = {
        split: len(build("qa", split, kind="span", tokenizer=tiny, cache_dir=tmp_path, examples=examples))
        for split in ("train", "validation")
    }
    assert sizes == {"train": 1, "validation": 2}


def test_mappings_are_examples(make):
    rows = ({"id": e.id.encode(), "inputs": e.inputs, "targets": e.targets, "starts": []} for e in SENTENCES)
    assert list(make(examples=rows).examples()) == SENTENCES


def test_meta_is_readable(make, tiny):
    cache = make(data_version="1.2.3")
    meta = json.loads((cache.path / "meta.json").read_text())
    assert (meta["task"], meta["split"], meta["data_version"]) == ("pairs.en", "train", "1.2.3")
    assert meta["vocabulary"]["fingerprint"] == tiny.fingerprint
    assert cache.vocabulary.unmaskable_ids == (0, 1, 2, tiny.mask_id)
    assert cache.path.name.startswith("pairs.en-train-")


def test_training_reads_no_tensorflow():
    code = (
        "import sys, xtreme_stilts.data.loader, xtreme_stilts.data.cache, xtreme_stilts.data.tokenizer;"
        "print([m for m in ('tensorflow', 'seqio', 'transformers', 'torch') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_seqio_tasks_are_read_by_name(tmp_path, tiny):
    """A user's own task in seqio's registry is as good as a packaged one."""
    seqio = pytest.importorskip("seqio")
    tf = pytest.importorskip("tensorflow")

    def source(split, shuffle_files=False, seed=None):
        del shuffle_files, seed
        return tf.data.Dataset.from_tensor_slices({"n": tf.range(3 if split == "train" else 0)})

    def text(row):
        number = tf.strings.as_string(row["n"])
        none = tf.zeros([0], tf.int32)
        return {
            "id": number,
            "inputs": tf.stack(["the dog é", number]),
            "targets": number[None],
            "starts": none,
        }

    feature = {"add_eos": False, "dtype": tf.string}
    vocabulary = seqio.PassThroughVocabulary(1)
    name = f"own_{uuid.uuid4().hex}"
    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(source, splits=("train", "test")),
        preprocessors=[seqio.map_over_dataset(text)],
        output_features={
            "id": seqio.Feature(vocabulary, rank=0, **feature),
            "inputs": seqio.Feature(vocabulary, **feature),
            "targets": seqio.Feature(vocabulary, **feature),
            "starts": seqio.Feature(vocabulary, add_eos=False, dtype=tf.int32),
        },
    )
    arguments = {"kind": "classification", "labels": "012", "tokenizer": tiny, "cache_dir": tmp_path}
    cache = build(name, "train", **arguments)
    assert list(cache.examples()) == [Example(str(i), ("the dog é", str(i)), (str(i),)) for i in range(3)]
    with pytest.raises(UserError, match="no examples"):
        build(name, "test", **arguments)
    with pytest.raises(UserError, match="did you mean 'train'"):
        build(name, "tran", **arguments)
    with pytest.raises(UserError, match=f"did you mean '{name}'"):
        build(name[:-1], "train", **arguments)
