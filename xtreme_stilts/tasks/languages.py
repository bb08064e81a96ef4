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


# --------------------------------------------------------------------------------------------------
# FLORES-200, whose codes are ISO 639-3 and a script (`swh_Latn`). A language of the table above goes by its short
# code in tasks and results; where FLORES has several varieties of it, the short code is the one other data sets hold.

_FLORES_OF = (
    "af afr_Latn, ar arb_Arab, bg bul_Cyrl, bn ben_Beng, cs ces_Latn, da dan_Latn, de deu_Latn, el ell_Grek, "
    "en eng_Latn, es spa_Latn, et est_Latn, eu eus_Latn, fa pes_Arab, fi fin_Latn, fr fra_Latn, he heb_Hebr, "
    "hi hin_Deva, ht hat_Latn, hu hun_Latn, id ind_Latn, it ita_Latn, ja jpn_Jpan, jv jav_Latn, ka kat_Geor, "
    "kk kaz_Cyrl, ko kor_Hang, ml mal_Mlym, mr mar_Deva, ms zsm_Latn, my mya_Mymr, nl nld_Latn, pl pol_Latn, "
    "pt por_Latn, qu quy_Latn, ru rus_Cyrl, sv swe_Latn, sw swh_Latn, ta tam_Taml, te tel_Telu, th tha_Thai, "
    "tl tgl_Latn, tr tur_Latn, uk ukr_Cyrl, ur urd_Arab, vi vie_Latn, yo yor_Latn, zh zho_Hans, zu zul_Latn "
)
FLORES_CODES = dict(pair.split() for pair in _FLORES_OF.strip().split(", "))  # our code -> FLORES

_FLORES_ONLY = (
    "ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab ajp_Arab aka_Latn als_Latn amh_Ethi apc_Arab arb_Latn "
    "ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn "
    "ban_Latn bel_Cyrl bem_Latn bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn cat_Latn ceb_Latn "
    "cjk_Latn ckb_Arab crh_Latn cym_Latn dik_Latn dyu_Latn dzo_Tibt epo_Latn ewe_Latn fao_Latn fij_Latn "
    "fon_Latn fur_Latn fuv_Latn gaz_Latn gla_Latn gle_Latn glg_Latn grn_Latn guj_Gujr hau_Latn hne_Deva "
    "hrv_Latn hye_Armn ibo_Latn ilo_Latn isl_Latn kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab kas_Deva "
    "kbp_Latn kea_Latn khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn kmr_Latn knc_Arab knc_Latn "
    "kon_Latn lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn lua_Latn lug_Latn "
    "luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva min_Arab min_Latn mkd_Cyrl mlt_Latn mni_Beng mos_Latn "
    "mri_Latn nno_Latn nob_Latn npi_Deva nqo_Nkoo nso_Latn nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn "
    "pan_Guru pap_Latn pbt_Arab plt_Latn prs_Arab ron_Latn run_Latn sag_Latn san_Deva sat_Olck scn_Latn "
    "shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn srd_Latn srp_Cyrl "
    "ssw_Latn sun_Latn szl_Latn taq_Latn taq_Tfng tat_Cyrl tgk_Cyrl tir_Ethi tpi_Latn tsn_Latn tso_Latn "
    "tuk_Latn tum_Latn twi_Latn tzm_Tfng uig_Arab umb_Latn uzn_Latn vec_Latn war_Latn wol_Latn xho_Latn "
    "ydd_Hebr yue_Hant zho_Hant "
)
FLORES = (*FLORES_CODES, *_FLORES_ONLY.split())  # 205 varieties, those of SIB-200 (Adelani et al. 2024)
