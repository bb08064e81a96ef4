"""Flags of the commands: overrides of a config's fields, and everything that is wrong with them at once."""

import pytest
from absl import flags

from xtreme_stilts import config as config_lib
from xtreme_stilts import flags as flags_lib
from xtreme_stilts import study as study_lib
from xtreme_stilts.errors import UserError

FILE = """\
from xtreme_stilts import config


def get_config(arg=None):
    made = config.default()
    made.by_task = {"mnli": {"steps": 7}}
    made.languages = {"panx": ("de",)}
    return made
"""


@pytest.fixture
def parsed(tmp_path):
    """`parsed("model.preset=mini", ...)` is the config with these overrides."""
    (tmp_path / "my.py").write_text(FILE)

    def parse(*overrides: str) -> config_lib.StudyConfig:
        argv = ["program", f"--config={tmp_path / 'my.py'}", *(f"--config.{each}" for each in overrides)]
        values = flags.FlagValues()
        flags_lib.define_config(values, argv=argv)
        assert flags_lib.parse(values, argv) == ["program"]
        return flags_lib.study_of(values.config, also=study_lib.problems_of)

    return parse


def test_overrides_have_the_types_of_their_fields(parsed):
    study = parsed(
        "model.preset=mini",
        "recipes.target.steps=3",
        "recipes.target.learning_rate=1e-4",
        "recipes.target.pack=false",
        "seeds=1,2",
        "targets=('panx', 'xnli')",
        "by_task.mnli.steps=9",
        "name=12",
    )
    target = study.recipes["target"]
    assert (study.model.preset, target.steps, target.learning_rate, target.pack) == ("mini", 3, 1e-4, False)
    assert (study.seeds, study.targets, study.by_task["mnli"]) == ((1, 2), ("panx", "xnli"), {"steps": 9})
    assert study.name == "12"


def test_an_override_can_add_to_a_dict(parsed):
    study = parsed("languages.udpos=('de', 'fr')", "by_task.panx={'epochs': 2.0}")
    assert study.languages == {"panx": ("de",), "udpos": ("de", "fr")}
    assert study.by_task == {"mnli": {"steps": 7}, "panx": {"epochs": 2.0}}


def test_a_value_may_be_a_word_of_its_own(parsed, tmp_path):
    argv = ["program", "--config", str(tmp_path / "my.py"), "--config.recipes.mlm.steps", "many"]
    values = flags.FlagValues()
    flags_lib.define_config(values, argv=argv)
    with pytest.raises(UserError) as caught:
        flags_lib.parse(values, argv)
    assert str(caught.value) == "config.recipes.mlm.steps is 'many'; it must be a whole number"


def test_all_unreadable_overrides_are_told_at_once(parsed):
    with pytest.raises(UserError) as caught:
        parsed("recipes.target.steps=many", "modle.preset=mini", "seeds=1", "by_task.xnli.steps=3", "model=mini")
    assert str(caught.value).splitlines() == [
        "config.recipes.target.steps is 'many'; it must be a whole number",
        "config.modle is not a field; did you mean 'model'?",
        "config.by_task.xnli is not there to be changed; the config file must make it",
        "config.model is 'mini'; it must be a group of fields, such as config.model.preset",
    ]


def test_what_is_wrong_with_fields_names_and_their_fit_is_told_at_once(parsed):
    overrides = ("model.preset=mini", "tokenizer=mini", "model.heads=3", "ouput=x", "recipes.mlm.steps=-1")
    with pytest.raises(UserError) as caught:
        parsed(*overrides, "targets=('panx', 'xnly')", "retrieval=('tatoeba', 'tatoeba')")
    told = str(caught.value).splitlines()
    assert [line.partition(" ")[0].rstrip(":") for line in told] == [
        "config.ouput",
        "config.recipes.mlm.steps",
        "config.targets",
        "config.retrieval",
        "config.model",
    ]


def test_nothing_is_said_of_what_follows_from_a_mistake(parsed):
    """A task or a mixture that could not be made is no unknown name."""
    with pytest.raises(UserError) as caught:
        parsed(
            "model.preset=mini",
            "tokenizer=mini",
            "tasks.mine={'kind': 'taging'}",
            "mixtures.both={'tasks': ('mnli', 'mine'), 'sampling': 'unifrm'}",
            "targets=('mine',)",
            "intermediates.a=('both',)",
        )
    told = str(caught.value).splitlines()
    assert [line.partition(" ")[0] for line in told] == [
        "config.tasks.mine.kind",
        "config.mixtures.both.sampling",
    ]


def test_an_unknown_flag_of_a_plain_command_names_the_nearest():
    parser = flags_lib.Parser()
    parser.add_argument("--labels")
    parser.add_argument("--kind", choices=("text", "markdown"))
    assert parser.parse_args(["--labels=x"]).labels == "x"
    for argv, sentence in (
        (["--lables=x"], "there is no flag --lables=x; did you mean '--labels'?"),
        (["x"], "unexpected argument 'x'; --help says what is expected"),
        (["--kind=txt"], "--kind is 'txt'; did you mean 'text'?"),
        (["--labels"], "argument --labels: expected one argument; --help says what is expected"),
    ):
        with pytest.raises(UserError) as caught:
            parser.parse_args(argv)
        assert str(caught.value) == sentence


def test_a_command_tells_files_that_cannot_be_written(tmp_path, capsys):
    def command(argv):
        (tmp_path / "note").write_text("a")
        (tmp_path / "note" / "below").write_text("b")
        return 0

    assert flags_lib.answered(command, None) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'note' / 'below'}: Not a directory\n"
    with pytest.raises(ZeroDivisionError):  # a fault of the program is no answer to bad input
        flags_lib.answered(lambda argv: 1 // 0, None)
