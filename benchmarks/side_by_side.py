"""What train_step and inference share: the plan of batches for every side, the rounds, the ratios.

Sides and workloads:

- ours: packed batches; and the padded batch `same`, which both sides take, row for row;
- hf (PyTorch): padded to the longest row of the batch (`dynamic`), to a fixed width (`max`), `same`, and on CPU
  `dynamic_bf16`, under bfloat16 autocast.

On CPU a step has as many examples on either side, about (a packed step takes what fits; the report tells how many).
On an accelerator a step has `--tokens-per-step` tokens, padding included, on either side. Both report real tokens a
second. A share of the peak is matrix-product FLOPs over seconds, over the fastest square matrix product that any side
ran here in the same type.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import common, models
from benchmarks import rows as rows_lib
from xtreme_stilts.errors import UserError
from xtreme_stilts.models import preset

FACTORIES = {"ours": "benchmarks.jax_side:JaxSide", "hf": "benchmarks.torch_side:TorchSide"}
FILL = 0.97  # of packed rows, to plan how many hold a step's examples


def arguments(doc: str, *, repeats: int) -> argparse.ArgumentParser:
    """The command line of both benchmarks."""
    parser = common.arguments(doc, repeats=repeats)
    common.add_data(parser)
    parser.add_argument("--preset", choices=("mini", "base", "large"), help="default: base on cpu, large on gpu")
    parser.add_argument("--lengths", choices=sorted(rows_lib.SETS), default="xnli", help="whose rows")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--examples", type=int, default=0, help="examples of a step on cpu (default: 32, squad 8)")
    parser.add_argument("--tokens-per-step", type=int, default=32768, help="tokens of a step on gpu, padding included")
    parser.add_argument("--micro-tokens", type=int, default=0, help="ours, of a micro-batch (cpu: 1024, gpu: 16384)")
    parser.add_argument("--layers", choices=("unrolled", "scan"), help="ours (default: unrolled on cpu, scan on gpu)")
    parser.add_argument("--remat", choices=("none", "dots", "full"), default="none", help="ours")
    return parser


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments with the defaults that depend on others filled in."""
    given = common.parsed(parser, argv)
    found, on_cpu = rows_lib.SETS[given.lengths], given.device == "cpu"
    given.preset = given.preset or ("base" if on_cpu else "large")
    given.micro_tokens = given.micro_tokens or (1024 if on_cpu else 16384)
    given.layers = given.layers or ("unrolled" if on_cpu else "scan")
    if given.quick:
        given.repeats, given.examples, given.tokens_per_step = min(given.repeats, 2), 4, 2 * found.width
        given.layers, given.data = "scan", ""  # the small vocabulary has no room for real ids
    given.examples = given.examples or found.examples
    if not on_cpu:
        given.examples = given.tokens_per_step // found.width
    if given.examples < 1:
        raise UserError(f"a step has {given.examples} examples; give at least one, or {found.width} tokens a step")
    return given


def plans(given: argparse.Namespace, *, mean: float) -> dict[str, dict[str, dict[str, Any]]]:
    """Side -> workload -> arguments of `rows.make`.

    Args:
        mean: tokens of a row on average.
    """
    found, on_cpu = rows_lib.SETS[given.lengths], given.device == "cpu"
    length, steps = found.packed_length, given.repeats + 1
    tokens = given.examples * mean / FILL if on_cpu else given.tokens_per_step
    needed = max(1, round(tokens / length))
    micro_batches = max(1, round(needed * length / given.micro_tokens))
    packed = {
        "layout": "packed",
        "steps": steps,
        "micro_batches": micro_batches,
        "micro_rows": max(1, round(needed / micro_batches)),
        "length": length,
    }
    # The same padded batch: one micro-batch on CPU, where a step of ours is never larger, a whole step elsewhere.
    same = max(1, min(given.examples, given.micro_tokens // found.width)) if on_cpu else given.examples
    parts = _divisor(same, wanted=same * found.width / given.micro_tokens)
    padded = {"layout": "padded", "steps": steps, "micro_batches": 1, "examples": given.examples}
    autocast = not on_cpu
    hf = {
        "dynamic": {**padded, "width": 0, "autocast": autocast},
        "max": {**padded, "width": found.width, "autocast": autocast},
        "same": {**padded, "examples": same, "width": found.width, "autocast": autocast},
    }
    if on_cpu:
        hf["dynamic_bf16"] = {**hf["dynamic"], "autocast": True}
    ours_same = {**padded, "examples": same, "width": found.width, "micro_batches": parts}
    return {"ours": {"packed": packed, "same": ours_same}, "hf": hf}


def _divisor(number: int, *, wanted: float) -> int:
    """The least divisor of `number` that is not below `wanted`."""
    return next(d for d in range(1, number + 1) if number % d == 0 and d >= min(wanted, number))


class _Run(NamedTuple):
    """What the sides did."""

    plan: dict[str, dict[str, dict[str, Any]]]
    described: dict[str, common.Sample]
    peaks: dict[str, float]  # type -> FLOP/s
    first: dict[str, float]  # workload -> seconds of its first call
    samples: dict[str, list[common.Sample]]


def compare(given: argparse.Namespace, *, name: str, training: bool, embeddings: Sequence[str]) -> dict[str, Any]:
    """Runs all sides and reports.

    Args:
        embeddings: word tables of ours; the first is the one compared with hf.
    """
    facts, found = common.machine(), rows_lib.SETS[given.lengths]
    notes = [] if given.data else [f"lengths are drawn from a histogram of {found.task}, ids at random"]
    if not _hf_installed():
        notes.append("torch or transformers is not installed: our side alone")
    run = _run(given, training=training, embeddings=embeddings)
    summaries = {key: summarised(taken, peak=run.peaks, dtype=_dtype(key, given)) for key, taken in run.samples.items()}
    show(summaries)
    return common.report(
        name,
        given=given,
        machine=facts,
        sides=summaries,
        ratios=ratios_of(run.samples, embeddings=embeddings),
        notes=notes,
        matmul_peak_gflops={dtype: peak / 1e9 for dtype, peak in run.peaks.items()},
        described=run.described,
        first_call_seconds=run.first,
        plans=run.plan,
    )


def encoder_of(given: argparse.Namespace) -> dict[str, Any]:
    """Our encoder: arguments of `xtreme_stilts.models.preset`."""
    return models.encoder(
        given.preset,
        quick=given.quick,
        dtype="float32" if given.device == "cpu" else "bfloat16",
        remat=given.remat,
        scan_layers=given.layers == "scan",
    )


class Prepared(NamedTuple):
    """What every side is given."""

    rows: str  # file of `rows.save`
    plans: dict[str, dict[str, dict[str, Any]]]  # of `plans`


def prepare(given: argparse.Namespace, *, encoder: Mapping[str, Any], folder: str) -> Prepared:
    """Writes the rows into a folder, and lays out the batches."""
    found, path = rows_lib.SETS[given.lengths], pathlib.Path(folder) / "rows.npz"
    print(f"reading rows of {found.task} {'from ' + given.data if given.data else '(made up)'}", flush=True)
    vocab_size = preset(**encoder).vocab_size
    rows = rows_lib.rows_of(given.lengths, data=given.data, count=4096, vocab_size=vocab_size)
    rows_lib.save(rows, path)
    return Prepared(str(path), plans(given, mean=float(rows.sizes.mean())))


def _run(given: argparse.Namespace, *, training: bool, embeddings: Sequence[str]) -> _Run:
    encoder = encoder_of(given)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        rows, plan = prepare(given, encoder=encoder, folder=folder)
        shared = {"training": training, "rows": rows}
        settings = _settings(given, encoder=encoder, embeddings=embeddings, plan=plan, shared=shared)
        environ = common.environment(device=given.device)
        running = {
            side: stack.enter_context(common.Side(FACTORIES[side.partition("_")[0]], settings=own, environ=environ))
            for side, own in settings.items()
        }
        print(f"starting {', '.join(running)}", flush=True)
        described = common.call_all(running, "describe")
        peaks = measure_peaks(running, given=given)
        workloads = {
            f"{side}_{workload}": functools.partial(process.call, "step", workload=workload)
            for side, process in running.items()
            for workload in plan[side.partition("_")[0]]
        }
        first = {}
        for key, take in workloads.items():
            first[key] = take()["seconds"]
            print(f"  first call of {key}: {first[key]:.1f} s", flush=True)
        samples = common.interleave(workloads, repeats=given.repeats, say=functools.partial(print, flush=True))
    return _Run(plan, described, peaks, first, samples)


def _settings(
    given: argparse.Namespace,
    *,
    encoder: Mapping[str, Any],
    embeddings: Sequence[str],
    plan: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Side -> settings of its object; ours has a side for each kind of word table."""
    active = rows_lib.SETS[given.lengths].active
    ours = {**shared, "encoder": dict(encoder), "active": active, "plans": plan["ours"]}
    sides = {f"ours_{table}": {**ours, "embeddings": table} for table in embeddings}
    if _hf_installed():
        fields = preset(**encoder).to_hf()
        del fields["model_type"]
        on = {"device": "cuda", "compiled": True} if given.device == "gpu" else {"device": "cpu", "compiled": False}
        sides["hf"] = {**shared, "encoder": fields, "plans": plan["hf"], **on}
    return sides


def _hf_installed() -> bool:
    return common.installed("torch") and common.installed("transformers")


def _dtype(key: str, given: argparse.Namespace) -> str:
    return "bfloat16" if given.device == "gpu" or key.endswith("bf16") else "float32"


def measure_peaks(running: Mapping[str, common.Side], *, given: argparse.Namespace) -> dict[str, float]:
    """Type -> most FLOP/s of a square matrix product on any side."""
    size = 256 if given.quick else {"cpu": 3072, "gpu": 8192}[given.device]
    types = ("float32", "bfloat16") if given.device == "cpu" else ("bfloat16",)
    peaks = {}
    for dtype in types:
        products = {
            side: functools.partial(process.call, "matmul", size=size, dtype=dtype) for side, process in running.items()
        }
        taken = common.interleave(products, repeats=3, say=lambda line: None)
        peaks[dtype] = max(sample["flops"] / sample["seconds"] for samples in taken.values() for sample in samples)
        print(f"  matrix products in {dtype}: {peaks[dtype] / 1e9:,.0f} GFLOP/s", flush=True)
    return peaks


def summarised(samples: Sequence[common.Sample], *, peak: Mapping[str, float], dtype: str) -> dict[str, Any]:
    """A workload's numbers for the report."""
    found = common.summary(samples, counts=("tokens", "examples", "flops", "useful_flops"))
    computed = sum(sample["computed"] for sample in samples)
    return {
        **found,
        "dtype": dtype,
        "examples": sum(sample["examples"] for sample in samples) / len(samples),
        "fill": sum(sample["tokens"] for sample in samples) / computed,
        "peak_share": found["flops_per_s"] / peak[dtype],
        "useful_peak_share": found["useful_flops_per_s"] / peak[dtype],
    }


def show(summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """The table of all workloads."""
    columns = {
        "s/step": "seconds",
        "examples": "examples",
        "fill": "fill",
        "real tokens/s": "tokens_per_s",
        "TFLOP/s real": "useful_flops_per_s",
        "% of peak": "peak_share",
        "real, %": "useful_peak_share",
        "peak MiB": "peak_mib",
    }
    scale = {"peak_share": 100, "useful_peak_share": 100, "useful_flops_per_s": 1e-12}
    rows = [
        [name, *(float(values.get(key, math.nan)) * scale.get(key, 1) for key in columns.values())]
        for name, values in summaries.items()
    ]
    print()
    print(common.table(("workload", *columns), rows))


def ratios_of(samples: Mapping[str, Sequence[common.Sample]], *, embeddings: Sequence[str]) -> dict[str, float]:
    """Ratios of medians: rates are ours over theirs, times and memory too."""
    ratios = {}
    main, ours = embeddings[0], f"ours_{embeddings[0]}"
    paddings = {"max_padding": "hf_max", "dynamic_padding": "hf_dynamic", "dynamic_padding_bf16": "hf_dynamic_bf16"}
    for words, theirs in paddings.items():
        if theirs in samples:
            rates = (common.median_rate(samples[key], "tokens") for key in (f"{ours}_packed", theirs))
            ratios[f"real_tokens_per_s_vs_hf_{words}"] = _over(*rates)
    if "hf_same" in samples:
        for table in embeddings:
            words = "step_time_same_batch_vs_hf" if table == main else f"step_time_same_batch_{table}_vs_hf"
            ratios[words] = _over(*(common.median(samples[key]) for key in (f"ours_{table}_same", "hf_same")))
        memory = (_memory(samples[key]) for key in (f"{ours}_packed", "hf_dynamic"))
        ratios["peak_memory_vs_hf_dynamic_padding"] = _over(*memory)
    if {"active", "dense"} <= set(embeddings):
        keys = ("ours_active_packed", "ours_dense_packed")
        ratios["active_vs_dense_step_time"] = _over(*(common.median(samples[key]) for key in keys))
        ratios["active_vs_dense_peak_memory"] = _over(*(_memory(samples[key]) for key in keys))
    return ratios


def _memory(samples: Sequence[common.Sample]) -> float:
    return max(sample["peak_mib"] for sample in samples)


def _over(one: float, other: float) -> float:
    return one / other
