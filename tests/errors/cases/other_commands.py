"""`preflight`, `tasks` and `contamination`."""

from tests.errors.harness import Case

TITLE = "Preflight, tasks and contamination"
PREFLIGHT = "preflight --config=tiny.py"
CASES = [
    Case(given="no config", command="preflight --topology=v5e:2x4", says=("--config=",)),
    Case(given="no chips", command=PREFLIGHT, says=("--topology=v5e:2x4",)),
    Case(given="an unknown chip", command=f"{PREFLIGHT} --topology=v5z:2x4", says=("'v5z'", "did you mean")),
    Case(
        given="a slice that is not made",
        command=f"{PREFLIGHT} --topology=v5e:3x3",
        says=("'3x3'", "did you mean '2x4'", "16x16"),
    ),
    Case(given="no number of chips", command=f"{PREFLIGHT} --topology=h200:many", says=("'many'", "h200:8")),
    Case(
        given="no share of the peak", command=f"{PREFLIGHT} --topology=cpu:1 --mfu=0", says=("--mfu is 0", "at most 1")
    ),
    Case(given="a share of the peak above 1", command=f"{PREFLIGHT} --topology=cpu:1 --mfu=1.5", says=("mfu", "1.5")),
    Case(
        given="a negative amount of tokens", command=f"{PREFLIGHT} --topology=cpu:1 --tokens=-1", says=("tokens", "-1")
    ),
    Case(given="a flag of main", command=f"{PREFLIGHT} --dry_run", says=("--dry_run",)),
    Case(
        given="an unknown field",
        command=f"{PREFLIGHT} --topology=cpu:1 --config.modle.preset=mini",
        says=("config.modle", "did you mean 'model'"),
    ),
    Case(
        given="an unknown target",
        command=f"{PREFLIGHT} --topology=cpu:1 --config.targets=mini_xnlo",
        says=("config.targets", "did you mean 'mini_xnli'"),
    ),
    Case(given="an unknown family", command="tasks xnlo", says=("'xnlo'", "did you mean 'xnli'")),
    Case(
        given="a language that a family lacks", command="tasks xnli.dee", says=("'xnli'", "'dee'", "did you mean 'de'")
    ),
    Case(given="a task of no family", command="tasks xnlo.de", says=("'xnlo'", "did you mean 'xnli'")),
    Case(
        given="a split that a task lacks",
        command="tasks mini_xnli.de --split=train",
        says=("'mini_xnli.de'", "'train'", "test"),
    ),
    Case(given="minus two examples", command="tasks mini_xnli.de --examples=-2", says=("examples is -2", "0 or more")),
    Case(given="no number of examples", command="tasks mini_xnli.de --examples=two", says=("--examples", "'two'")),
    Case(given="a misspelled flag", command="tasks mini_xnli.de --example=2x", says=("--examples", "'2x'")),
    Case(
        given="texts from a folder that is not there",
        command="tasks --text_dir=nothing",
        says=("text_dir is 'nothing'", "no folder"),
    ),
    Case(given="a table into a folder", command="tasks --csv=configs", says=("configs",)),
    Case(given="a table below a file", command="tasks --csv=tiny.py/a.csv", says=("tiny.py",)),
    Case(given="nothing to compare", command="contamination", says=("--config=FILE", "--train=NAME")),
    Case(
        given="an unknown task to compare",
        command="contamination --train=sqad_v1 --evaluate=xquad",
        says=("'sqad_v1'", "did you mean 'squad_v1'"),
    ),
    Case(
        given="an unknown split to compare",
        command="contamination --train=squad_v1.en:tain --evaluate=xquad.en",
        says=("'squad_v1.en'", "'tain'", "did you mean 'train'"),
    ),
    Case(
        given="an unknown target in the config",
        command="contamination --config=tiny.py --config.targets=mini_xnlo",
        says=("config.targets", "did you mean 'mini_xnli'"),
    ),
]
