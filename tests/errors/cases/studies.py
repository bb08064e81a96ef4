"""Study directories, results files, phases to export, and what is asked of them."""

import json
from typing import Any

from tests.errors.harness import Case, Content

TITLE = "Study directories, results and exports"
COLUMNS = "model,intermediate,target,language,split,metric,value,examples,seed,layer,pooling,steps,fingerprint"
ROW = "mini,none,mini_xnli,en,test,accuracy,50.0,10,0,,,5,0123456789ab"
OTHER = ROW.replace(",en,", ",de,")
RESULTS = "".join(f"{line}\n" for line in (COLUMNS, ROW, OTHER))
PLAN = {"name": "tiny", "package": "0.1.0", "results_version": 0, "evaluation_version": 1, "phases": []}


def _results(given: str, text: str | bytes, *says: str) -> Case:
    """A results.csv, which is reported on."""
    return Case(given=given, command="report study", files={"study/results.csv": text}, says=says)


def _rows(given: str, *rows: str, says: tuple[str, ...]) -> Case:
    return _results(given, "".join(f"{row}\n" for row in (COLUMNS, *rows)), "study/results.csv", *says)


def _report(given: str, flags: str, *says: str, files: dict[str, Content] | None = None) -> Case:
    made = {"study/results.csv": RESULTS, **(files or {})}
    return Case(given=given, command=f"report study {flags}".strip(), files=made, says=says)


def _written(given: str, flags: str, *says: str, files: dict[str, Content] | None = None) -> Case:
    """`score` writing a submission from a study."""
    made = {"study/results.csv": RESULTS.replace("mini,none,mini_", "mini,none,"), **(files or {})}
    return Case(given=given, command=f"score --study=study --write=out {flags}", files=made, says=says)


PHASE = "study/phases/mini_mnli.en-seed0-0123456789ab"
ENCODER = {"vocab_size": 9, "hidden_size": 4, "num_layers": 1, "num_heads": 1, "intermediate_size": 4}
HEADS = {"head": {"kind": "classification", "num_labels": 3}}
CARD = {"path": "mini_mnli.en", "fingerprint": "0123456789ab", "encoder": ENCODER, "heads": HEADS, "tokenizer": {}}
FINISHED = {f"{PHASE}/phase.json": "{}", f"{PHASE}/done.json": "{}", f"{PHASE}/best/note": ""}


def _export(given: str, *says: str, phase: str = PHASE, flags: str = "", **files: Any) -> Case:
    """`export` of a phase with these files instead of a finished phase's."""
    made = {**FINISHED, f"{PHASE}/run_card.json": json.dumps(CARD), **files.pop("files", {})}
    made = {name: content for name, content in made.items() if content is not None}
    command = f"export {phase} out {flags}".strip()
    return Case(given=given, command=command, files=made, says=says, **files)


CASES = [
    Case(given="a study directory that is not there", command="status nothing", says=("nothing", "plan.json")),
    Case(
        given="the status of a study whose plan.json was cut",
        command="status study",
        files={"study/plan.json": '{"name": "a", '},
        says=("study/plan.json", "damaged", "remove it"),
        varies=r"(?<=damaged )\(.*\)",
    ),
    Case(
        given="the status of a study with another plan.json than a run writes",
        command="status study",
        files={"study/plan.json": '{"name": "a", "phases": [{"folder": "b"}]}'},
        says=("study/plan.json", "damaged", "remove it"),
    ),
    Case(given="a negative time to watch for", command="status study --watch=-1", says=("--watch is -1", "0 or more")),
    Case(given="no time to watch for", command="status study --watch=often", says=("--watch", "'often'")),
    Case(
        given="a study directory of another version",
        command="main --config=tiny.py --workdir=study",
        files={"study/plan.json": json.dumps(PLAN)},
        says=("study was made by results version 0", "name a new --workdir"),
        varies=r"(?<=this is version )\d+",
    ),
    Case(
        given="a study directory whose results.csv has another column",
        command="main --config=tiny.py --workdir=study",
        files={"study/results.csv": RESULTS.replace("language", "langage")},
        says=("study/results.csv line 1", "did you mean 'language'"),
    ),
    Case(
        given="a study directory with another plan.json than a run writes",
        command="main --config=tiny.py --workdir=study",
        files={"study/plan.json": '{"name": "a", "phases": []}'},
        says=("study was made by results version unknown", "name a new --workdir"),
        varies=r"(?<=this is version )\d+",
    ),
    Case(
        given="a file as the folder of tokenised data",
        command="main --config=tiny.py --config.cache_dir=tiny.py/cache",
        says=("config.cache_dir is 'tiny.py/cache'", "'tiny.py' is a file"),
    ),
    Case(given="a report on nothing", command="report", says=("DIR",)),
    Case(given="a report on a folder that is not there", command="report nothing", says=("nothing", "--workdir")),
    Case(
        given="a report on a folder without results",
        command="report study",
        files={"study/config.json": "{}"},
        says=("study/results.csv", "no such file"),
    ),
    _results("an empty results.csv", "", "study/results.csv line 1", "empty", "model,intermediate"),
    _results("a results.csv without scores", f"{COLUMNS}\n", "study/results.csv", "no scores yet"),
    _results("a results.csv that is not UTF-8", RESULTS.encode() + b"\xff\n", "study/results.csv", "not UTF-8"),
    _results(
        "a misspelled column",
        RESULTS.replace("language", "langage"),
        "study/results.csv line 1",
        "'langage'",
        "did you mean 'language'",
    ),
    _results(
        "a column missing", RESULTS.replace(",fingerprint", "").replace(",0123456789ab", ""), "line 1", "'fingerprint'"
    ),
    _rows("a score that is no number", ROW.replace("50.0", "high"), says=("line 2", "value is 'high'", "a number")),
    _rows("a score that is not finite", ROW.replace("50.0", "nan"), says=("line 2", "value is nan", "finite")),
    _rows("a negative number of examples", ROW, OTHER.replace(",10,", ",-10,"), says=("line 3", "examples is -10")),
    _rows("a score without a language", ROW.replace(",en,", ",,"), says=("line 2", "language is empty")),
    _rows("a row with a cell too few", ROW, OTHER.rpartition(",")[0], says=("line 3", "12 cells", "13 expected")),
    _rows("the same score twice", ROW, OTHER, ROW, says=("line 4", "line 2", "one line per score")),
    _results("a results.csv that was cut", RESULTS[:-20], "study/results.csv line 3", "cut short"),
    _report("an unknown model", "--model=xlmr", "'xlmr'", "valid: mini"),
    _report("an unknown split", "--split=tset", "'tset'", "did you mean 'test'"),
    _report("an unknown test", "--test=bootstrp", "test is 'bootstrp'", "did you mean 'bootstrap'"),
    _report("an unknown correction", "--correction=hlm", "correction is 'hlm'", "did you mean 'holm'"),
    _report("an unknown format", "--format=html", "--format is 'html'", "markdown"),
    _report("an unknown flag", "--modle=mini", "--modle", "did you mean '--model'"),
    _report("one study twice", "study", "study", "name each study once"),
    _report("a report into a file", "--out=tiny.py", "tiny.py"),
    Case(
        given="a report on a study whose config.json is no JSON",
        command="report study",
        files={"study/results.csv": RESULTS, "study/config.json": "name"},
        says=("study/config.json line 1", "not JSON"),
    ),
    _written("a row that the study has not", "--row=mnli", "'mnli'", "valid: none"),
    _written("a seed that the row has not", "--row=none --seed=3", "no seed 3", "it has 0"),
    _written("a seed that is no number", "--row=none --seed=first", "--seed", "'first'"),
    _written("no row", "", "--row"),
    _written(
        "a submission into a folder that is not empty",
        "--row=none",
        "out/predictions",
        "not empty",
        files={"out/predictions/note": ""},
    ),
    _written("a study whose phases are gone", "--row=none", "study/phases", "0123456789ab"),
    _written(
        "a study whose predictions are gone",
        "--row=none",
        "evaluations/xnli/en.jsonl",
        "cannot be read",
        files={"study/phases/mnli.en-seed0-0123456789ab/note": ""},
    ),
    Case(given="an export without saying where to", command="export study", says=("OUT",)),
    _export("an export of nothing", "nothing", "no such folder", phase="nothing"),
    _export("an export of a whole study", "study", "phases are in it: mini_mnli.en-seed0", phase="study"),
    _export("an export of an untrained phase", PHASE, "has not ended", files={f"{PHASE}/done.json": None}),
    _export(
        "an export of a phase without a run card",
        "run_card.json",
        "no such file",
        files={f"{PHASE}/run_card.json": None},
    ),
    _export(
        "an export of a phase whose run card was cut",
        "run_card.json",
        "not a run card",
        files={f"{PHASE}/run_card.json": '{"path": '},
        varies=r"\(.*\)",
    ),
    _export("an unknown head", "no head 'hed'", "did you mean 'head'", flags="--head=hed"),
    _export(
        "an export of a phase whose run card lacks the encoder",
        "run_card.json",
        "encoder",
        files={f"{PHASE}/run_card.json": json.dumps({**CARD, "encoder": {}})},
        varies=r"\(.*\)",
    ),
    _export("an export over something", "out", "is not empty", files={"out/note": ""}),
    _export("an export of a phase whose parameters are gone", PHASE, "best", "no checkpoint"),
]
