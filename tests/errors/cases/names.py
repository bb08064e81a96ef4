"""Names in a config, mixtures, and what must go together: lengths, positions, rows, devices, encoder and tokenizer."""

from tests.errors.harness import Case, config_file

TITLE = "Names, mixtures, and what must go together"


def _one(given: str, override: str, *says: str, lines: int = 1) -> Case:
    command = "main --config=tiny.py " + " ".join(f"--config.{each}" for each in override.split())
    return Case(given=given, command=command, says=says, lines=lines)


def _file(given: str, *changes: str, says: tuple[str, ...], lines: int = 1) -> Case:
    return Case(
        given=f"{given}: `{'; '.join(changes)}`",
        command="main --config=my.py",
        files={"my.py": config_file(*changes)},
        says=says,
        lines=lines,
    )


CASES = [
    _one("an unknown target", "targets=mini_xnlo", "config.targets", "did you mean 'mini_xnli'"),
    _file(
        "a target twice",
        "made.targets = ('mini_xnli', 'mini_xnli')",
        says=("config.targets", "'mini_xnli' twice"),
    ),
    _one("a retrieval family as a target", "targets=mini_tatoeba", "config.targets", "config.retrieval"),
    _one("a target for retrieval", "retrieval=mini_xnli", "config.retrieval", "config.targets"),
    _one("an intermediate task as pretraining", "pretrain=mini_mnli", "config.pretrain", "config.intermediates"),
    _file(
        "nothing to do",
        "made.targets = ()",
        says=("config.targets", "config.retrieval", "must train or evaluate something"),
    ),
    _file(
        "an unknown mixture in a chain",
        "made.intermediates = {'a': ('mini_mnly',)}",
        says=("config.intermediates.a", "did you mean 'mini_mnli'"),
    ),
    _file(
        "a retrieval task in a chain",
        "made.intermediates = {'a': ('mini_tatoeba.de',)}",
        says=("config.intermediates.a", "never trained on"),
    ),
    _file(
        "a language that a family lacks",
        "made.languages = {'mini_xnli': ('en', 'dee')}",
        says=("config.languages.mini_xnli", "'dee'", "did you mean 'de'"),
    ),
    _file(
        "an unknown family's languages",
        "made.languages = {'mini_xnly': ('en',)}",
        says=("config.languages", "did you mean 'mini_xnli'"),
    ),
    _file(
        "a family's other name, which would not be looked up",
        "made.languages = {'ner': ('en',)}",
        says=("config.languages", "'ner' is called 'panx'"),
    ),
    _file(
        "a family without languages",
        "made.languages = {'mini_xnli': ()}",
        says=("config.languages", "'mini_xnli'", "leave it out"),
    ),
    _file(
        "a recipe under a name that nothing is trained as",
        "made.by_task = {'mini_xnli': {'steps': 3}}",
        says=("config.by_task", "'mini_mnli.en'", "config.by_task.mini_mnli"),
    ),
    _file(
        "a recipe for a task that there is none of",
        "made.by_task = {'mini_xnly': {'steps': 3}}",
        says=("config.by_task", "did you mean 'mini_xnli'"),
    ),
    _one("an unknown preset", "model.preset=lage", "config.model", "preset 'lage'", "did you mean 'large'"),
    _one("heads that do not divide the width", "model.heads=3", "config.model", "'num_heads' is 3", "16"),
    _one("more devices than there are", "mesh.data=7", "config.mesh", "number of devices"),
    _one(
        "examples longer than the position table",
        "recipes.target.length=600 recipes.target.max_length=600",
        "config.recipes.target",
        "max_length is 600",
        "512",
    ),
    _one("neither steps nor epochs", "recipes.target.steps=0", "config.recipes.target", "neither steps nor epochs"),
    _file(
        "rows too short for a task of four choices",
        "made.intermediates = {'a': ('mini_hellaswag',)}",
        "made.by_task.mini_hellaswag = {'steps': 1, 'length': 24}",
        says=("mini_hellaswag", "length is 24", "at least 8"),
    ),
    _one(
        "a hidden state that the encoder lacks", "evaluation.layer=5 retrieval=mini_tatoeba", "config.evaluation.layer"
    ),
    _file("a mixture of nothing", "made.mixtures = {'both': ()}", says=("config.mixtures.both", "at least one")),
    _file(
        "an unknown member of a mixture",
        "made.mixtures = {'both': ('mini_mnli', 'mini_sqad')}",
        says=("config.mixtures.both", "'mini_sqad'", "did you mean"),
    ),
    _file(
        "mixtures that are each other's members",
        "made.mixtures = {'a': ('b',), 'b': ('c',), 'c': ('a', 'mini_mnli')}",
        says=("config.mixtures", "circle", "a", "b", "c"),
    ),
    _file(
        "a mixture with a family's name",
        "made.mixtures = {'mini_mnli': ('mini_siqa', 'mini_squad_v1')}",
        says=("config.mixtures.mini_mnli", "a family has that name"),
    ),
    Case(
        given="a task of files and a mixture with one name",
        command="main --config=my.py",
        files={
            "my.py": config_file(
                "files = {'train': 'a.{language}.jsonl', 'test': 'a.{language}.jsonl'}",
                "made.tasks = {'mine': {'kind': 'classification', 'files': files}}",
                "made.mixtures = {'mine': ('mini_mnli', 'mini_siqa')}",
            ),
            "a.en.jsonl": '{"text": "a", "label": "yes"}\n{"text": "b", "label": "no"}\n',
        },
        says=("config.mixtures.mine", "a family has that name"),
    ),
    _file(
        "a temperature without sampling by temperature",
        "made.mixtures = {'both': {'tasks': ('mini_mnli', 'mini_squad_v1'), 'temperature': 2.0}}",
        says=("config.mixtures.both.temperature", "sampling"),
    ),
    _file(
        "an unknown way of sampling",
        "made.mixtures = {'both': {'tasks': ('mini_mnli',), 'sampling': 'unifrm'}}",
        says=("config.mixtures.both.sampling", "did you mean 'uniform'"),
    ),
    _file(
        "a rate for a task that is no member",
        "made.mixtures = {'both': {'tasks': ('mini_mnli', 'mini_siqa'), 'loss_weights': {'mini_panx': 2.0}}}",
        says=("config.mixtures.both", "loss_weights", "'mini_panx'", "none of its tasks"),
    ),
    _file(
        "a schedule that gives every task nothing",
        "made.mixtures = {'both': {'tasks': ('mini_mnli',), 'sampling': 'scheduled', "
        "'schedule': {'mini_mnli': ((0.0, 0.0), (1.0, 1.0))}}}",
        says=("config.mixtures.both.schedule", "progress 0"),
    ),
    _file(
        "tasks mixed within a step of one micro-batch",
        "made.mixtures = {'both': {'tasks': ('mini_mnli', 'mini_squad_v1'), 'heads': 'mixed'}}",
        "made.intermediates = {'both': ('both',)}",
        says=("'both'", "one micro-batch", "accumulate"),
    ),
    _one("a folder of texts without texts", "text_dir=configs", "config.text_dir", "<language>.txt"),
    _one("a folder of texts that is not there", "text_dir=nothing", "config.text_dir", "'nothing'"),
]
