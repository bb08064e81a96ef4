"""Retrieval after a phase: every layer from one pass, which one is reported, thresholds of the validation set."""

from __future__ import annotations

import json
import shutil
import zlib

import jax
import numpy as np
import pytest
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import study, tasks
from xtreme_stilts.data.loader import Shape
from xtreme_stilts.errors import StorageError, UserError
from xtreme_stilts.evaluation import mining, predict, zero_shot
from xtreme_stilts.evaluation.retrieval import Pooled
from xtreme_stilts.graph import plan
from xtreme_stilts.models import Head, Model
from xtreme_stilts.training.sharding import make_mesh

LAYERS, WIDTH, EXAMPLES = 3, 16, 60
EVERY = [Pooled(layer, pooling) for layer in range(LAYERS + 1) for pooling in ("cls", "mean")]
USUAL = Pooled(2, "mean")  # 14/24 of three layers


@pytest.fixture
def tree(cache_dir):
    """A tiny encoder; two languages of both retrieval families, no training."""
    tree = config_lib.default()
    tree.tokenizer, tree.cache_dir = "mini", cache_dir
    model = tree.model
    model.preset, model.width, model.layers, model.heads, model.mlp = "mini", WIDTH, LAYERS, 2, 32
    tree.evaluation.length, tree.evaluation.rows, tree.evaluation.max_examples = 64, 8, EXAMPLES
    tree.retrieval = ("mini_tatoeba", "mini_bucc2018")
    tree.languages = {"mini_tatoeba": ("de", "sw"), "mini_bucc2018": ("de", "sw")}
    return tree


def evaluate(tree, workdir, family):
    """(scores, languages that were evaluated now, the folder of the evaluation)"""
    parsed = config_lib.parse(tree)
    setting = study.prepare(parsed, workdir=epath.Path(workdir))
    (phase,) = [phase for phase in plan(parsed, root=study.root_of(setting)).phases if phase.mixture == family]
    done = []
    scores = zero_shot.evaluate(phase, tasks.family(family), setting=setting, note=done.append)
    return scores, done, setting.folder(phase) / "evaluations" / family


class Encoder:
    """Stands for `embed`: translations have one vector, plus noise of a size given for each layer and pooling."""

    def __init__(self, noise, *, width=WIDTH):
        self.noise, self.width = noise, width
        self.asked = []  # (task, split, pooled) of every pass

    def __call__(self, model, params, *, cache, pooled, rows, **_):
        task, split = cache.meta["task"], cache.meta["split"]
        self.asked.append((task, split, tuple(pooled)))
        examples = list(cache.examples())[: rows or len(cache)]
        return np.stack([self.vectors(task, split, examples, each) for each in pooled])

    def vectors(self, task, split, examples, pooled):
        names = [example.targets[0] if example.targets else example.id for example in examples]
        pair = task.removesuffix("_en")

        def draw(*seed):
            return np.random.default_rng(zlib.crc32(repr(seed).encode())).normal(size=self.width)

        return np.stack(
            [draw(pair, split, name) + self.noise(split, pooled) * draw(task, split, name, pooled) for name in names]
        ).astype(np.float32)


def sides(tree, family, language, split):
    """The examples of both sides as the cache has them: (own, English)."""
    setting = study.prepare(config_lib.parse(tree), workdir=epath.Path("unused"))
    length = tree.evaluation.length
    names = (f"{family}.{language}", f"{family}.{language}_en")
    return [list(setting.cache(name, split, max_length=length).examples())[:EXAMPLES] for name in names]


def scores_of(found, metric, *, language, split="test"):
    return {
        Pooled(each.layer, each.pooling): each.scores[metric]
        for each in found
        if each.language == language and each.split == split and metric in each.scores
    }


def noise_by_layer(split, pooled):
    """Less and less up to layer 1, on the way to which the states of first tokens are worse."""
    return 0.3 + 0.25 * abs(pooled.layer - 1) + 0.1 * (pooled.pooling == "cls")


def test_tatoeba_has_every_layer_in_both_directions(tree, tmp_path, monkeypatch):
    encoder = Encoder(noise_by_layer, width=6)
    monkeypatch.setattr(zero_shot, "embed", encoder)
    found, done, folder = evaluate(tree, tmp_path, "mini_tatoeba")
    assert done == ["de", "sw"]
    assert [asked[0] for asked in encoder.asked] == [f"mini_tatoeba.{code}" for code in ("de", "de_en", "sw", "sw_en")]
    own, english = sides(tree, "mini_tatoeba", "de", "test")
    place = {example.targets[0]: row for row, example in enumerate(own)}
    for pooled in EVERY:
        x = encoder.vectors("mini_tatoeba.de_en", "test", english, pooled).astype(np.float64)
        y = encoder.vectors("mini_tatoeba.de", "test", own, pooled).astype(np.float64)
        cosine = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
        gold = np.asarray([place[example.id] for example in english])
        forward = 100 * np.mean(cosine.argmax(axis=1) == gold)
        reverse = 100 * np.mean(gold[cosine.argmax(axis=0)] == np.arange(len(own)))
        assert scores_of(found, "accuracy_by_layer", language="de")[pooled] == pytest.approx(forward)
        assert scores_of(found, "accuracy_reverse_by_layer", language="de")[pooled] == pytest.approx(reverse)
        if pooled == USUAL:
            assert scores_of(found, "accuracy", language="de") == {USUAL: pytest.approx(forward)}
            assert scores_of(found, "accuracy_reverse", language="de") == {USUAL: pytest.approx(reverse)}
            assert forward != reverse
            lines = [json.loads(line) for line in (folder / "de.jsonl").read_text().splitlines()]
            assert [line["id"] for line in lines] == [example.id for example in english]
            assert [line["prediction"] for line in lines] == [own[j].id for j in cosine.argmax(axis=1)]
            assert [line["target"] for line in lines] == [own[j].id for j in gold]
    assert [(each.layer, each.pooling) for each in found if each.chance is not None] == [USUAL] * 2
    assert evaluate(tree, tmp_path, "mini_tatoeba")[:2] == (found, [])


def expected_mining(tree, encoder, language, pooled, *, duplicates="jiant"):
    """(threshold of validation, its F1, F1 on test, pairs), from the same vectors."""

    def mined(split):
        own, english = sides(tree, "mini_bucc2018", language, split)
        corpora = []
        for task, examples in ((language, own), (f"{language}_en", english)):
            vectors = encoder.vectors(f"mini_bucc2018.{task}", split, examples, pooled)
            texts = [example.inputs[0] for example in examples]
            corpora.append(mining.Corpus([example.id for example in examples], texts, vectors))
        gold = {(example.id, target) for example in own for target in example.targets}
        return mining.mine_pairs(*corpora, duplicates=duplicates), gold

    threshold = mining.fit_threshold(*mined("validation"))
    found, gold = mined("test")
    pairs = found.at_least(threshold.value)
    return threshold, 200 * len(gold & set(pairs)) / (len(gold) + len(set(pairs))), pairs


@pytest.mark.parametrize("duplicates", ["jiant", "xtreme"])
def test_mining_applies_the_threshold_of_validation_to_every_layer(tree, tmp_path, monkeypatch, duplicates):
    encoder = Encoder(noise_by_layer)
    monkeypatch.setattr(zero_shot, "embed", encoder)
    tree.evaluation.duplicates = duplicates
    found, _, folder = evaluate(tree, tmp_path, "mini_bucc2018")
    by_layer = scores_of(found, "f1_by_layer", language="sw")
    assert list(by_layer) == EVERY
    assert len(set(by_layer.values())) > 3
    for pooled in EVERY:
        threshold, f1, pairs = expected_mining(tree, encoder, "sw", pooled, duplicates=duplicates)
        assert by_layer[pooled] == pytest.approx(f1)
        on_validation = scores_of(found, "f1_by_layer", language="sw", split="validation")[pooled]
        assert on_validation == pytest.approx(threshold.f1)
        if pooled == USUAL:
            lines = [json.loads(line) for line in (folder / "sw.jsonl").read_text().splitlines()]
            mined = [line for line in lines if line["mined"]]
            assert [(line["source"], line["target"]) for line in mined] == pairs
            assert {line["threshold"] for line in mined} == {threshold.value}
            # Every gold pair has a line, so the score can be computed from the file alone.
            right, gold = sum(line["gold"] for line in mined), sum(line["gold"] for line in lines)
            assert f1 == pytest.approx(200 * right / (len(mined) + gold))
            assert right < gold
            assert scores_of(found, "f1", language="sw") == {USUAL: pytest.approx(f1)}


def test_one_layer_is_chosen_by_the_mean_over_languages_of_validation(tree, tmp_path, monkeypatch):
    """Layer 1 is best on validation, layer 3 on test: the choice must not see test."""

    def noise(split, pooled):
        best = 1 if split == "validation" else 3
        return 0.3 + 0.3 * abs(pooled.layer - best) + 0.2 * (pooled.pooling == "mean")

    encoder = Encoder(noise)
    monkeypatch.setattr(zero_shot, "embed", encoder)
    tree.evaluation.layer_choice = "dev"
    found, _, folder = evaluate(tree, tmp_path, "mini_bucc2018")
    means = {
        pooled: np.mean([expected_mining(tree, encoder, code, pooled)[0].f1 for code in ("de", "sw")])
        for pooled in EVERY
    }
    best = max(means, key=means.get)
    assert best.layer == 1 and list(means.values()).count(means[best]) == 1
    for code in ("de", "sw"):
        assert list(scores_of(found, "f1", language=code)) == [best]
        assert list(scores_of(found, "f1", language=code, split="validation")) == [best]
        on_test = scores_of(found, "f1_by_layer", language=code)
        assert max(on_test, key=on_test.get).layer == 3
        lines = [json.loads(line) for line in (folder / f"{code}.jsonl").read_text().splitlines()]
        assert sum(line["mined"] for line in lines) == len(expected_mining(tree, encoder, code, best)[2])
    # Four passes a language, two splits of two sides, and none for the choice.
    assert len(encoder.asked) == len(set(encoder.asked)) == 8
    tree.evaluation.layer_choice = "fixed"  # the thresholds are known
    found, done, _ = evaluate(tree, tmp_path, "mini_bucc2018")
    assert done == ["de", "sw"] and {asked[1] for asked in encoder.asked[8:]} == {"test"}
    assert list(scores_of(found, "f1", language="de")) == [USUAL]


def test_tatoeba_reports_the_fixed_layer_whatever_the_choice(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(zero_shot, "embed", Encoder(noise_by_layer))
    tree.evaluation.layer_choice, tree.evaluation.layer, tree.evaluation.pooling = "dev", 3, "cls"
    found, _, _ = evaluate(tree, tmp_path, "mini_tatoeba")
    assert list(scores_of(found, "accuracy", language="de")) == [Pooled(3, "cls")]


@pytest.mark.parametrize(
    ("changes", "on_validation", "on_test"),
    [
        ({}, [USUAL], [USUAL]),
        ({"layers": (0, 3)}, *[[Pooled(0, "cls"), Pooled(0, "mean"), USUAL, Pooled(3, "cls"), Pooled(3, "mean")]] * 2),
        ({"layer_choice": "dev"}, EVERY, [Pooled(1, "mean")]),
    ],
)
def test_large_corpora_are_scored_in_the_reported_layer(tree, tmp_path, monkeypatch, changes, on_validation, on_test):
    encoder = Encoder(noise_by_layer)
    monkeypatch.setattr(zero_shot, "embed", encoder)
    monkeypatch.setattr(zero_shot, "SCRATCH_BYTES", 4 * WIDTH * 2 * EXAMPLES * len(EVERY) - 1)
    tree.languages.mini_bucc2018 = ("de",)
    tree.evaluation.update(changes)
    found, _, _ = evaluate(tree, tmp_path, "mini_bucc2018")
    assert {asked for asked in encoder.asked if asked[1] == "validation"} == {
        (f"mini_bucc2018.{side}", "validation", tuple(on_validation)) for side in ("de", "de_en")
    }
    assert list(scores_of(found, "f1_by_layer", language="de")) == on_test
    assert list(scores_of(found, "f1", language="de")) == [on_test[0] if len(on_test) == 1 else USUAL]


def test_one_pass_embeds_in_every_layer_and_pooling(tree, tmp_path, monkeypatch):
    """Against each sentence encoded in a row of its own, hidden state by hidden state."""
    setting = study.prepare(config_lib.parse(tree), workdir=epath.Path(tmp_path))
    cache = setting.cache("mini_tatoeba.sw", "test", max_length=64)
    model = Model(setting.encoder, {"head": Head(kind="embedding")})
    params = jax.jit(model.init)(jax.random.key(0))
    passes = []
    run = predict.steps_lib.predict_step(model, "head", setting.mesh)
    monkeypatch.setattr(predict.steps_lib, "predict_step", lambda *_: lambda *given: passes.append(1) or run(*given))
    scratch = tmp_path / "scratch"
    vectors = predict.embed(
        model,
        params,
        cache=cache,
        head="head",
        shape=Shape.packed(4, length=64),
        mesh=make_mesh(config_lib.MeshConfig()),
        pooled=[Pooled(3, "cls"), *EVERY],
        scratch=scratch,
        rows=40,
    )
    assert vectors.shape == (1 + len(EVERY), 40, WIDTH) and vectors.dtype == np.float32
    assert not list(scratch.iterdir())  # the file has no name
    assert 0 < len(passes) <= 40 / 4  # no sentence is encoded twice
    checked = (0, 1, 17, 39)
    sentences = [cache.columns["tokens"][cache.offsets[row] : cache.offsets[row + 1]] for row in checked]
    lengths = np.asarray([len(tokens) for tokens in sentences])
    assert len(set(lengths)) > 1
    real = np.arange(64) < lengths[:, None]
    tokens = np.full((4, 64), setting.tokenizer.pad_id, np.int32)
    tokens[real] = np.concatenate(sentences)
    batch = {
        "tokens": tokens,
        "segment_ids": real.astype(np.int32),
        "positions": np.where(real, np.arange(64), 0).astype(np.int32),
        "first": np.zeros((4, 1), np.int32),
    }
    alone = jax.jit(lambda params, batch: model.encode(params, batch, states=(0, 1, 2, 3)))(params, batch)
    for number, (layer, pooling) in enumerate([Pooled(3, "cls"), *EVERY]):
        expected = {"cls": alone.cls, "mean": alone.mean}[pooling][:, 0, layer]
        np.testing.assert_allclose(vectors[number, list(checked)], expected, rtol=1e-4, atol=1e-5)


def test_a_disk_without_room_is_a_sentence(tree, tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(StorageError, match=r"60 sentences in 8 layers .* needs [\d.]+ KB, and 1 KB are free"):
        evaluate(tree, tmp_path, "mini_tatoeba")


@pytest.mark.parametrize(("field", "value"), [("layer", 4), ("layers", (0, 4))])
def test_a_layer_the_encoder_lacks_is_refused_before_anything_runs(tree, tmp_path, field, value):
    tree.evaluation[field] = value
    with pytest.raises(UserError, match=rf"config.evaluation.{field} names hidden state 4; the encoder has 0 .* to 3"):
        study.run(config_lib.parse(tree), workdir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("layers", (1, 1), "config.evaluation.layers is (1, 1)"),
        ("layers", (-1,), "config.evaluation.layers is (-1,)"),
        ("layers", 3, "config.evaluation.layers is 3; it must be a tuple of int"),
        ("layer", -2, "config.evaluation.layer is -2"),
        ("layer_choice", "def", "config.evaluation.layer_choice is 'def'; did you mean 'dev'"),
        ("duplicates", "extreme", "config.evaluation.duplicates is 'extreme'; did you mean 'xtreme'"),
        ("max_examples", -1, "config.evaluation.max_examples is -1"),
    ],
)
def test_bad_fields(tree, field, value, sentence):
    tree.evaluation[field] = value
    with pytest.raises(UserError) as caught:
        config_lib.parse(tree)
    assert sentence in str(caught.value)
