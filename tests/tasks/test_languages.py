"""Languages: the table, and telling scripts apart."""

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import languages, xtreme


def test_xtreme_has_forty_languages_that_cover_all_its_tasks():
    assert len(set(languages.XTREME)) == 40
    assert set(languages.XTREME) == {code for family in xtreme.FAMILIES for code in family.languages}


def test_a_row_of_the_table():
    assert languages.language("sw") == languages.Language("sw", "Swahili", "latin", "Niger-Congo")
    with pytest.raises(UserError, match="no language 'swa'; did you mean 'sw'"):
        languages.language("swa")


@pytest.mark.parametrize(
    ("text", "script", "share"),
    [
        ("நான் ஒரு", "tamil", 1.0),
        ("Ako ay isang", "tamil", 0.0),
        ("Ako ay 1, 2!", "latin", 1.0),
        ("aб", "cyrillic", 0.5),
        ("我们", "cjk", 1.0),
        ("123 ...", "latin", 0.0),
    ],
)
def test_share_of_a_script(text, script, share):
    assert languages.script_share(text, script) == share


def test_every_language_has_letters_of_its_script():
    """A wrong script name would have no letters at all in Unicode."""
    import unicodedata

    scripts = {unicodedata.name(chr(i), " ").split()[0].lower() for i in range(0x20, 0x10000) if chr(i).isalpha()}
    assert {language.script for language in languages.LANGUAGES.values()} <= scripts


def test_words_are_joined_as_the_language_writes_them():
    assert languages.word_separator("zh").join(["我", "们"]) == "我们"
    assert languages.word_separator("fi").join(["hyvää", "päivää"]) == "hyvää päivää"
