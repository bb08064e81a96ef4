"""Study directories as the report opens them, and what several must agree on."""

from __future__ import annotations

import json
import pathlib

import pytest

from xtreme_stilts.errors import UserError
from xtreme_stilts.report import results
from xtreme_stilts.report.judged import Options, disagreements, judge
from xtreme_stilts.report.results import Result
from xtreme_stilts.report.studies import open_study


def result(intermediate: str, language: str, value: float, **changes) -> Result:
    fields = {"model": "mini", "target": "xnli", "split": "test", "metric": "accuracy", "examples": 10, "seed": 1}
    return Result(intermediate=intermediate, language=language, value=value, **(fields | changes))


def write(folder: pathlib.Path, *rows: Result, **config) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / "results.csv", rows or [result("none", "en", 50.0)])
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_study_is_read_whole(tmp_path):
    rows = [result("none", code, 40.0) for code in ("en", "de")]
    rows += [
        result("none", code, level, metric="chance", target=target)
        for code, target, level in (("en", "xnli", 30.0), ("de", "xnli", 36.0), ("en", "pawsx", 50.0))
    ]
    study = open_study(write(tmp_path / "runs" / "a", *rows, name="My study", seeds=[1]))
    assert study.name == "My study" and study.config["seeds"] == [1] and study.models == ["mini"]
    assert study.chance == {"xnli": 33.0, "pawsx": 50.0} and len(study.frame) == 5
    assert open_study(study.directory, chance={"xnli": 1.0}).chance == {"xnli": 1.0}
    assert open_study(write(tmp_path / "plain")).name == "plain"


def test_what_cannot_be_opened_gets_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder; name a study's --workdir"):
        open_study(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"results\.csv: no such file"):
        open_study(tmp_path)
    folder = write(tmp_path / "cut", *(result("none", code, 50.0) for code in ("en", "de", "fr")))
    path = folder / "results.csv"
    whole = path.read_text()
    path.write_text(whole[:-20])
    with pytest.raises(UserError, match=r"line 4: the file is cut short.*; run the study again, which keeps what is"):
        open_study(folder)
    results.repair(path)  # as the study does
    assert len(open_study(folder).frame) == 2
    path.write_text(whole.replace("fingerprint", "sha", 1))
    with pytest.raises(UserError, match=r"line 1: 'sha' is not a column"):
        open_study(folder)
    path.write_text("".join(line.rpartition(",")[0] + "\n" for line in whole.splitlines()))
    with pytest.raises(UserError, match=r"column 'fingerprint' is missing; .*, as this version writes them"):
        open_study(folder)
    results.write(path, [])
    with pytest.raises(UserError, match="holds no scores yet"):
        open_study(folder)


def judged(*folders: pathlib.Path, **options):
    return judge([open_study(folder) for folder in folders], Options(resamples=10, **options), failures=[])


def test_labels_tell_studies_and_models_apart(tmp_path):
    one = write(tmp_path / "a", result("none", "en", 1.0), result("none", "en", 2.0, model="big"), name="first")
    assert [each.label for each in judged(one)] == ["big", "mini"]
    assert [each.label for each in judged(one, model="mini")] == ["mini"]
    two = write(tmp_path / "b", name="second")
    assert [each.label for each in judged(one, two)] == ["first/big", "first/mini", "second"]
    again = write(tmp_path / "c", name="second")
    assert [each.label for each in judged(two, again)] == ["b", "c"]
    same = write(tmp_path / "x" / "b", name="second")
    assert [each.label for each in judged(two, same)] == [str(two), str(same)]
    with pytest.raises(UserError, match="named 2 times"):
        judged(two, two)
    with pytest.raises(UserError, match="did you mean 'mini'"):
        judged(two, model="minni")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"split": "validation"}, "in a its scores are of split 'test', in b of split 'validation'"),
        ({"examples": 2490}, "in a its scores are of 10 examples in 'en', in b of 2,490 examples in 'en'"),
    ],
)
def test_studies_that_disagree_are_told_which_and_where(tmp_path, changes, sentence):
    one, two = write(tmp_path / "a"), write(tmp_path / "b", result("none", "en", 60.0, **changes))
    found = disagreements(judged(one, two))
    assert (
        list(found) == ["xnli"] and sentence in found["xnli"] and "XNLI is left out of the joint table" in found["xnli"]
    )


def test_other_metrics_and_languages_disagree_too(tmp_path):
    own = {"target": "my_task", "metric": "f1"}
    one = write(tmp_path / "a", result("none", "en", 1.0), result("none", "en", 2.0, **own))
    other = [result("none", code, 1.0) for code in ("en", "de")]
    two = write(tmp_path / "b", *other, result("none", "en", 2.0, target="my_task", metric="bleu"))
    found = disagreements(judged(one, two))
    assert "in a its scores are not of language 'de', in b of 10 examples in 'de'" in found["xnli"]
    assert "in a its scores are f1, in b bleu" in found["my_task"]


def test_studies_that_agree_do_so_whatever_the_layer(tmp_path):
    place = {"target": "tatoeba", "pooling": "mean"}
    one, two = (write(tmp_path / str(n), result("none", "de", 1.0, layer=n, **place)) for n in (3, 14))
    assert disagreements(judged(one, two)) == {}


def test_unknown_tests_and_corrections_are_refused():
    with pytest.raises(UserError, match="correction is 'homl'; did you mean 'holm'"):
        Options(correction="homl")
    with pytest.raises(UserError, match="test is 'boots'"):
        Options(test="boots")
