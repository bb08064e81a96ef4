"""Languages of the tasks: English name, main script, language family; and telling scripts apart.

Codes are ISO 639-1. Families are those that results are usually grouped by, with the branches of
Indo-European apart (IE: ...).
"""

from __future__ import annotations

import dataclasses
import unicodedata

from xtreme_stilts.errors import UserError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Language:
    """One language. `script` is the first word of its letters' Unicode names, lower case (`tamil`, `latin`,
    `cjk`)."""

    code: str
    name: str
    script: str
    family: str


_TABLE = """
af Afrikaans   latin      IE: Germanic
ar Arabic      arabic     Afro-Asiatic
bg Bulgarian   cyrillic   IE: Slavic
bn Bengali     bengali    IE: Indo-Aryan
cs Czech       latin      IE: Slavic
da Danish      latin      IE: Germanic
de German      latin      IE: Germanic
el Greek       greek      IE: Greek
en English     latin      IE: Germanic
es Spanish     latin      IE: Romance
et Estonian    latin      Uralic
eu Basque      latin      Basque
fa Persian     arabic     IE: Iranian
fi Finnish     latin      Uralic
fr French      latin      IE: Romance
he Hebrew      hebrew     Afro-Asiatic
hi Hindi       devanagari IE: Indo-Aryan
ht Haitian     latin      Creole
hu Hungarian   latin      Uralic
id Indonesian  latin      Austronesian
it Italian     latin      IE: Romance
ja Japanese    cjk        Japonic
jv Javanese    latin      Austronesian
ka Georgian    georgian   Kartvelian
kk Kazakh      cyrillic   Turkic
ko Korean      hangul     Koreanic
ml Malayalam   malayalam  Dravidian
mr Marathi     devanagari IE: Indo-Aryan
ms Malay       latin      Austronesian
my Burmese     myanmar    Sino-Tibetan
nl Dutch       latin      IE: Germanic
pl Polish      latin      IE: Slavic
pt Portuguese  latin      IE: Romance
qu Quechua     latin      Quechuan
ru Russian     cyrillic   IE: Slavic
sv Swedish     latin      IE: Germanic
sw Swahili     latin      Niger-Congo
ta Tamil       tamil      Dravidian
te Telugu      telugu     Dravidian
th Thai        thai       Kra-Dai
tl Tagalog     latin      Austronesian
tr Turkish     latin      Turkic
uk Ukrainian   cyrillic   IE: Slavic
ur Urdu        arabic     IE: Indo-Aryan
vi Vietnamese  latin      Austro-Asiatic
yo Yoruba      latin      Niger-Congo
zh Chinese     cjk        Sino-Tibetan
zu Zulu        latin      Niger-Congo
"""

LANGUAGES = {row.split()[0]: Language(*row.split(None, 3)) for row in _TABLE.strip().splitlines()}

_NO_SPACES = frozenset({"ja", "th", "zh"})


def codes(text: str) -> tuple[str, ...]:
    """The language codes in a line of them.

    Raises:
        UserError: one is not in the table.
    """
    return tuple(language(code).code for code in text.split())


def language(code: str) -> Language:
    """The language with this code.

    Raises:
        UserError: the code is not in the table.
    """
    if code not in LANGUAGES:
        raise UserError(f"no language {code!r}; {did_you_mean(code, LANGUAGES)}")
    return LANGUAGES[code]


# XTREME's 40: those of WikiAnn, which has them all (Hu et al. 2020).
XTREME = codes(
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th"
    " tl tr ur vi yo zh"
)


def word_separator(code: str) -> str:
    """What stands between two words of running text: nothing in Chinese, Japanese and Thai, else a space."""
    return "" if code in _NO_SPACES else " "


def script_share(text: str, script: str) -> float:
    """Share of the letters in `text` that belong to `script` (a `Language.script`); 0.0 without letters."""
    letters = [char for char in text if char.isalpha()]
    return sum(unicodedata.name(c, "").startswith(script.upper()) for c in letters) / len(letters) if letters else 0.0
