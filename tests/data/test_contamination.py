"""Overlap of training and evaluation text: by hand, against brute force, on the miniature and on real data."""

from __future__ import annotations

import json
import random

import pytest

from xtreme_stilts import contamination as verb
from xtreme_stilts import tasks
from xtreme_stilts.data import contamination
from xtreme_stilts.data.contamination import GRAM, SHORT, Example, Source, compare, parts, units
from xtreme_stilts.errors import UserError

TRAIN, TEST = Source("a.en", "train"), Source("b.en", "test")


def overlap(train, evaluation, *, kind="classification"):
    """The overlap of two lists of examples, each a list of input texts; ids are row numbers."""
    texts = {TRAIN: train, TEST: evaluation}

    def read(source):
        return [Example(str(row), tuple(parts(inputs, kind=kind))) for row, inputs in enumerate(texts[source])]

    (found,) = compare([TRAIN], [TEST], read=read).overlaps
    return found


def words(count, *, word="w"):
    return " ".join(f"{word}{number}" for number in range(count))


def test_texts_that_differ_in_case_punctuation_and_width_are_exact():
    evaluation = [["The  ﬁrst “Straße”, of 2024: it’s HERE!"], ["Something else was said by nobody else."]]
    found = overlap([["THE FIRST STRASSE of ２０２４ - it's here"]], evaluation)
    (part,) = found.parts
    assert (part.part, part.texts, part.exact, part.near) == ("text", 2, 1, 0)
    assert (found.affected, found.ids, found.examples) == (1, ("0",), 2)
    assert part.covered == pytest.approx(100 * 8 / 15)  # 8 of the words are in the exact text, 7 in the other


@pytest.mark.parametrize(("shared", "near"), [(GRAM - 1, 0), (GRAM, 1), (GRAM + 4, 1)])
def test_thirteen_shared_words_are_near_twelve_are_not(shared, near):
    seen = f"{words(4, word='x')} {words(shared)} {words(9, word='y')}"
    asked = f"{words(3, word='p')} {words(shared)} {words(20 - shared, word='q')}"
    (part,) = overlap([[seen]], [[asked]]).parts
    assert (part.exact, part.near) == (0, near)
    assert part.covered == pytest.approx(100 * shared / 23 if near else 0)


HAN = "免疫系统不如正常状态活跃时会导致疾病复发和危及生命的感染对人类来说"
THAI = "ระบบภูมิคุ้มกันของมนุษย์ไม่ดีเท่าที่ควรจะเป็นและเกิดโรคต่างๆในร่างกายของเรา"  # nothing NFKC changes


@pytest.mark.parametrize(("text", "needed"), [(HAN, 26), (THAI, 52)], ids=["han", "thai"])
def test_without_spaces_characters_are_counted(text, needed):
    """A Han character is half a word and a Thai one a quarter, so 26 and 52 make a gram."""
    assert len(text) > needed and not any(char.isspace() for char in text)
    tail = text[::-1][:30]
    for shared, near in ((needed - 1, 0), (needed, 1)):
        (part,) = overlap([[text[:shared]]], [[f"{tail}。{text[:shared]}？{tail}"]]).parts
        assert (part.exact, part.near) == (0, near)
    (part,) = overlap([[" ".join(text)]], [[text]]).parts
    assert part.exact == 1


def test_a_gram_does_not_cross_from_one_text_into_the_next():
    first, second = words(7), words(7, word="v")
    found = overlap([[f"{first} {second}"]], [[first, second]])
    assert found.affected == 0


def test_a_short_text_counts_only_with_its_partner():
    premise, short = words(8), "He did not."
    train = [[words(9, word="x"), short], ["She sleeps now.", "She is not awake."]]
    evaluation = [
        [premise, short],  # the hypothesis is shared by chance
        ["She is not awake!", "she sleeps now"],  # the whole pair was seen, the other way round
        ["She sleeps now.", "She is at home."],  # half of it
        ["Yes.", "No."],  # too short even together
    ]
    found = overlap(train, evaluation)
    assert {part.part: (part.texts, part.exact) for part in found.parts} == {"first text": (1, 0), "together": (2, 1)}
    assert (found.affected, found.ids, found.short) == (1, ("1",), 1)


def test_a_single_short_text_is_too_short_to_tell():
    found = overlap([["Thank you."]], [["Thank you!"], [words(SHORT)]])
    assert (found.affected, found.short, found.parts[0].texts) == (0, 1, 1)


def test_parts_of_every_kind():
    question, context = "who " + words(6), words(30, word="c")
    found = overlap(
        [["other " + words(6, word="o"), context]], [[question, context], [question + " else", context]], kind="span"
    )
    assert {part.part: (part.texts, part.exact) for part in found.parts} == {"question": (2, 0), "context": (1, 1)}
    assert found.affected == 2
    assert [part.name for part in parts(["a", "b", "c"], kind="choice")] == ["context", "choice", "choice"]
    assert parts(["Two", "words"], kind="tagging") == [("sentence", "Two words")]


def test_marks_belong_to_their_letters():
    assert units("हिन्दी में!") == ("हिन्दी", "में")
    assert units("don't stop_now") == ("don", "t", "stop", "now")
    assert units("JAX是库") == ("jax", "是", "库")


def brute_force(train, evaluation):
    """(exact, near, covered words) by sets of tuples."""
    grams = {tuple(text[i : i + GRAM]) for text in train for i in range(len(text) - GRAM + 1)}
    exact = near = covered = 0
    for text in {tuple(text) for text in evaluation}:
        if text in {tuple(each) for each in train}:
            exact, covered = exact + 1, covered + len(text)
            continue
        inside = set()
        for i in range(len(text) - GRAM + 1):
            if text[i : i + GRAM] in grams:
                inside |= set(range(i, i + GRAM))
        near, covered = near + bool(inside), covered + len(inside)
    return exact, near, covered


@pytest.mark.parametrize("seed", range(5))
def test_random_texts_agree_with_brute_force(seed):
    rng = random.Random(seed)

    def text(source=None):
        made = [rng.choice("abcdefgh") for _ in range(rng.randint(SHORT, 60))]
        if source:  # a piece of another text, of about the length that decides
            piece = rng.choice(source)
            begin = rng.randrange(len(piece))
            at = rng.randrange(len(made))
            made[at:at] = piece[begin : begin + rng.randint(GRAM - 3, GRAM + 6)]
        return made

    train = [text() for _ in range(150)]
    evaluation = [text(train) for _ in range(120)] + rng.sample(train, 7)
    (part,) = overlap([[" ".join(each)] for each in train], [[" ".join(each)] for each in evaluation]).parts
    exact, near, covered = brute_force(train, evaluation)
    assert exact >= 7 and 10 < near < 110
    assert (part.exact, part.near) == (exact, near)
    total = sum(map(len, {tuple(each) for each in evaluation}))
    assert part.covered == pytest.approx(100 * covered / total)


def test_several_sources_do_not_mix_and_a_missing_one_is_named():
    text = {name: words(20, word=name) for name in "uvw"}
    rows = {
        Source("t1", "train"): "u",
        Source("t2", "train"): "v",
        Source("e1", "test"): "vw",
        Source("e2", "test"): "u",
    }

    def read(source):
        if source not in rows:
            raise UserError(f"{source} is not here")
        return [Example(name, tuple(parts([text[name]], kind="mlm"))) for name in rows[source]]

    gone = Source("gone", "train")
    report = compare([gone, *list(rows)[:2], gone], list(rows)[2:], read=read)
    affected = {(found.train.task, found.evaluation.task): found.ids for found in report.overlaps}
    assert affected == {("t1", "e1"): (), ("t1", "e2"): ("u",), ("t2", "e1"): ("v",), ("t2", "e2"): ()}
    assert [(each.source, each.reason) for each in report.unavailable] == [(gone, "gone:train is not here")]
    plain = json.loads(json.dumps(contamination.to_json(report)))
    assert plain["overlaps"][1]["train"] == {"task": "t1", "split": "train"}
    assert plain["unavailable"] == [{"task": "gone", "split": "train", "reason": "gone:train is not here"}]


def test_nothing_to_train_on_or_to_evaluate():
    report = compare([TRAIN], [TEST], read=lambda source: [])
    (found,) = report.overlaps
    assert (found.examples, found.affected, found.parts, report.found) == (0, 0, (), ())


# --------------------------------------------------------------------------------------------------
# The command


@pytest.fixture
def restored():
    before = tasks.settings()
    yield
    tasks.configure(data_dir=before.data_dir, download=before.download, text_dir=before.text_dir)


def run(*arguments):
    return verb.main(["contamination", *map(str, arguments)])


_SIDES = ("train", "evaluation")
CONFIG = """
from xtreme_stilts import config as config_lib

def get_config(arg=None):
    config = config_lib.default()
    config.mixtures = {"contamination_pair": ("mini_squad_v1", "mnli")}
    config.intermediates = {"none": (), "pair": ("contamination_pair",)}
    config.targets, config.retrieval = ("mini_udpos",), ("mini_tatoeba",)
    config.languages = {"mini_udpos": ("en", "tr"), "mini_tatoeba": ("de",)}
    return config
"""


@pytest.mark.usefixtures("restored")
def test_a_study_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "study.py").write_text(CONFIG)
    monkeypatch.setattr(tasks.registry, "_mixtures", dict(tasks.registry._mixtures))
    status = run(f"--config={tmp_path}/study.py", f"--config.data_dir={tmp_path}", f"--json={tmp_path}/out.json")
    printed = capsys.readouterr().out
    assert status == 0, printed
    report = json.loads((tmp_path / "out.json").read_text())
    named = [[f"{each[side]['task']}:{each[side]['split']}" for side in _SIDES] for each in report["overlaps"]]
    trains = {f"mini_{name}.en:{split}" for name in ("squad_v1", "udpos") for split in ("train", "validation")}
    scored = {"mini_udpos.en:test", "mini_udpos.tr:test", "mini_tatoeba.de:test", "mini_tatoeba.de_en:test"}
    assert sorted(named) == sorted([train, evaluation] for train in trains for evaluation in scored)
    missing = [(each["task"], each["split"]) for each in report["unavailable"]]
    assert missing == [("mnli.en", "train"), ("mnli.en", "validation")]
    assert "Training data" in printed and "Selection data" in printed
    assert "mnli:train (en): task 'mnli.en' needs the TensorFlow data set multi_nli:1.1.0" in printed
    # Compared without hashes: sentences of five words or more that are a question or a context.
    train = {units(text) for each in _examples("mini_squad_v1.en", "train") for text in each["inputs"]}
    test = {units(" ".join(each["inputs"])) for each in _examples("mini_udpos.en", "test")}
    (found,) = [
        overlap
        for overlap, sides in zip(report["overlaps"], named, strict=True)
        if sides == ["mini_squad_v1.en:train", "mini_udpos.en:test"]
    ]
    assert found["parts"][0]["exact"] == sum(len(text) >= SHORT for text in train & test) > 0


def _examples(name, split):
    from xtreme_stilts.tasks import seqio_tasks

    return seqio_tasks.examples(name, split)


@pytest.mark.usefixtures("restored")
def test_a_split_with_itself_and_nothing_found(capsys):
    assert run("--train=mini_tatoeba.de:test", "--evaluate=mini_tatoeba.de") == 0
    same = capsys.readouterr().out
    assert "mini_tatoeba.de:test" in same and "100.0 %" in same
    assert run("--train=mini_tatoeba.de:test", "--evaluate=mini_tatoeba.zh:test") == 0
    other = capsys.readouterr().out
    assert "no overlap:\n  mini_tatoeba.de:test: mini_tatoeba:test (zh)" in other and "affected" not in other


@pytest.mark.usefixtures("restored")
def test_nothing_available_is_said(tmp_path, capsys):
    assert run("--train=squad_v1", "--evaluate=xquad", f"--data_dir={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert "squad_v1:train (en): task 'squad_v1.en' needs" in printed
    assert "xquad:test (en es de el ru tr ar vi th zh hi)" in printed and "Nothing was compared" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "nothing to compare: give --config=FILE, or --train=NAME and --evaluate=NAME"),
        (("--train=squad_v1",), "nothing to compare"),
        (("--train=squad_v3", "--evaluate=xquad"), "did you mean 'squad_v2'"),
        (("--train=squad_v1", "--evaluate=xqad"), "did you mean 'xquad'"),
        (("--train=squad_v1:dev", "--evaluate=xquad"), "task 'squad_v1.en' has no split 'dev'"),
        (("--trian=x",), "train"),
        (("word",), "unexpected argument 'word'"),
        (("--config=no/such.py",), "no/such.py"),
    ],
)
@pytest.mark.usefixtures("restored")
def test_bad_input_is_a_sentence(arguments, sentence, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and sentence in error


@pytest.mark.usefixtures("restored")
def test_xquad_is_made_of_squads_validation_paragraphs(shared_data):
    """XQuAD is 240 paragraphs and 1,190 questions of SQuAD v1.1's development set (Artetxe et al. 2020)."""
    tasks.configure(data_dir=str(shared_data / "tfds"))
    report = compare([Source("squad_v1.en", "validation")], [Source("xquad.en", "test"), Source("xquad.zh", "test")])
    english, chinese = report.overlaps
    question, context = english.parts
    assert (english.examples, english.affected) == (1190, 1190)
    assert (context.part, context.texts, context.exact) == ("context", 240, 240)
    assert (question.part, question.texts) == ("question", question.exact)
    assert chinese.affected == 0
