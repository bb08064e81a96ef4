"""Every benchmark end to end with --quick: it runs, and its report has what it promises."""

from __future__ import annotations

import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks import common

ROOT = pathlib.Path(__file__).resolve().parents[2]
HF = common.installed("torch")

SIDE_KEYS = {"seconds", "tokens_per_s", "peak_mib", "peak_share", "useful_peak_share", "fill", "examples", "dtype"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs one benchmark and returns its report; all share compiled functions, which are compiled fast."""
    folder = tmp_path_factory.mktemp("benchmarks")
    environ = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    }

    def start(name, *flags):
        out = folder / f"{name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", f"--json={out}", *flags]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(out.read_text())
        assert report["benchmark"] == name and report["machine"]["threads"] >= 1 and len(report["date"]) == 10
        assert all(math.isfinite(value) and value > 0 for value in report["ratios"].values())
        for ratio in report["ratios"]:
            assert ratio in done.stdout
        return report

    return start


@pytest.mark.parametrize(("name", "flags"), [("train_step", ["--embeddings=active"]), ("inference", [])])
def test_model(run, name, flags):
    report = run(name, *flags)
    ours = "ours_active" if name == "train_step" else "ours_dense"
    workloads = {f"{ours}_packed", f"{ours}_same"}
    if HF:
        workloads |= {"hf_dynamic", "hf_max", "hf_same", "hf_dynamic_bf16"}
        assert {
            "real_tokens_per_s_vs_hf_max_padding",
            "real_tokens_per_s_vs_hf_dynamic_padding",
            "step_time_same_batch_vs_hf",
        } <= set(report["ratios"])
    sides = report["sides"]
    assert set(sides) == workloads
    assert all(set(side) >= SIDE_KEYS for side in sides.values())
    assert report["matmul_peak_gflops"].keys() == {"float32", "bfloat16"}
    assert sides[f"{ours}_packed"]["fill"] > 0.8
    if HF:
        assert sides[f"{ours}_same"]["fill"] == sides["hf_same"]["fill"]  # the same batches
        rates = [sides[name]["tokens_per_s"] for name in (f"{ours}_packed", "hf_max")]
        assert report["ratios"]["real_tokens_per_s_vs_hf_max_padding"] == pytest.approx(rates[0] / rates[1])


@pytest.mark.parametrize("flags", [[], ["--inference"]])
def test_operations(run, flags):
    report = run("operations", *flags)
    seconds = report["seconds"]
    assert seconds["matrix products"] > 0 and seconds["norms"] > 0 and seconds["GELU"] > 0
    assert (seconds["optimizer"] > 0) == (not flags)
    # Threads count one after the other; of so small a step most is the time between operations.
    assert sum(seconds.values()) < report["machine"]["threads"] * report["profiled_step_seconds"]


def test_packing(run):
    report = run("packing")
    fills = report["fills"]["xnli"]
    assert 0.9 < fills["packed"] <= 1 and fills["max_padding"] < fills["dynamic_padding"] < fills["packed"]
    assert set(report["sides"]) == {"xnli_pipeline", "xnli_step"}


def test_tokenise(run):
    sides = run("tokenise")["sides"]
    assert set(sides) == {"ours_pairs", "ours_windows", "hf_pairs", "hf_windows", "hf_windows_answers"}
    assert sides["ours_pairs"]["tokens"] == sides["hf_pairs"]["tokens"]  # two ways to the same rows
    assert sides["ours_windows"]["rows"] == sides["hf_windows"]["rows"]


def test_mining(run):
    report = run("mining")
    assert {"ours_nearest", "ours_mine"} <= set(report["sides"])
    if common.installed("faiss"):
        assert report["agreement"]["same_neighbours"] > 0.999 and report["agreement"]["same_links"] > 0.999


@pytest.mark.slow
def test_scaling(run):
    report = run("scaling")
    assert set(report["sides"]) == {"1_devices", "2_devices", "2_processes"}
    assert set(report["ratios"]) == {"step_time_2_devices_vs_1", "step_time_2_processes_vs_1"}


def test_compile_time(run):
    sides = run("compile_time")["sides"]
    assert set(sides) == {f"mini_scan_{step}_{state}" for step in ("train", "predict") for state in ("cold", "cached")}
    for side in sides.values():
        assert side["seconds"] == pytest.approx(side["trace"] + side["compile"])
    assert sides["mini_scan_train_cached"]["compile"] < sides["mini_scan_train_cold"]["compile"]
