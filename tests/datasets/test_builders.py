"""The builders: what they read from real and made-up files of each release's format, and what they say of bad ones."""

import collections
import csv
import io
import json
import logging
import subprocess
import sys
import tarfile
import zipfile

import pytest

from xtreme_stilts import datasets
from xtreme_stilts.errors import UserError


def by_id(rows, name="id"):
    found = {row[name]: row for row in rows}
    assert len(found) == len(rows)
    return found


def json_lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# --------------------------------------------------------------------------------------------------
# The list


def test_listing_the_builders_does_not_import_tensorflow():
    code = "import sys, xtreme_stilts.datasets as d; d.where_to_get('siqa'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_builders_are_known_to_tfds_under_their_names():
    import tensorflow_datasets as tfds

    for name, builder in datasets.load_builders().items():
        assert builder.name == name
        assert tfds.builder_cls(name) is builder
        assert f"<manual_dir>/{name}/" in datasets.where_to_get(name)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UserError, match=r"no builder 'xkopa'.*did you mean 'xcopa'\?"):
        datasets.builder_class("xkopa")
    with pytest.raises(UserError, match="no builder 'sib'"):
        datasets.where_to_get("sib")


@pytest.mark.parametrize(
    ("name", "number", "some"),
    [
        ("bucc2018", 4, "zh"),
        ("commonsense_qa", 2, "v1.0"),
        ("mlqa_pairs", 49, "en_zh"),
        ("sib200", 205, "quy_Latn"),
        ("tweet_sentiment", 8, "hi"),
        ("xcopa", 11, "qu"),
        ("xstory_cloze", 11, "my"),
    ],
)
def test_configs(name, number, some):
    configs = list(datasets.builder_class(name).builder_configs)
    assert len(configs) == number
    assert some in configs
    assert len({config.lower() for config in configs}) == number  # also on file systems that ignore case
    if name == "commonsense_qa":
        assert configs[0] == "v1.11"  # the default


def test_checksums_cover_the_whole_release(tmp_path):
    for name in ("sib200", "xcopa"):
        builder_class = datasets.builder_class(name)
        config = list(builder_class.builder_configs)[-1]
        files = builder_class(config=config, data_dir=tmp_path).files()
        assert {file.url for roles in files.values() for file in roles.values()} <= set(builder_class.url_infos)


# --------------------------------------------------------------------------------------------------
# Real rows


def test_commonsense_qa_v1_0(shared_data, prepare, caplog):
    with caplog.at_level(logging.WARNING):
        splits = prepare("commonsense_qa/v1.0", shared_data / "raw")
    assert "checksum" not in caplog.text and "differs" not in caplog.text  # these are the release's own bytes
    assert splits.counts == {"train": 7610, "validation": 950, "test": 940}
    for split, name in (("validation", "dev_rand_split"), ("test", "test_rand_split_no_answers")):
        rows = by_id(splits[split])
        lines = (shared_data / f"raw/commonsense_qa/v1.0/{name}.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == len(rows)
        for given in map(json.loads, lines):
            choices = given["question"]["choices"]
            assert rows[given["id"]] == {
                "id": given["id"],
                "question": given["question"]["stem"],
                "choices": {part: [choice[part] for choice in choices] for part in ("label", "text")},
                "answerKey": given.get("answerKey", ""),
            }


def test_commonsense_qa_rows_suit_the_converter(prepare, write):
    import tensorflow as tf

    from xtreme_stilts.tasks import choices

    splits = prepare("commonsense_qa", write(commonsense_qa_files()))
    (row,) = splits["train"]
    converted = choices.commonsense_qa(tf.nest.map_structure(tf.constant, row, expand_composites=True), "en")
    assert converted["inputs"].shape == (6,)
    assert converted["targets"].numpy().tolist() == [b"3"]  # D


def test_siqa(shared_data, prepare):
    splits = prepare("siqa", shared_data / "raw")
    assert splits.counts == {"train": 33410, "validation": 1954}
    labels = (shared_data / "raw/siqa/dev-labels.lst").read_text().split()
    lines = (shared_data / "raw/siqa/dev.jsonl").read_text("utf-8").splitlines()
    given = [json.loads(line) | {"label": label} for line, label in zip(lines, labels, strict=True)]
    assert multiset(given) == multiset(splits["validation"])


def multiset(rows):
    return collections.Counter(json.dumps(row, sort_keys=True) for row in rows)


def test_xcopa(shared_data, prepare):
    splits = prepare("xcopa/qu", shared_data / "raw")
    for split, part, number in (("validation", "val", 100), ("test", "test", 500)):
        lines = (shared_data / f"raw/xcopa/qu/{part}.qu.jsonl").read_text("utf-8").splitlines()
        given = [json.loads(line) for line in lines]
        assert len(splits[split]) == len(given) == number
        rows = by_id(splits[split], "idx")
        for row in given:
            del row["changed"]
            assert rows[row["idx"]] == row


def test_sib200(shared_data, prepare):
    splits = prepare("sib200/eng_Latn", shared_data / "raw")
    for split, part, number in (("train", "train", 701), ("validation", "dev", 99), ("test", "test", 204)):
        with open(shared_data / f"raw/sib200/eng_Latn/{part}.tsv", encoding="utf-8", newline="") as file:
            given = {row.pop("index_id"): row for row in csv.DictReader(file, delimiter="\t")}
        rows = by_id(splits[split])
        assert len(rows) == number
        assert {name: {"category": row["category"], "text": row["text"]} for name, row in rows.items()} == given


def test_bucc2018_under_xtremes_names(shared_data, prepare):
    folder = shared_data / "raw/bucc2018_from_sib200"
    splits = prepare("bucc2018/zh", folder)
    for split, part, number, pairs in (("validation", "dev", 188, 75), ("test", "test", 439, 175)):
        for side, rows in (("zh", splits[split]), ("en", splits[f"{split}_en"])):
            lines = (folder / f"zh-en.{part}.{side}").read_text("utf-8").splitlines()
            assert len(lines) == number
            assert {f"{row['id']}\t{row['text']}" for row in rows} == set(lines)
        gold = set((folder / f"zh-en.{part}.gold").read_text("utf-8").splitlines())
        assert len(gold) == pairs
        assert {f"{row['id']}\t{other}" for row in splits[split] for other in row["counterparts"]} == gold
        assert not any(row["counterparts"] for row in splits[f"{split}_en"])


# --------------------------------------------------------------------------------------------------
# Made-up rows in the releases' formats


def commonsense_qa_files():
    choices = [{"label": label, "text": f"choice {label}"} for label in "ABCDE"]
    question = {"question_concept": "tea", "choices": choices, "stem": "Where is tea drunk?"}
    rows = {"id": "0a1b", "question": question}
    return {
        "commonsense_qa/v1.11/train_rand_split.jsonl": json_lines({"answerKey": "D", **rows}),
        "commonsense_qa/v1.11/dev_rand_split.jsonl": json_lines({"answerKey": "A", **rows}),
        "commonsense_qa/v1.11/test_rand_split_no_answers.jsonl": json_lines(rows),
    }


def test_commonsense_qa_v1_11(prepare, write):
    splits = prepare("commonsense_qa/v1.11", write(commonsense_qa_files()))
    answers = {split: [row["answerKey"] for row in splits[split]] for split in splits.counts}
    assert answers == {"train": ["D"], "validation": ["A"], "test": [""]}
    assert splits["test"][0]["choices"] == {"label": list("ABCDE"), "text": [f"choice {label}" for label in "ABCDE"]}


def bucc_files(folder, parts=("sample", "training")):
    files = {}
    for part in parts:
        files |= {
            f"{folder}fr-en.{part}.fr": "fr-1\tUne maison.\nfr-2\tDeux.\nfr-3\tTrois chats.\n",
            f"{folder}fr-en.{part}.en": "en-1\tThree cats.\nen-2\tA house.\nen-3\tThree of the cats.\n",
            f"{folder}fr-en.{part}.gold": "fr-3\ten-1\nfr-1\ten-2\nfr-3\ten-3\nfr-1\ten-2\n",
        }
    return files


@pytest.mark.parametrize("folder", ["", "bucc2018/", "bucc2018/fr-en/", "bucc2018/bucc2018/fr-en/"])
def test_bucc2018_under_the_releases_names(folder, prepare, write):
    # The release's own test set, even with a gold file, must not be taken for what XTREME calls "test".
    own_test = {"fr": "fr-9\tNeuf.\n", "en": "en-9\tNine.\n", "gold": "fr-9\ten-9\n"}
    own_test = {f"{folder}fr-en.test.{ending}": content for ending, content in own_test.items()}
    splits = prepare("bucc2018/fr", write(bucc_files(folder) | own_test))
    assert splits.counts == {"validation": 3, "validation_en": 3, "test": 3, "test_en": 3}
    own = by_id(splits["test"])
    assert {name: row["counterparts"] for name, row in own.items()} == {
        "fr-1": ["en-2"],
        "fr-2": [],
        "fr-3": ["en-1", "en-3"],
    }
    assert own["fr-1"]["text"] == "Une maison."


_AUTO = r"""ID=wsj_{n}.1 PARSER=GOLD NUMPARSE=1
(<T S[dcl] 0 2> (<T NP 0 1> (<L N NNP NNP Mary N>) ) (<T S[dcl]\NP 0 2> (<L (S[dcl]\NP)/NP VBZ VBZ sees (S[dcl]\NP_1)/NP_2>) (<T NP 0 2> (<L NP LRB LRB -LRB- NP>) (<L N NNP NNP A>B N>) ) ) )
ID=wsj_{n}.2 PARSER=GOLD NUMPARSE=1
(<T S[dcl] 0 2> (<L NP PRP PRP It NP>) (<L , , , , ,>) )
"""  # noqa: E501


def ccgbank_files():
    return {f"ccgbank/AUTO/{n:02d}/wsj_{n:02d}01.auto": _AUTO.replace("{n}", f"{n:02d}01") for n in range(25)}


def test_ccgbank(prepare, write):
    splits = prepare("ccgbank", write(ccgbank_files()))
    train = by_id(splits["train"])
    assert set(train) == {f"wsj_{n:02d}01.{k}" for n in range(2, 22) for k in (1, 2)}
    assert set(by_id(splits["validation"])) == {"wsj_0001.1", "wsj_0001.2"}
    assert set(by_id(splits["test"])) == {"wsj_2301.1", "wsj_2301.2"}
    first = train["wsj_0201.1"]
    assert first["tokens"] == ["Mary", "sees", "-LRB-", "A>B"]
    assert first["tags"] == ["N", r"(S[dcl]\NP)/NP", "NP", "N"]
    assert train["wsj_0201.2"]["tags"] == ["NP", ","]


def tweet_files():
    files = {}
    for part in ("train", "val", "test"):
        files[f"tweet_sentiment/hindi/{part}_text.txt"] = f"अच्छा {part} \u2028 @user\nhttp बुरा\n"
        files[f"tweet_sentiment/hindi/{part}_labels.txt"] = "2\n0"
    return files


def test_tweet_sentiment(prepare, write):
    splits = prepare("tweet_sentiment/hi", write(tweet_files()))
    assert set(splits.counts) == {"train", "validation", "test"}
    rows = by_id(splits["validation"])
    assert rows["1"] == {"id": "1", "text": "अच्छा val \u2028 @user", "label": 2}
    assert rows["2"] == {"id": "2", "text": "http बुरा", "label": 0}


_IOB2 = (
    "###MEDLINE:95369245\n\nIL-2\tB-DNA\ngene\tI-DNA\nexpression\tO\n\n"
    "NF-kappa B\tB-protein\n.\tO\n\n###MEDLINE:2\n\nx\tO\n"
)


def test_jnlpba(prepare, write):
    splits = prepare("jnlpba", write({"jnlpba/Genia4ERtask1.iob2": _IOB2, "jnlpba/Genia4EReval1.iob2": "a\tO\n"}))
    rows = by_id(splits["train"])
    assert [rows[name]["tokens"] for name in "012"] == [["IL-2", "gene", "expression"], ["NF-kappa B", "."], ["x"]]
    assert [rows[name]["tags"] for name in "012"] == [["B-DNA", "I-DNA", "O"], ["B-protein", "O"], ["O"]]
    assert len(splits["test"]) == 1


_STORY_HEADER = (
    "InputStoryid\tInputSentence1\tInputSentence2\tInputSentence3\tInputSentence4\t"
    "RandomFifthSentenceQuiz1\tRandomFifthSentenceQuiz2\tAnswerRightEnding\n"
)


def story_files(*rows):
    files = {}
    for part in ("train", "eval"):
        files[f"xstory_cloze/spring2016.val.sw.tsv.split_20_80_{part}.tsv"] = _STORY_HEADER + "".join(rows)
    return files


def test_xstory_cloze(prepare, write):
    first = 'a-1\tMoja.\t"""Mbili"", alisema."\tTatu.\tNne.\tTano.\tSita.\t2\n'
    splits = prepare("xstory_cloze/sw", write(story_files(first, "a-2\ta\tb\tc\td\te\tf\t1\n")))
    assert set(splits.counts) == {"train", "test"}
    rows = by_id(splits["test"])
    assert rows["a-1"] == {
        "id": "a-1", "sentence1": "Moja.", "sentence2": '"Mbili", alisema.', "sentence3": "Tatu.", "sentence4": "Nne.",
        "ending1": "Tano.", "ending2": "Sita.", "label": 1,
    }  # fmt: skip
    assert rows["a-2"]["label"] == 0


def squad_file(*ids):
    asked = [
        {
            "id": name,
            "question": "Wer?",
            "answers": [{"text": "الملك", "answer_start": 4}, {"text": "ملك", "answer_start": 6}],
        }
        for name in ids
    ]
    return json.dumps(
        {"version": 1.1, "data": [{"title": "König", "paragraphs": [{"context": "هذا الملك", "qas": asked}]}]}
    )


def mlqa_files(*ids):
    return {
        f"mlqa_pairs/MLQA_V1/{part}/{part}-context-ar-question-de.json": squad_file(*ids) for part in ("dev", "test")
    }


def test_mlqa_pairs(prepare, write):
    splits = prepare("mlqa_pairs/ar_de", write(mlqa_files("q1", "q2")))
    assert set(splits.counts) == {"validation", "test"}
    rows = by_id(splits["test"])
    assert rows["q2"] == {
        "id": "q2",
        "title": "König",
        "context": "هذا الملك",
        "question": "Wer?",
        "answers": {"text": ["الملك", "ملك"], "answer_start": [4, 6]},
    }


# --------------------------------------------------------------------------------------------------
# Where files come from


def siqa_files():
    row = {"context": "A met B.", "question": "Why?", "answerA": "x", "answerB": "y", "answerC": "z"}
    return {
        "train.jsonl": json_lines(row, row),
        "train-labels.lst": "1\n3\n",
        "dev.jsonl": json_lines(row),
        "dev-labels.lst": "2\n",
    }


def test_the_packed_release_is_unpacked(prepare, write):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in siqa_files().items():
            archive.writestr(f"socialiqa-train-dev/{name}", content)
    splits = prepare("siqa", write({"siqa/socialiqa-train-dev.zip": packed.getvalue()}))
    assert sorted(row["label"] for row in splits["train"]) == ["1", "3"]
    assert splits["validation"][0]["answerB"] == "y"


def tar(files, mode):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def test_packed_bucc2018(prepare, write):
    archives = {
        f"bucc2018-fr-en.{part}-gold.tar.bz2": tar(bucc_files("bucc2018/fr-en/", (part,)), "w:bz2")
        for part in ("sample", "training")
    }
    splits = prepare("bucc2018/fr", write(archives))
    assert len(splits["test"]) == len(splits["validation_en"]) == 3


def test_an_archive_without_the_file_is_said(prepare, write):
    archives = {"Genia4ERtraining.tar.gz": tar({"other.iob2": _IOB2}, "w:gz")}
    with pytest.raises(UserError, match=r"needs Genia4ERtask1\.iob2, which is not in .*Genia4ERtraining\.tar\.gz"):
        prepare("jnlpba", write(archives))


def test_a_broken_archive_is_said(prepare, write):
    with pytest.raises(
        UserError, match=r"siqa needs train\.jsonl, but .*socialiqa-train-dev\.zip failed \(ExtractError"
    ):
        prepare("siqa", write({"siqa/socialiqa-train-dev.zip": b"no zip"}))


def test_downloads_are_used(prepare, tmp_path, write, monkeypatch):
    import tensorflow_datasets as tfds

    folder = write(tweet_files())
    asked = []

    def download(manager, url):
        asked.append(url)
        return folder / "tweet_sentiment/hindi" / url.rpartition("/")[2]

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    splits = prepare("tweet_sentiment/hi", tmp_path / "nothing here")
    assert len(splits["train"]) == 2
    base = "https://raw.githubusercontent.com/cardiffnlp/xlm-t/main/data/sentiment/hindi"
    assert set(asked) == {
        f"{base}/{part}_{role}.txt" for part in ("train", "val", "test") for role in ("text", "labels")
    }


def test_a_failed_download_says_where_the_file_goes(prepare, tmp_path):
    manual = tmp_path / "manual"
    with pytest.raises(UserError) as caught:
        prepare("xcopa/it", manual)
    message = str(caught.value)
    assert message.startswith("xcopa/it needs val.it.jsonl, but https://raw.githubusercontent.com/cambridgeltl/xcopa/")
    assert "ConnectionError: no network" in message
    assert message.endswith(f"this file at {manual / 'xcopa/it/val.it.jsonl'}")
    assert "\n" not in message


def test_the_missing_one_of_several_files_is_named(prepare, write):
    files = bucc_files("bucc2018/")
    del files["bucc2018/fr-en.training.gold"]
    with pytest.raises(UserError, match=r"bucc2018/fr needs fr-en\.training\.gold, but https://comparable\.limsi\.fr/"):
        prepare("bucc2018/fr", write(files))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ccgbank", r"ccgbank needs 02, which cannot be downloaded: .*LDC2005T13.*this file at .*ccgbank/AUTO/02$"),
        ("xstory_cloze/en", r"needs spring2016\.val\.en\..*cannot be downloaded: .*rochester.*registration"),
    ],
)
def test_what_cannot_be_downloaded_is_said(name, said, prepare, tmp_path):
    with pytest.raises(UserError, match=said):
        prepare(name, tmp_path / "manual")


def test_files_that_differ_from_the_release_are_warned_of(prepare, write, caplog):
    row = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0, "idx": 0}
    files = {f"xcopa/it/{part}.it.jsonl": json_lines(row) for part in ("val", "test")}
    with caplog.at_level(logging.WARNING):
        prepare("xcopa/it", write(files))
    assert caplog.text.count("differs from the file of the release") == 2


# --------------------------------------------------------------------------------------------------
# Bad files


def xcopa_files(**changes):
    row = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0, "idx": 0}
    return {
        "xcopa/it/val.it.jsonl": json_lines(row, row | {"idx": 1} | changes),
        "xcopa/it/test.it.jsonl": json_lines(row),
    }


def sib_files(second="2\tsports\tGoal."):
    rows = f"index_id\tcategory\ttext\n1\ttravel\tGo.\n{second}\n"
    return {f"sib200/eng_Latn/{part}.tsv": rows for part in ("train", "dev", "test")}


def csqa_changed(**changes):
    files = commonsense_qa_files()
    path = "commonsense_qa/v1.11/dev_rand_split.jsonl"
    return files | {path: json_lines(json.loads(files[path]) | changes)}


_TRAIN = "ccgbank/AUTO/03/wsj_0301.auto"
_BAD = {
    "csqa wrong answer": ("commonsense_qa/v1.11", csqa_changed(answerKey="F"), r"dev_rand.* line 1 has answerKey 'F'"),
    "csqa three choices": (
        "commonsense_qa/v1.11",
        csqa_changed(question={"stem": "?", "choices": [{"label": "A", "text": "a"}]}),
        "line 1 has 1 choices; v1.11 has 5",
    ),
    "csqa no id": ("commonsense_qa/v1.11", csqa_changed(id=7), "line 1 has id 7; it must be a string"),
    "csqa other config's files": (
        "commonsense_qa/v1.0",
        {path.replace("v1.11", "v1.0"): content for path, content in commonsense_qa_files().items()},
        "line 1 has 5 choices; v1.0 has 3",
    ),
    "siqa wrong label": ("siqa", siqa_files() | {"train-labels.lst": "1\n4\n"}, "labels.lst line 2 has label '4'"),
    "siqa few labels": ("siqa", siqa_files() | {"dev-labels.lst": "1\n2\n"}, "has 2 lines; .* each of the 1 rows"),
    "siqa not json": ("siqa", siqa_files() | {"dev.jsonl": "{oops\n"}, "dev.jsonl line 1 is not JSON"),
    "xcopa missing field": (
        "xcopa/it",
        {path: text.replace("choice1", "choise1") for path, text in xcopa_files().items()},
        "lacks 'choice1'.*did you mean 'choise1'",
    ),
    "xcopa label": ("xcopa/it", xcopa_files(label=2), "val.it.jsonl line 2 has label 2; valid: 0, 1"),
    "xcopa label is a truth value": ("xcopa/it", xcopa_files(label=True), "line 2 has label True"),
    "xcopa question": ("xcopa/it", xcopa_files(question="efect"), "question 'efect'; did you mean 'effect'"),
    "xcopa duplicate": ("xcopa/it", xcopa_files(idx=0), "line 2 has the idx 0, which .* line 1 has already"),
    "xcopa idx": ("xcopa/it", xcopa_files(idx="1"), "line 2 has idx '1'; it must be a whole number"),
    "xcopa not utf-8": (
        "xcopa/it",
        xcopa_files() | {"xcopa/it/test.it.jsonl": b'{"premise": "perch\xe9"}\n'},
        "test.it.jsonl line 1 is not UTF-8",
    ),
    "sib category": ("sib200/eng_Latn", sib_files("2\tsport\tx"), "line 3 has category 'sport'; did you mean 'sports'"),
    "sib malformed": ("sib200/eng_Latn", sib_files("2\tsports"), "line 3 has 2 fields; it must have 3"),
    "sib duplicate": ("sib200/eng_Latn", sib_files("1\ttravel\tGo."), "line 3 has the id '1', which .* line 2"),
    "bucc unknown id": (
        "bucc2018/fr",
        bucc_files("") | {"fr-en.sample.gold": "fr-1\ten-2\nfr-1\ten-7\n"},
        r"fr-en\.sample\.gold line 2 names 'en-7', which is not in fr-en\.sample\.en",
    ),
    "bucc sides swapped": (
        "bucc2018/fr",
        bucc_files("") | {"fr-en.sample.gold": "en-2\tfr-1\n"},
        r"line 1 names 'en-2', which is not in fr-en\.sample\.fr",
    ),
    "bucc duplicate id": (
        "bucc2018/fr",
        bucc_files("") | {"fr-en.training.en": "en-1\ta\nen-2\tb\nen-3\tc\nen-2\td\n"},
        r"training\.en line 4 has the id 'en-2', which .* line 2 has already",
    ),
    "bucc one field": (
        "bucc2018/fr",
        bucc_files("") | {"fr-en.training.fr": "fr-1 no tab\n"},
        r"training\.fr line 1 has 1 tab-separated fields; it must have 2",
    ),
    "ccg leaf": (
        "ccgbank",
        ccgbank_files() | {_TRAIN: "ID=wsj_0301.1 PARSER=GOLD NUMPARSE=1\n(<T NP 0 1> (<L N NN dog N>) )\n"},
        "wsj_0301.auto line 2 begins '.<T NP",
    ),
    "ccg one leaf of two": (
        "ccgbank",
        ccgbank_files() | {_TRAIN: "ID=wsj_0301.1 X\n(<T NP 0 2> (<L N NN NN a N>) (<L N NN NN>) )\n"},
        "wsj_0301.auto line 2 begins",
    ),
    "ccg two names": ("ccgbank", ccgbank_files() | {_TRAIN: "ID=a X\nID=b X\n"}, "line 2 begins 'ID=b X'"),
    "ccg no derivation": ("ccgbank", ccgbank_files() | {_TRAIN: "ID=a X\n"}, "names the sentence 'a', whose deriv"),
    "ccg duplicate": (
        "ccgbank",
        ccgbank_files() | {"ccgbank/AUTO/03/wsj_0302.auto": _AUTO.replace("{n}", "0301")},
        "wsj_0302.auto line 2 has the id 'wsj_0301.1', which .*wsj_0301.auto line 2",
    ),
    "ccg empty section": (
        "ccgbank",
        {p: t for p, t in ccgbank_files().items() if "/05/" not in p} | {"ccgbank/AUTO/05/README": ""},
        "05 has no files",
    ),
    "tweets wrong label": (
        "tweet_sentiment/hi",
        tweet_files() | {"tweet_sentiment/hindi/val_labels.txt": "2\npositive\n"},
        "val_labels.txt line 2 has label 'positive'; valid: 0, 1, 2",
    ),
    "tweets few labels": (
        "tweet_sentiment/hi",
        tweet_files() | {"tweet_sentiment/hindi/test_labels.txt": "2\n"},
        "test_labels.txt has 1 lines; it must have one for each of the 2 rows of .*test_text.txt",
    ),
    "jnlpba tag": (
        "jnlpba",
        {"Genia4ERtask1.iob2": _IOB2.replace("I-DNA", "I-DMA"), "Genia4EReval1.iob2": _IOB2},
        "task1.iob2 line 3 .*'gene'.*'I-DMA'; did you mean 'I-DNA'",
    ),
    "jnlpba one column": (
        "jnlpba",
        {"Genia4ERtask1.iob2": _IOB2, "Genia4EReval1.iob2": "IL-2\tB-DNA\ngene\n"},
        "eval1.iob2 line 2 is 'gene'",
    ),
    "story ending": ("xstory_cloze/sw", story_files("i\ta\tb\tc\td\te\tf\t0\n"), "line 2 has the right ending '0'"),
    "story columns": ("xstory_cloze/sw", story_files("i\ta\tb\tc\td\te\t1\n"), "line 2 has 7 fields; it must have 8"),
    "story other file": (
        "xstory_cloze/sw",
        dict.fromkeys(story_files(), "a\tb\n1\t2\n"),
        "train.tsv has 2 columns; it must have 8",
    ),
    "story duplicate": ("xstory_cloze/sw", story_files(*["i\ta\tb\tc\td\te\tf\t1\n"] * 2), "has the id 'i', which"),
    "mlqa duplicate": ("mlqa_pairs/ar_de", mlqa_files("q", "q"), "has the id 'q', which"),
    "mlqa no paragraphs": (
        "mlqa_pairs/ar_de",
        dict.fromkeys(mlqa_files(), '{"data": [{"title": "t"}]}'),
        r"data\[0\] lacks 'paragraphs'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _BAD)
def test_bad_files(case, prepare, write, tmp_path):
    name, files, said = _BAD[case]
    with pytest.raises(UserError, match=said) as caught:
        prepare(name, write(files))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "data").rglob("dataset_info.json"))  # nothing half done is left to be read
