"""SIB-200 (Adelani et al. 2024), https://github.com/dadelani/sib-200: topics of FLORES-200 sentences.

Tab-separated with a header, `index_id category text`; fields are quoted as in csv. Configs are FLORES-200 codes.
"""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from xtreme_stilts.datasets.base import File, ReleaseBuilder, Row, configs, one_of, text
from xtreme_stilts.tasks import formats

_URL = "https://raw.githubusercontent.com/dadelani/sib-200/593cea88519930f776c1a4a1980b6a35b39dca57/data/annotated"
CATEGORIES = ("entertainment", "geography", "health", "politics", "science/technology", "sports", "travel")
CODES = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn als_Latn amh_Ethi apc_Arab arb_Arab
arb_Latn ars_Arab ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn
ban_Latn bel_Cyrl bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn
ceb_Latn ces_Latn cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek
eng_Latn epo_Latn est_Latn eus_Latn ewe_Latn fao_Latn fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn
gaz_Latn gla_Latn gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn
hun_Latn hye_Armn ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn
kan_Knda kas_Arab kas_Deva kat_Geor kaz_Cyrl kbp_Latn kea_Latn khk_Cyrl khm_Khmr kik_Latn kin_Latn kir_Cyrl
kmb_Latn kmr_Latn knc_Arab knc_Latn kon_Latn kor_Hang lao_Laoo lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn
ltg_Latn ltz_Latn lua_Latn lug_Latn luo_Latn lus_Latn lvs_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Arab
min_Latn mkd_Cyrl mlt_Latn mni_Beng mos_Latn mri_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nqo_Nkoo
nso_Latn nus_Latn nya_Latn oci_Latn ory_Orya pag_Latn pan_Guru pap_Latn pbt_Arab pes_Arab plt_Latn pol_Latn
por_Latn prs_Arab quy_Latn ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Olck scn_Latn shn_Mymr sin_Sinh
slk_Latn slv_Latn smo_Latn sna_Latn snd_Arab som_Latn sot_Latn spa_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn
swe_Latn swh_Latn szl_Latn tam_Taml taq_Latn taq_Tfng tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi
tpi_Latn tsn_Latn tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab
uzn_Latn vec_Latn vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zsm_Latn
zul_Latn
""".split()  # noqa: SIM905


class Sib200(ReleaseBuilder):
    """SIB-200: the topic of a sentence, one of 7; the same sentences in all language varieties.

    Source: https://github.com/dadelani/sib-200, commit 593cea8. Licence: Apache-2.0; sentences CC BY-SA 4.0 (FLORES).
    """

    name = "sib200"
    HOMEPAGE = "https://github.com/dadelani/sib-200"
    LICENSE = "Apache-2.0; sentences CC BY-SA 4.0"
    BUILDER_CONFIGS = configs(CODES)

    def features(self) -> dict[str, Any]:
        return {name: tfds.features.Text() for name in ("id", "text", "category")}

    def files(self) -> dict[str, dict[str, File]]:
        found = {}
        for split, part in (("train", "train"), ("validation", "dev"), ("test", "test")):
            path = f"{self.builder_config.name}/{part}.tsv"
            found[split] = {"rows": File(names=(path, f"data/annotated/{path}"), url=f"{_URL}/{path}")}
        return found

    def rows(self, split: str, paths: Mapping[str, pathlib.Path]) -> Iterator[Row]:
        for record in formats.table(paths["rows"], quoting=csv.QUOTE_MINIMAL):
            category = one_of(text(record, "category"), CATEGORIES, name="category", place=record.place)
            yield Row(
                record.place, {"id": text(record, "index_id"), "text": text(record, "text"), "category": category}
            )
