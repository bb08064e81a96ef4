"""Command lines of `main`, and config files as programs."""

from tests.errors.harness import Case, config_file

TITLE = "Command lines"
CASES = [
    Case(given="no config", command="main", says=("--config=configs/quickstart.py",)),
    Case(given="a misspelled flag", command="main --confg=tiny.py", says=("--confg", "did you mean '--config'")),
    Case(
        given="a word that is no flag",
        command="main --config=tiny.py steps=3",
        says=("'steps=3'", "--name=value"),
    ),
    Case(given="a flag without its value", command="main --config", says=("--config",)),
    Case(given="a config file that is not there", command="main --config=nothing.py", says=("'nothing.py'", "no file")),
    Case(given="a folder as the config file", command="main --config=configs", says=("configs",), varies="line .*"),
    Case(
        given="a config file that is no Python",
        command="main --config=my.py",
        files={"my.py": "def get_config(:\n"},
        says=("my.py", "line 1", "SyntaxError"),
        varies="SyntaxError: .*",
    ),
    Case(
        given="a config file whose fourth line fails",
        command="main --config=my.py",
        files={"my.py": "def get_config():\n    made = {}\n\n    return made['steps']\n"},
        says=("my.py line 4", "KeyError", "steps"),
    ),
    Case(
        given="a config file without get_config",
        command="main --config=my.py",
        files={"my.py": "config = 3\n"},
        says=("my.py", "get_config"),
    ),
    Case(
        given="a config file that returns nothing",
        command="main --config=my.py",
        files={"my.py": "def get_config():\n    pass\n"},
        says=("my.py", "None", "must return config.default()"),
    ),
    Case(
        given="an argument that the config file does not take",
        command="main --config=configs/studies/paper.py:reel",
        says=("'reel'", "did you mean 'real'"),
    ),
    Case(
        given="an option of a config file that is no number",
        command="main --config=configs/studies/paper.py:mini,seeds=many",
        says=("seeds is 'many'", "whole number"),
    ),
    Case(
        given="another argument of the quickstart than it has",
        command="main --config=configs/quickstart.py:seed=2",
        says=("'seed=2'", "seeds=N"),
    ),
    Case(
        given="a size that configs/xtreme.py does not know",
        command="main --config=configs/xtreme.py:huge",
        says=("'huge'", "valid: large"),
    ),
    Case(
        given="an override before the config it changes",
        command="main --config.model.preset=mini --config=tiny.py",
        says=("--config.model.preset=mini", "before"),
    ),
    Case(
        given="some of several processes' flags", command="main --config=tiny.py --process=1", says=("--coordinator",)
    ),
    Case(
        given="a process number beyond the number of processes",
        command="main --config=tiny.py --coordinator=localhost:1 --processes=2 --process=2",
        says=("--process is 2", "0 to 1"),
    ),
    Case(given="a share of the peak above 1", command="main --config=tiny.py --dry_run --mfu=7", says=("--mfu", "7")),
    Case(
        given="a plan for a chip without its number",
        command="main --config=tiny.py --dry_run --topology=h200",
        says=("--topology=h200", "h200:8"),
    ),
    Case(
        given="a study directory that is a file",
        command="main --config=tiny.py --workdir=tiny.py",
        says=("--workdir tiny.py", "cannot be made"),
    ),
    Case(
        given="a module of the user's that cannot be found",
        command="main --config=tiny.py --config.import_modules=users_tasks",
        says=("config.import_modules", "'users_tasks'", "cannot be imported"),
    ),
    Case(
        given="a module of the user's that fails in its second line",
        command="main --config=tiny.py --config.import_modules=users_tasks",
        files={"users_tasks.py": "tasks = 3\ntasks.register('mine')\n"},
        says=("config.import_modules", "users_tasks.py line 2", "AttributeError"),
    ),
    Case(
        given="a config file with a kind of recipe that there is none of",
        command="main --config=my.py",
        files={"my.py": config_file("made.recipes.targets = {'steps': 3}")},
        says=("config.recipes.targets", "did you mean 'target'"),
    ),
]
