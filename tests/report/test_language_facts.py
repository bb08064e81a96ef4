"""Facts of languages, each with its source, and fertility measured on caches."""

from __future__ import annotations

import json
import pathlib

import pytest

from xtreme_stilts.data import cache as cache_lib
from xtreme_stilts.data.features import Limits
from xtreme_stilts.data.tokenizer import load_tokenizer
from xtreme_stilts.errors import UserError
from xtreme_stilts.report import language_facts
from xtreme_stilts.report.fertility import fertility
from xtreme_stilts.report.language_facts import corpus_of, facts, pretraining_sizes, pretraining_table
from xtreme_stilts.tasks.languages import LANGUAGES


def test_every_size_has_a_source_and_stands_once():
    table = pretraining_table()
    assert set(table["corpus"]) == set(language_facts.CORPORA)
    assert not table.duplicated(["corpus", "language"]).any()
    assert (table["gib"] > 0).all()
    assert (table["source"].str.len() > 20).all() and table["source"].str.contains("revision").all()
    assert set(table["language"]) <= set(LANGUAGES)


def test_sizes_are_those_of_the_sources():
    # XLM-R paper, table 6: a few of its lines, and those of which it has two.
    assert {code: pretraining_sizes("cc100")[code] for code in ("en", "sw", "ru")} == {
        "en": 300.8,
        "sw": 1.6,
        "ru": 278,
    }
    assert pretraining_sizes("cc100")["zh"] == 46.9 + 16.6
    assert "yo" not in pretraining_sizes("cc100")  # XLM-R never saw Yoruba
    assert pretraining_sizes("wikipedia")["sw"] == pytest.approx(35_200_761 / 2**30, abs=5e-4)
    with pytest.raises(UserError, match="did you mean 'cc100'"):
        pretraining_sizes("cc10")


@pytest.mark.parametrize(
    ("code", "script", "family"),
    [
        ("de", "latin", "IE: Germanic"),
        ("zh", "cjk", "Sino-Tibetan"),
        ("ace_Arab", "arabic", None),
        ("zho_Hant", "Hant", None),
        ("de_en", None, None),
        ("xx", None, None),
    ],
)
def test_script_and_family(code, script, family):
    assert facts(code) == (script, family)


@pytest.mark.parametrize(
    ("model", "config", "corpus"),
    [
        ("XLM-R Large", {}, "cc100"),
        ("large", {"model": {"weights": "weights/xlm-roberta-large"}}, "cc100"),
        ("bert-base-multilingual-cased", {"model": {"weights": "x"}}, "wikipedia"),
        ("bert-base-cased", {}, None),
        ("mini", {}, None),
        ("xlm-roberta-base", {"model": {"preset": "xlm-roberta-base", "weights": ""}}, None),  # a random start
        ("XLM-R Large", {"model": "large"}, "cc100"),
    ],
)
def test_the_corpus_of_an_encoder(model, config, corpus):
    assert corpus_of(model, config) == corpus


# --------------------------------------------------------------------------------------------------
# Fertility

TEXTS = {
    "mini_tatoeba.de": [("Das Mädchen las 7 Briefe.", "The girl read 7 letters."), ("Anna  lachte.", "Anna laughed.")],
    "mini_xnli.de": [("Die Frau weinte.", "Sie lachte am Montag in Madrid.")],
    "mini_tatoeba.zh": [("老师 喝水。", "The teacher drank water.")],
}


def build(
    folder: pathlib.Path, task: str, texts, *, kind: str = "embedding", split: str = "test", max_length: int = 64
):
    examples = [{"id": str(n), "inputs": list(inputs), "targets": [], "starts": []} for n, inputs in enumerate(texts)]
    return cache_lib.build(
        task,
        split,
        kind=kind,
        labels=("a", "b") if kind in ("classification", "tagging") else (),
        tokenizer=load_tokenizer("mini"),
        cache_dir=folder,
        limits=Limits(max_length=max_length),
        examples=examples,
    )


def subwords(*texts: str) -> int:
    return int(load_tokenizer("mini").encode(texts).lengths.sum())


def test_fertility_is_subwords_per_word(tmp_path):
    for task, texts in TEXTS.items():
        build(tmp_path, task, texts, kind="classification" if "xnli" in task else "embedding")
    build(tmp_path, "mini_xnli.de", [("nicht gezählt", "gar nicht")], kind="classification", split="validation")
    build(tmp_path, "mini_tatoeba.de_en", [("The English side.",)])
    build(tmp_path, "mini_udpos.de", [("Die", "Frau", ".")], kind="tagging")
    found = fertility(tmp_path, languages={"de", "zh", "sw"})
    assert list(found) == ["de", "zh"]
    german = [TEXTS["mini_tatoeba.de"][0][0], TEXTS["mini_tatoeba.de"][1][0], *TEXTS["mini_xnli.de"][0]]
    assert found["de"] == (subwords(*german), 5 + 2 + 3 + 6, False)
    assert found["zh"] == (subwords("老师 喝水。"), 5, True)
    assert found["de"].value == found["de"].subwords / 16


@pytest.mark.parametrize("language", ["ja", "th", "my", "yue_Hant", "lao_Laoo"])
def test_languages_without_spaces_are_measured_by_character(tmp_path, language):
    build(tmp_path, f"mini_tatoeba.{language}", [("ab cd",)])
    assert fertility(tmp_path, languages={language})[language] == (subwords("ab cd"), 4, True)


def test_rows_that_may_be_cut_do_not_count(tmp_path):
    long, short = "Die Frau weinte am Montag in Ankara und Madrid.", "Anna lachte."
    assert subwords(short) < 8 < subwords(long)
    build(tmp_path, "mini_tatoeba.de", [(long,), (short,)], max_length=10)
    assert fertility(tmp_path, languages={"de"})["de"] == (subwords(short), 2, False)


def test_tagging_is_measured_where_there_is_nothing_else(tmp_path):
    build(tmp_path, "mini_udpos.de", [("Die", "Frau", "weinte", ".")] * 2, kind="tagging")
    assert fertility(tmp_path, languages={"de"})["de"] == (2 * subwords("Die", "Frau", "weinte", "."), 8, False)


def test_what_was_measured_is_remembered(tmp_path):
    cache = build(tmp_path / "cache", "mini_tatoeba.de", TEXTS["mini_tatoeba.de"])
    kept = tmp_path / "report" / "fertility.json"
    first = fertility(tmp_path / "cache", languages={"de"}, remembered=kept)
    assert json.loads(kept.read_text()) == {cache.path.name: [first["de"].subwords, first["de"].units]}
    kept.write_text(json.dumps({cache.path.name: [30, 10]}))
    assert fertility(tmp_path / "cache", languages={"de"}, remembered=kept)["de"].value == 3.0
    kept.write_text("[1")
    assert fertility(tmp_path / "cache", languages={"de"}, remembered=kept) == first


def test_caches_that_are_missing_damaged_or_of_two_tokenizers(tmp_path):
    assert fertility(tmp_path / "nowhere", languages={"de"}) == {}
    cache = build(tmp_path, "mini_tatoeba.de", TEXTS["mini_tatoeba.de"])
    other = build(tmp_path, "mini_tatoeba.sw", [("Anna alicheka.",)])
    (cache.path / "tokens.npy").write_bytes(b"x")
    assert list(fertility(tmp_path, languages={"de", "sw"})) == ["sw"]
    meta = json.loads((other.path / "meta.json").read_text())
    meta["vocabulary"]["fingerprint"] = "another"
    (other.path / "meta.json").write_text(json.dumps(meta))
    assert fertility(tmp_path, languages={"de", "sw"}) == {}
    (cache.path / "meta.json").write_text("[]")
    assert fertility(tmp_path, languages={"de"}) == {}
