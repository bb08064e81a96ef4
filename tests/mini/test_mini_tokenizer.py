"""The shipped tokenizer covers all generated text, looks like XLM-R's, and is what its own code makes."""

import pytest

from xtreme_stilts import mini
from xtreme_stilts.mini import lexicon, tokenizer


@pytest.fixture(scope="module")
def shipped():
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(str(tokenizer.FOLDER), local_files_only=True)


def test_special_tokens_are_xlm_rs(shipped):
    assert shipped.is_fast
    assert shipped.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert shipped.mask_token_id == len(shipped) - 1
    assert shipped("Anna slept.")["input_ids"][0] == shipped.cls_token_id == 0
    a, b = (shipped(text, add_special_tokens=False)["input_ids"] for text in ("Anna slept.", "Someone slept."))
    assert shipped("Anna slept.", "Someone slept.")["input_ids"] == [0, *a, 2, 2, *b, 2]


def test_the_shipped_file_is_what_training_gives():
    assert tokenizer.train().to_str(pretty=True) == (tokenizer.FOLDER / "tokenizer.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", mini.LANGUAGES)
def test_every_text_is_covered(shipped, language):
    texts = [
        row["text"] for name in ("text", "mixed") for row in mini.rows(f"{name}/{language}", split="validation", seed=5)
    ]
    words = [
        cell.partition("/")[0]
        for _, forms in lexicon.concepts()
        for cell in " ".join(forms[language]).replace("_", " ").split()
    ]
    for text in [*texts, *words]:
        assert shipped.unk_token_id not in shipped(text)["input_ids"], text


def test_words_have_the_same_piece_wherever_they_stand(shipped):
    assert shipped.tokenize("3 dogs, 3 dogs.") == ["3", "▁dogs", ",", "3", "▁dogs", "."]
    assert shipped.tokenize("安娜看见了3只狗。") == ["安娜", "看见", "了", "3", "只", "狗", "。"]
    assert [shipped.tokenize(word) for word in ("安娜", "狗", ".")] == [["安娜"], ["狗"], ["."]]
    assert shipped.tokenize("İstanbul")[0].startswith("▁")
    assert shipped.tokenize("Ankara'da") == ["▁ankara", "'", "da"]


@pytest.mark.parametrize("language", mini.LANGUAGES)
def test_offsets_cut_out_the_words(shipped, language):
    for row in mini.rows(f"text/{language}", split="validation", size=40):
        encoded = shipped(row["text"], add_special_tokens=False, return_offsets_mapping=True)
        covered = "".join(row["text"][a:b] for a, b in encoded["offset_mapping"])
        assert covered.replace(" ", "") == row["text"].replace(" ", "")


def test_most_words_are_one_piece(shipped):
    for language in mini.LANGUAGES:
        words = [word for row in mini.rows(f"xtreme_pos/{language}", split="dev", size=100) for word in row["tokens"]]
        assert sum(len(shipped.tokenize(word)) for word in words) < 1.2 * len(words)
