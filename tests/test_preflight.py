"""Preflight: formulas against hand counts and XLA's own, memory against the compiler's, advice that fits when taken.

What starts a TPU compiler runs in a process of its own, since its settings must be made before JAX starts.
"""

import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from etils import epath

from xtreme_stilts import config as config_lib
from xtreme_stilts import phase as phase_lib
from xtreme_stilts import study as study_lib
from xtreme_stilts import tasks
from xtreme_stilts.config import MeshConfig
from xtreme_stilts.data.loader import Shape, assemble
from xtreme_stilts.errors import UserError
from xtreme_stilts.models import Head, Model, preset
from xtreme_stilts.preflight import apart, chips, flops, programs
from xtreme_stilts.preflight.advice import Fields, advise
from xtreme_stilts.preflight.amounts import UNKNOWN, Amount, Amounts, total
from xtreme_stilts.preflight.check import estimate, trained_parameters
from xtreme_stilts.preflight.work import lay_out, recipe_fields, training_programs
from xtreme_stilts.tasks import sizes
from xtreme_stilts.training.mixed import Layout
from xtreme_stilts.training.optimizer import AdamW
from xtreme_stilts.training.sharding import make_mesh

ROOT = pathlib.Path(__file__).resolve().parents[1]
needs_tpu_compiler = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="no TPU compiler: pip install -e '.[preflight]'"
)

CONFIG = """
from xtreme_stilts import config as config_lib

def get_config(arg=None):
    config = config_lib.default()
    config.name = "small"
    config.model.preset, config.model.dropout, config.model.dtype = "mini", 0.0, "bfloat16"
    config.model.layers = 1
    config.targets = ("mini_xnli",)
    recipe = config.recipes.target
    recipe.steps, recipe.rows, recipe.length = 10, 8, 128
    config.evaluation.length, config.evaluation.rows = 256, 16
    return config
"""


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "small.py"
    path.write_text(CONFIG)
    return path


def python(code, *arguments, cwd=None):
    """A program in a process of its own, in which JAX is as a user finds it."""
    # JAX leaves traces of itself, such as TPU_LIBRARY_PATH.
    ours = ("JAX_", "XLA_", "TPU_", "TF_CPP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=170)


COMMAND = """
    import sys
    from xtreme_stilts.preflight.__main__ import main
    sys.exit(main(sys.argv))
"""


# --------------------------------------------------------------------------------------------------
# Chips


def test_every_slice_on_offer_is_read_and_counted():
    assert chips.parse("v5e:4x8").size == 32
    assert chips.parse("v5p:2x2x1").size == 4
    assert chips.parse("h100:8").size == 8
    assert str(chips.parse("v6e:2x4")) == "v6e:2x4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v5f:2x4", "no chip 'v5f'; did you mean 'v5"),
        ("v5e:3x3", "no slice '3x3' of v5e; did you mean '2x4'?"),
        ("v5p:2x4", "no slice '2x4' of v5p; did you mean '2x2x2'?"),
        ("h200:two", "'two' is no number of chips; write h200:1"),
        ("cpu:0", "'0' is no number of chips"),
    ],
)
def test_an_unknown_topology_is_a_sentence_with_the_nearest(text, said):
    with pytest.raises(UserError, match=f"--topology={text}") as error:
        chips.parse(text)
    assert said in str(error.value)


# --------------------------------------------------------------------------------------------------
# Operations

TINY = preset("mini", num_layers=3, hidden_size=8, num_heads=2, intermediate_size=32, vocab_size=50)


@pytest.mark.parametrize(
    ("head", "shape", "own"),
    [
        # two slots: pooler, dense and three labels for each
        (Head("classification", num_labels=3), Shape(rows=4, length=16, slots=2), 2 * 2 * (64 + 64 + 24)),
        (Head("classification", num_labels=3, pooling="cls"), Shape(rows=4, length=16, slots=2), 2 * 2 * (64 + 24)),
        (Head("choice", num_choices=4), Shape(rows=4, length=16, slots=2), 2 * 8 * (64 + 64 + 8)),
        (Head("tagging", num_labels=5), Shape(rows=4, length=16, slots=2), 2 * 16 * 8 * 5),
        (Head("span"), Shape(rows=4, length=16, slots=2), 2 * 16 * 8 * 2),
        # three masked tokens: a dense map, and the table as decoder
        (Head("mlm"), Shape(rows=4, length=16, masked=3), 2 * 3 * (64 + 8 * 50)),
    ],
)
def test_operations_of_a_row_counted_by_hand(head, shape, own):
    projections = 2 * 16 * (4 * 8 * 8 + 8 * 32 + 32 * 8)  # two operations a token and weight
    attention = 2 * (16 * 16 * 8) + 2 * (16 * 16 * 8)  # scores, then weighted values, all heads together
    assert flops.forward(TINY, head, shape=shape) == 3 * (projections + attention) + own
    assert flops.training(TINY, head, shape=shape) == 3 * flops.forward(TINY, head, shape=shape)


def test_an_embedding_stops_at_its_highest_layer():
    shape = Shape(rows=4, length=16, slots=2)
    layer = 2 * 16 * (4 * 64 + 2 * 8 * 32) + 4 * 256 * 8
    assert flops.forward(TINY, Head("embedding", layers=(0, 2)), shape=shape) == 2 * layer + 2 * 2 * 16 * 8 * 2


@pytest.mark.parametrize(
    ("head", "optimizer", "count"),
    [
        (Head("classification", num_labels=3), AdamW(), flops.training),
        (Head("mlm"), AdamW(), flops.training),
        (Head("tagging", num_labels=7), None, flops.forward),
    ],
)
def test_operations_agree_with_xlas_count_of_an_unrolled_model(head, optimizer, count):
    encoder = preset(
        "mini",
        num_layers=2,
        hidden_size=768,  # wide, so that what is not a matrix product is little
        num_heads=4,
        intermediate_size=3072,
        vocab_size=2000,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        scan_layers=False,
    )
    shape = Shape.packed(4, length=128, mask_rate=0.15 if head.kind == "mlm" else 0.0)
    model, mesh = Model(encoder, {"head": head}), make_mesh(MeshConfig())
    program = programs.Program(model=model, head="head", shape=shape, optimizer=optimizer)
    counted = programs.lower(program, mesh=mesh).compile().cost_analysis()["flops"]
    counted -= 20 * programs.parameters(model) if optimizer else 0  # AdamW, some operations a parameter
    assert shape.rows * count(encoder, head, shape=shape) == pytest.approx(counted, rel=0.03)


# --------------------------------------------------------------------------------------------------
# Programs


def cached(kind, folder, **options):
    """A cache of three made-up examples, with the miniature's tokenizer."""
    from xtreme_stilts.data import cache as cache_lib
    from xtreme_stilts.data.features import Example
    from xtreme_stilts.data.tokenizer import load_tokenizer

    examples = {
        "classification": {"inputs": ("a b c", "d e"), "targets": ("yes",)},
        "regression": {"inputs": ("a b c",), "targets": ("2.5",)},
        "choice": {"inputs": ("a b", "c", "d"), "targets": ("1",)},
        "tagging": {"inputs": ("a", "b"), "targets": ("X", "Y")},
        "span": {"inputs": ("a b", "c d e"), "targets": ("d",), "starts": (2,)},
        "mlm": {"inputs": ("a b c d e f g h",), "targets": ()},
        "embedding": {"inputs": ("a b c",), "targets": ("1",)},
    }[kind]
    made = [Example.of({"id": str(i), "starts": (), **examples}) for i in range(3)]
    return cache_lib.build(
        f"made_{kind}", "train", kind=kind, tokenizer=load_tokenizer("mini"), cache_dir=folder, examples=made, **options
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("classification", {"labels": ("no", "yes")}),
        ("regression", {}),
        ("choice", {"num_choices": 2}),
        ("tagging", {"labels": ("X", "Y")}),
        ("span", {}),
        ("mlm", {}),
        ("embedding", {}),
    ],
)
def test_an_empty_batch_has_the_arrays_of_a_real_one(kind, options, tmp_path):
    from xtreme_stilts.data.loader import Masking

    cache = cached(kind, tmp_path, **options)
    shape = Shape.packed(2, length=48, choices=cache.num_choices, mask_rate=0.15 if kind == "mlm" else 0.0)
    tickets = np.full((2, shape.slots), -1, np.int64)
    tickets[0, 0], tickets[1, 0] = 0, 1
    real = assemble(cache, tickets, shape=shape, masking=Masking(seed=0) if kind == "mlm" else None)
    empty = programs.batch_shapes(kind, shape=shape, choices=cache.num_choices)
    assert {k: (v.shape, v.dtype) for k, v in empty.items()} == {k: (v.shape, v.dtype) for k, v in real.items()}


MIXED = {"cls": Head("classification", num_labels=3), "span": Head("span"), "mlm": Head("mlm")}


def mixed_program(*, rows: int = 2, accumulate: int = 4) -> programs.Program:
    """A step on micro-batches of three tasks."""
    first, *others = (
        (name, Shape.packed(rows, length=32, choices=1, mask_rate=0.15 if name == "mlm" else 0.0)) for name in MIXED
    )
    return programs.Program(
        model=Model(dataclasses.replace(TINY, num_layers=1), MIXED),
        head=first[0],
        shape=first[1],
        optimizer=AdamW(),
        accumulate=accumulate,
        others=tuple(others),
    )


def test_a_step_on_several_tasks_is_the_one_that_a_run_compiles():
    program, mesh = mixed_program(), make_mesh(MeshConfig())
    assert str(program) == "train classification + span + mlm 2 x 32 x 4"
    likes = [programs.batch_shapes(MIXED[name].kind, shape=shape) for name, shape in program.parts]
    layout = Layout.of(program.model, heads=list(MIXED), like=likes)
    assert len(layout.branches) == 3
    stacked = layout.stack([likes[0], likes[2], likes[1], likes[0]])  # as the loop makes a step's batch
    _, batch, _, _, draws = programs.lower(program, mesh=mesh).in_avals[0]
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
        name: (x.shape, x.dtype) for name, x in stacked.items()
    }
    assert (draws.task.shape, draws.task.dtype, draws.loss_weight.shape) == ((4,), np.int32, (3,))
    found = programs.compile_program(program, mesh=mesh, limit=2**40).memory
    held = programs.argument_bytes(program, mesh=mesh) + sum(x.nbytes for x in stacked.values())
    assert found.arguments == pytest.approx(held, abs=1000)  # what the step does not look at is not passed
    assert found.temporaries > 0


def test_a_described_program_is_the_same_one():
    for program in (mixed_program(), dataclasses.replace(mixed_program(), others=(), optimizer=None)):
        assert apart._program(json.loads(json.dumps(apart._described(program)))) == program


def test_bytes_of_the_arguments_are_those_of_parameters_and_moments():
    model = Model(TINY, {"head": Head("span")})
    mesh = make_mesh(MeshConfig())
    embeddings = 50 * 8 + 514 * 8 + 8 + 2 * 8  # words, positions, the one type, norm
    layer = 4 * (8 * 8 + 8) + (8 * 32 + 32) + (32 * 8 + 8) + 2 * 2 * 8
    count = embeddings + 3 * layer + (8 * 8 + 8) + (8 * 2 + 2)  # pooler, head
    program = programs.Program(model=model, head="head", shape=Shape(rows=2, length=16))
    assert programs.parameters(model) == count
    assert programs.argument_bytes(program, mesh=mesh) == 4 * count
    trained = dataclasses.replace(program, optimizer=AdamW())
    assert programs.argument_bytes(trained, mesh=mesh) == 12 * count + 4 + 4  # two moments, and two step counters
    halved = dataclasses.replace(program, optimizer=AdamW(moment="bfloat16"))
    assert programs.argument_bytes(halved, mesh=mesh) == 10 * count + 4 + 4


def test_memory_is_what_the_compiler_reports():
    model = Model(dataclasses.replace(TINY, num_layers=1), {"head": Head("span")})
    program = programs.Program(model=model, head="head", shape=Shape(rows=2, length=16))
    mesh = make_mesh(MeshConfig())
    reported = programs.lower(program, mesh=mesh).compile().memory_analysis()
    needed = reported.argument_size_in_bytes + reported.temp_size_in_bytes + reported.output_size_in_bytes
    found = programs.compile_program(program, mesh=mesh, limit=needed)
    assert found.memory.arguments == reported.argument_size_in_bytes > programs.argument_bytes(program, mesh=mesh)
    assert found.memory.temporaries == reported.temp_size_in_bytes > 0
    assert found.memory.total == needed
    assert found.fits and not found.rematerialized
    assert not programs.compile_program(program, mesh=mesh, limit=needed - 1).fits


@pytest.mark.parametrize(
    ("said", "temporaries"),
    [
        ("RESOURCE_EXHAUSTED: ... the total memory required for HLO temporaries (19.50G) exceeds (15.75G).", 18.5),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 18.00G of 15.75G hbm.", 17.0),
    ],
)
def test_a_refusal_tells_what_was_needed(said, temporaries):
    memory = programs.OutOfMemory(said, log="").memory(2**30)
    assert (memory.arguments, memory.temporaries) == (2**30, temporaries * 2**30)


TOO_LARGE = """
    from xtreme_stilts.preflight import chips
    topology = chips.parse("v5e:1x1")
    chips.prepare([topology])
    import jax
    from xtreme_stilts.preflight import programs
    device = chips.devices(topology)[0]
    x = jax.ShapeDtypeStruct((2**31,), "float32", sharding=jax.sharding.SingleDeviceSharding(device))
    try:
        programs.compile_lowered(jax.jit(lambda x: x + 1).lower(x))
    except programs.OutOfMemory as refusal:
        print(*refusal.memory(2**33))
"""


@needs_tpu_compiler
def test_the_tpu_compiler_refuses_what_does_not_fit_and_says_how_much_it_was():
    # 8 GiB go in and 8 come out, of 15.75
    assert python(TOO_LARGE).stdout.split() == [str(2**33), str(2**33), "0", "0"]


RESHARDED = """
    from xtreme_stilts.preflight import chips
    topology = chips.parse("cpu:8")
    chips.prepare([topology])  # before JAX starts
    import jax, numpy as np
    from xtreme_stilts.preflight import programs
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    mesh = Mesh(np.array(chips.devices(topology)).reshape(2, 2, 2), ("a", "b", "c"))
    x = jax.ShapeDtypeStruct((16, 16, 16), "float32", sharding=NamedSharding(mesh, P("a", "b", None)))
    for to in (P(None, None, ("a", "b")), P("b", None, None)):
        constrain = lambda x: jax.lax.with_sharding_constraint(x + 1, NamedSharding(mesh, to))
        print(programs.involuntary(programs.compile_lowered(jax.jit(constrain).lower(x)).log))
"""


def test_the_partitioners_warnings_are_counted_once_each():
    done = python(RESHARDED)
    bad, good = done.stdout.splitlines()
    assert bad.count("{devices=[2,2,1,2]<=[8] last_tile_dim_replicate} -> ") == 1 and "f32[8,8,16]" in bad
    assert good == "[]"
    assert "Involuntary" not in done.stderr


# --------------------------------------------------------------------------------------------------
# Advice


def advice(fits, *, rows=8, accumulate=1, trains=True, limit=2**40, others=()):
    """The advice where `fits(program, mesh)` decides, and all that was compiled."""
    program = programs.Program(
        model=Model(TINY, {"head": Head("span")}),
        head="head",
        shape=Shape(rows=rows, length=16),
        optimizer=AdamW() if trains else None,
        accumulate=accumulate,
        others=others,
    )
    tried = []

    def compile_on(program, mesh):
        tried.append((program.shape.rows, program.accumulate, program.model.config.remat, mesh.shape["fsdp"]))
        memory = programs.Memory(1, 1, 0, 0)
        return programs.Compiled(memory=memory, fits=fits(*tried[-1]), rematerialized=(), seconds=0.0)

    devices = np.array(jax.devices() * 2)  # two chips are laid out; nothing is compiled for them
    found = advise(
        program,
        fields=Fields("by_task.x.rows", "by_task.x.accumulate"),
        mesh=MeshConfig(),
        make_mesh=lambda config: make_mesh(config, devices=devices),
        compile_on=compile_on,
        limit=limit,
    )
    return found, tried


def test_fewer_rows_are_tried_first_and_keep_the_optimizer_step():
    found, tried = advice(lambda rows, *_: rows == 2, accumulate=3)
    assert found.flags == ("--config.by_task.x.rows=2", "--config.by_task.x.accumulate=12")
    assert tried == [(4, 6, "none", 1), (2, 12, "none", 1)]


def test_half_the_rows_are_half_of_every_tasks():
    half = mixed_program(rows=8, accumulate=4).with_half_the_rows()
    assert half == mixed_program(rows=4, accumulate=8)


def test_a_step_on_several_tasks_gets_fewer_rows_last():
    _, tried = advice(lambda *asked: False, others=(("head", Shape(rows=8, length=16)),))
    assert [(remat, fsdp) for rows, _, remat, fsdp in tried if rows == 8] == [
        ("dots", 1), ("full", 1), ("none", 2), ("dots", 2), ("full", 2),
    ]  # fmt: skip
    assert tried[5:] == [(4, 2, "full", 2), (2, 4, "full", 2)]


def test_rematerialisation_and_fsdp_follow_in_order():
    found, tried = advice(lambda *asked: False, rows=2)
    assert found is None
    assert tried == [
        (2, 1, "dots", 1),
        (2, 1, "full", 1),
        (2, 1, "none", 2),
        (2, 1, "dots", 2),
        (2, 1, "full", 2),
    ]
    found, _ = advice(lambda rows, accumulate, remat, fsdp: fsdp == 2 and remat == "full")
    assert found.flags == ("--config.mesh.data=1", "--config.mesh.fsdp=-1", "--config.model.remat=full")


def test_what_the_arguments_alone_rule_out_is_not_compiled():
    model = Model(TINY, {"head": Head("span")})
    whole = 12 * programs.parameters(model)
    _, tried = advice(lambda *asked: False, limit=whole * 3 // 4)
    assert {fsdp for *_, fsdp in tried} == {2}


def test_evaluation_is_only_told_to_take_fewer_rows_or_shard():
    _, tried = advice(lambda *asked: False, trains=False, rows=4)
    assert tried == [(2, 1, "none", 1), (4, 1, "none", 2), (2, 1, "none", 2)]


# --------------------------------------------------------------------------------------------------
# Amounts


@pytest.fixture
def small_study(tmp_path):
    """A study of one small file task, and the folder of its caches."""
    rows = [{"text": " ".join("abcdefgh"[: 2 + i % 6]), "label": "xy"[i % 2]} for i in range(90)]
    for split, count in (("train", 90), ("test", 30)):
        text = "\n".join(json.dumps(row) for row in rows[:count])
        (tmp_path / f"{split}.en.jsonl").write_text(text)
    config = config_lib.default()
    config.model.preset = "mini"
    config.tasks = {
        "tiny_cls": {
            "kind": "classification",
            "files": {split: str(tmp_path / f"{split}.{{language}}.jsonl") for split in ("train", "test")},
            "languages": ("en",),
        }
    }
    config.model.width, config.model.layers, config.model.heads, config.model.mlp = 16, 1, 2, 32
    config.targets = ("tiny_cls",)
    recipe = config.recipes.target
    recipe.epochs, recipe.rows, recipe.length = 3.0, 2, 64
    return config


def amounts_of(config, folder, **options):
    study = config_lib.parse(config)
    study_lib.register(study)
    work = lay_out(study, devices=jax.devices(), workdir=epath.Path(folder), cache_dir=folder / "cache")
    return work, Amounts(work.setting, has_tokenizer=work.has_tokenizer, **options)


def test_amounts_come_from_caches_else_from_a_sample_of_the_rows(small_study, tmp_path):
    work, amounts = amounts_of(small_study, tmp_path)
    (phase,) = work.plan.phases
    (sampled,) = amounts.trained(phase).values()
    assert sampled.source == "sample"
    cache = work.setting.cache("tiny_cls.en", "train", max_length=64)
    (exact,) = Amounts(work.setting, has_tokenizer=True).trained(phase).values()
    assert exact.source == "caches"
    assert exact.tokens == 3 * cache.num_tokens
    assert sampled[:2] == pytest.approx(exact[:2])  # 90 rows are fewer than a sample
    assert math.ceil(exact.rows / 2) == phase_lib._steps(phase.recipe, [cache])  # what a run would do
    evaluated = amounts.evaluated(tasks.family("tiny_cls"), max_length=64)
    test = work.setting.cache("tiny_cls.en", "test", max_length=64)
    assert evaluated.tokens == pytest.approx(test.num_tokens, rel=0.1)


def test_steps_decide_where_they_are_given_and_tokens_where_nothing_is_known(small_study, tmp_path):
    small_study.tokenizer, small_study.model.preset = "", "base"  # no tokenizer: nothing can be measured
    work, amounts = amounts_of(small_study, tmp_path)
    assert not work.has_tokenizer and work.setting.encoder.vocab_size == 250002
    (phase,) = work.plan.phases
    assert list(amounts.trained(phase).values()) == [UNKNOWN]
    asked = Amounts(work.setting, has_tokenizer=False, tokens=6400)
    assert list(asked.trained(phase).values()) == [Amount(100, 6400, "--tokens")]
    small_study.recipes.target.steps, small_study.recipes.target.accumulate = 10, 2
    work, amounts = amounts_of(small_study, tmp_path)
    assert list(amounts.trained(work.plan.phases[0]).values()) == [Amount(40, 40 * 64, "recipe")]


def test_where_data_are_not_here_it_is_their_published_size_times_the_lengths_of_what_is(
    small_study, tmp_path, monkeypatch
):
    for split in ("train", "test"):  # German is half as long again
        text = (tmp_path / f"{split}.en.jsonl").read_text()
        (tmp_path / f"{split}.de.jsonl").write_text(text.replace('"text": "a b', '"text": "a b a b a b'))
    small_study.tasks["tiny_cls"]["languages"] = ("en", "de")
    here = {("tiny_cls.de", "test"): 30}
    monkeypatch.setattr(sizes, "rows", lambda name, split: here.get((name, split)))
    monkeypatch.setattr(sizes, "published", lambda name, split: sizes.PublishedSize(1000, "a page"))
    work, amounts = amounts_of(small_study, tmp_path)
    (phase,) = work.plan.phases
    (like_german,) = amounts.trained(phase).values()
    evaluated = amounts.evaluated(tasks.family("tiny_cls"), max_length=64)
    here["tiny_cls.en", "test"] = 30  # its own test set comes first
    (like_english,) = Amounts(work.setting, has_tokenizer=True).trained(phase).values()
    english, german = (work.setting.cache(f"tiny_cls.{code}", "test", max_length=64) for code in ("en", "de"))
    assert english.mean_length < german.mean_length
    assert like_german.source == like_english.source == evaluated.source == "published"
    assert like_german.tokens == pytest.approx(3 * 1000 * german.mean_length)
    assert like_english.tokens == pytest.approx(3 * 1000 * english.mean_length)
    assert evaluated.tokens == pytest.approx((1000 + 30) * german.mean_length)


def test_where_nothing_can_be_read_the_published_size_is_an_upper_bound(small_study, tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "rows", lambda name, split: None)
    monkeypatch.setattr(sizes, "published", lambda name, split: sizes.PublishedSize(1000, "a page"))
    work, amounts = amounts_of(small_study, tmp_path)
    (phase,) = work.plan.phases
    assert list(amounts.trained(phase).values()) == [Amount(3000, 3 * 1000 * 64, "bound")]  # a row has 64 tokens
    length = work.setting.study.evaluation.length
    rows = math.ceil(1000 / (length // 64))
    assert amounts.evaluated(tasks.family("tiny_cls"), max_length=64) == Amount(rows, 1000 * 64, "bound")
    asked = Amounts(work.setting, has_tokenizer=True, tokens=6400)
    assert list(asked.trained(phase).values()) == [Amount(100, 6400, "--tokens")]
    small_study.recipes.target.steps = 10  # rows of a step are full at most, however long an example is
    work, amounts = amounts_of(small_study, tmp_path)
    assert list(amounts.trained(work.plan.phases[0]).values()) == [Amount(20, 20 * 64, "recipe")]


def test_a_sum_is_as_sure_as_its_worst_part():
    assert total([Amount(1, 2, "caches"), Amount(3, 4, "recipe")]) == Amount(4, 6, "recipe")
    assert total([Amount(1, 2, "published"), Amount(3, 4, "sample")]) == Amount(4, 6, "published")
    assert total([Amount(1, 2, "bound"), Amount(3, 4, "--tokens")]) == Amount(4, 6, "bound")
    assert total([Amount(1, 2, "bound"), UNKNOWN]) == UNKNOWN
    assert total([Amount(1, 2, "caches"), UNKNOWN]) == UNKNOWN


def test_the_program_that_fits_is_the_one_its_flags_make(small_study, tmp_path):
    small_study.recipes.target.rows = 64
    study = config_lib.parse(small_study)
    study_lib.register(study)
    places = {"devices": jax.devices(), "workdir": epath.Path(tmp_path), "cache_dir": tmp_path}
    work = lay_out(study, **places)
    (phase,) = work.plan.phases
    (program,) = training_programs(phase, setting=work.setting).values()
    limit = programs.compile_program(program, mesh=work.setting.mesh, limit=0).memory.total * 3 // 4
    compiled = []

    def compile_on(program, mesh):
        compiled.append(program)
        return programs.compile_program(program, mesh=mesh, limit=limit)

    advice = advise(
        program,
        fields=recipe_fields(study, phase),
        mesh=study.mesh,
        make_mesh=make_mesh,
        compile_on=compile_on,
        limit=limit,
    )
    assert advice.compiled.memory.total <= limit
    for flag in advice.flags:
        field, _, value = flag.removeprefix("--config.").partition("=")
        small_study.update_from_flattened_dict({field: int(value)})
    study = config_lib.parse(small_study)
    again = lay_out(study, **places)
    (fitting,) = training_programs(again.plan.phases[0], setting=again.setting).values()
    assert fitting == compiled[-1] != program
    assert fitting.shape.rows * fitting.accumulate == 64


@pytest.mark.parametrize("rows", [0, 4])
def test_where_a_step_has_tokens_only_it_costs_the_same(small_study, tmp_path, rows):
    """16 rows a step, named as rows, or as tokens with micro-batches of what fits or of four rows."""
    recipe = small_study.recipes.target
    recipe.rows, recipe.epochs, recipe.steps = 16, 0.0, 5
    topology = chips.parse("cpu:1")  # once: its speed is measured

    def estimated():
        study = config_lib.parse(small_study)
        study_lib.register(study)
        work = lay_out(study, devices=jax.devices()[:1], workdir=epath.Path(tmp_path), cache_dir=tmp_path)
        (found,) = estimate(work, topology=topology, mfu=0.4, tokens=0)
        return found

    plain = estimated()
    recipe.rows, recipe.tokens_per_step = rows, 16 * 64
    found = estimated()
    assert found.trained.rows == plain.trained.rows == 5 * 16
    assert found.training.optimizer_hours == pytest.approx(plain.training.optimizer_hours)
    assert found.training.flops == pytest.approx(plain.training.flops, rel=0.1)  # rows are packed a batch at a time
    assert str(found.programs[0]) == f"train classification {rows or 1} x 64 x {16 // (rows or 1)}"


def test_a_phase_that_mixes_tasks_in_a_step_has_one_program(small_study, tmp_path):
    small_study.tasks["tiny_reg"] = {
        "kind": "regression",
        "files": dict.fromkeys(("train", "test"), str(tmp_path / "numbers.{language}.jsonl")),
        "languages": ("en",),
    }
    (tmp_path / "numbers.en.jsonl").write_text("\n".join(json.dumps({"text": "a b", "label": 1.5}) for _ in range(20)))
    small_study.mixtures = {"both": {"tasks": ("tiny_cls", "tiny_reg"), "heads": "mixed"}}
    small_study.intermediates = {"both": ("both",)}
    recipe = small_study.recipes.intermediate
    recipe.steps, recipe.rows, recipe.length, recipe.accumulate = 5, 2, 64, 3
    study = config_lib.parse(small_study)
    study_lib.register(study)
    work = lay_out(study, devices=jax.devices(), workdir=epath.Path(tmp_path), cache_dir=tmp_path)
    topology = chips.parse("cpu:1")
    (both, target) = estimate(work, topology=topology, mfu=0.4, tokens=0)
    assert [str(program) for program in both.programs] == ["train classification + regression 2 x 64 x 3"]
    assert str(target.programs[0]) == "train classification 2 x 64"
    # The cost is that of both tasks: 5 steps of 3 micro-batches of 2 rows in all.
    assert both.trained.rows == 5 * 3 * 2 and both.training.flops > 0
    parameters = trained_parameters(both.programs[0], mesh=work.setting.mesh)
    moved = 5 * 28 * parameters / topology.chip.bandwidth / 3600
    assert both.training.optimizer_hours == pytest.approx(moved)


# --------------------------------------------------------------------------------------------------
# The command


@needs_tpu_compiler
def test_a_small_study_on_a_tpu_slice(config_file, tmp_path):
    out = tmp_path / "report.json"
    done = python(
        COMMAND, f"--config={config_file}", "--topology=v5e:2x2", "--tokens=1000", f"--json={out}", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(out.read_text())
    train, evaluate = report["programs"]
    assert train["program"] == "train classification 8 x 128" and evaluate["trains"] is False
    assert report["chips"] == 4 and report["memory_is_exact"] and report["fits"]
    assert train["memory"]["arguments"] > 12 * train["parameters"]
    assert train["involuntary_rematerializations"] == []
    (phase,) = report["phases"]
    assert phase["training"]["tokens"] == pytest.approx(10 * 8 * 128, rel=0.2)  # 10 steps of packed rows
    assert phase["training"]["compute_hours"] == pytest.approx(phase["training"]["flops"] / (0.4 * 197e12 * 4) / 3600)
    adamw = 10 * 28 * train["parameters"] / 819e9 / 3600
    assert phase["training"]["optimizer_hours"] == pytest.approx(adamw, rel=1e-3)
    whole = phase["training"]["hours"] + phase["evaluation"]["hours"]
    assert report["total"]["chip_hours"] == pytest.approx(4 * whole)
    assert "upper bound" in done.stdout and "train classification 8 x 128" in done.stderr


WITHOUT_LIBTPU = """
    import sys
    sys.modules["libtpu"] = None  # its import fails
    from xtreme_stilts.preflight import chips
    topology = chips.parse("v5e:2x2")
    chips.prepare([topology])
    chips.devices(topology)
"""


def test_without_libtpu_it_is_said_how_to_get_it():
    said = python(WITHOUT_LIBTPU).stderr.splitlines()[-1]
    assert "UserError: --topology=v5e:2x2 needs the TPU compiler, libtpu; install it with pip install -e" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--topology=v5e:2x5",), "no slice '2x5' of v5e; did you mean"),
        ((), "no chips were given; try --topology=v5e:2x4"),
        (("--topology=cpu:1", "--config.mesh.tensor=4"), "config.mesh is data=-1, fsdp=1, tensor=4; the product must"),
        (
            ("--topology=cpu:1", "--config.model.presett=base"),
            "config.model.presett is not a field; did you mean 'preset'?",
        ),
        (("--topology=cpu:1", "--mfu=2"), "mfu"),
    ],
)
def test_bad_input_is_a_sentence(arguments, said, config_file, capsys):
    from xtreme_stilts.preflight.__main__ import main

    assert main(["preflight", f"--config={config_file}", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error
