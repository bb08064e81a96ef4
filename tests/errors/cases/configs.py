"""Fields of a config: unknown ones, types, ranges, what excludes each other; and all of it at once."""

from tests.errors.harness import Case, config_file

TITLE = "Config fields"


def _one(given: str, override: str, *says: str, lines: int = 1) -> Case:
    """A field set on the command line."""
    command = "main --config=tiny.py " + " ".join(f"--config.{each}" for each in override.split())
    return Case(given=given, command=command, says=says, lines=lines)


def _file(given: str, change: str, *says: str, lines: int = 1) -> Case:
    """A field set in the config file."""
    return Case(
        given=f"{given}: `{change}`",
        command="main --config=my.py",
        files={"my.py": config_file(change)},
        says=says,
        lines=lines,
    )


CASES = [
    _one("a field that there is none of", "output_dir=x", "config.output_dir", "is not a field"),
    _one("a misspelled field", "model.presett=mini", "config.model.presett", "did you mean 'preset'"),
    _one("a misspelled group", "modle.preset=mini", "config.modle", "did you mean 'model'"),
    _one("a field of a field", "seeds.first=1", "config.seeds", "config.seeds.first"),
    _one("text for a whole number", "recipes.target.steps=many", "config.recipes.target.steps", "whole number"),
    _one("a fraction for a whole number", "recipes.target.rows=2.5", "config.recipes.target.rows", "whole number"),
    _one("text for a number", "recipes.target.learning_rate=fast", "config.recipes.target.learning_rate", "number"),
    _one("text for a switch", "recipes.target.pack=maybe", "config.recipes.target.pack", "True or False"),
    _one("no finite number", "recipes.target.learning_rate=nan", "config.recipes.target.learning_rate", "finite"),
    _one("text for seeds", "seeds=abc", "config.seeds[0]", "whole number"),
    _one("a seed twice", "seeds=1,1", "config.seeds", "(1, 1)", "different"),
    _one("a negative seed", "seeds=-1", "config.seeds", ">= 0"),
    _one("a value for a whole group", "model=mini", "config.model", "group of fields"),
    _one("a compute type that there is none of", "model.dtype=bflot16", "config.model.dtype", "'bfloat16'"),
    _one("a kernel that there is none of", "model.attention=flash", "config.model.attention", "splash"),
    _one("dropout of everything", "model.dropout=1.0", "config.model.dropout is 1.0", "[0, 1)"),
    _one("no rows", "recipes.target.rows=0", "config.recipes.target.rows is 0", "tokens_per_step"),
    _one("a negative rate", "recipes.target.learning_rate=-1.0", "config.recipes.target.learning_rate is -1.0"),
    _one("a warm-up longer than the training", "recipes.target.warmup=2.0", "config.recipes.target.warmup is 2.0"),
    _one("a share of masks above 1", "recipes.mlm.mask_rate=1.5", "config.recipes.mlm.mask_rate is 1.5"),
    _one("rows that hold no example", "recipes.target.length=4", "config.recipes.target.length is 4", "at least 8"),
    _one(
        "examples longer than their row",
        "recipes.target.max_length=200",
        "config.recipes.target.max_length is 200",
        "config.recipes.target.length = 128",
    ),
    _one(
        "a step that is no whole number of micro-batches",
        "recipes.target.tokens_per_step=1000",
        "config.recipes.target.tokens_per_step is 1000",
        "8 x 128",
    ),
    _one(
        "a way to train the word table that there is none of",
        "recipes.target.embeddings=frosen",
        "config.recipes.target.embeddings",
        "did you mean 'frozen'",
    ),
    _one("an empty mesh axis", "mesh.data=0", "config.mesh", ">= 1"),
    _one("two mesh axes that take the rest", "mesh.fsdp=-1", "config.mesh", "at most one may be -1"),
    _one("a hidden state before the first", "evaluation.layer=-2", "config.evaluation.layer is -2"),
    _one("a way to pool that there is none of", "evaluation.pooling=max", "config.evaluation.pooling", "mean"),
    _file("no rows of the table", "made.intermediates = {}", "config.intermediates is empty", "'none'"),
    _file("a chain that is no tuple", 'made.intermediates = {"a": "mini_mnli"}', "config.intermediates.a", "tuple"),
    _file("a recipe that is no recipe", "made.by_task = {'mini_mnli': 3}", "config.by_task.mini_mnli is 3", "dict"),
    _file(
        "an unknown field for one task",
        "made.by_task = {'mini_mnli': {'epoch': 1.0}}",
        "config.by_task.mini_mnli.epoch",
        "did you mean 'epochs'",
    ),
    _file("a field of no type", "made.tokenizer = 3", "config.tokenizer is 3", "text"),
    _file("a missing recipe", "del made.recipes['mlm']", "config.recipes.mlm is missing"),
    Case(
        given="ten mistakes in one config: unknown fields, types, ranges, names, the encoder, the mesh",
        command="main --config=my.py",
        files={
            "my.py": config_file(
                "made.tokeniser = 1",
                "made.model.heads = 3",
                "made.mesh.data = 5",
                "made.recipes.target.stepz = 3",
                "made.recipes.target.rows = -1",
                "made.seeds = (1, 1)",
                "made.evaluation.pooling = 'meen'",
                "made.targets = ('mini_xnlo', 'mini_panx')",
                "made.retrieval = ('mini_xnli',)",
                "made.languages = {'mini_panx': ('xx',)}",
            )
        },
        says=(
            "config.tokeniser",
            "num_heads",
            "config.mesh",
            "stepz",
            "config.recipes.target.rows",
            "config.seeds",
            "meen",
            "mini_xnlo",
            "config.retrieval",
            "'xx'",
        ),
        lines=10,
    ),
]
