"""launch/gpus.sh and cpu.sh: what the program gets to see."""

from __future__ import annotations

import pytest

WATCHED = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "NPROC", "GLIBC_TUNABLES")


@pytest.fixture
def program(bench):
    """A program that writes down its words and environment; the bench's PATH finds it."""
    bench.stand_in("program", [{"words": [], "status": 75}], watched=WATCHED)
    return "program"


@pytest.fixture
def gpus(bench):
    """nvidia-smi of a machine with four GPUs."""
    return {"NVIDIA_SMI": str(bench.executable("nvidia-smi", "#!/bin/sh\nseq 0 3\n"))}


def _seen(bench):
    (record,) = bench.records()
    return record["words"], record["environment"]


def test_all_gpus_without_more_ado(bench, program, gpus, awkward):
    assert bench.run("gpus.sh", "--", program, *awkward, **gpus).status == 75
    assert _seen(bench) == ([*awkward], {})


def test_the_first_gpus(bench, program, gpus):
    bench.run("gpus.sh", "--gpus=2", "--", program, **gpus)
    assert _seen(bench) == ([], {"CUDA_VISIBLE_DEVICES": "0,1"})


def test_the_first_of_those_allowed(bench, program, gpus):
    bench.run("gpus.sh", "--gpus", "1", "--", program, CUDA_VISIBLE_DEVICES="3,2", **gpus)
    assert _seen(bench) == ([], {"CUDA_VISIBLE_DEVICES": "3"})


def test_too_many_gpus(bench, program, gpus):
    done = bench.run("gpus.sh", "--gpus=5", "--", program, **gpus)
    assert (done.status, done.err) == (2, "error: --gpus is 5, but only 4 can be seen\n")
    assert bench.calls() == []


def test_no_driver(bench, program):
    done = bench.run("gpus.sh", "--gpus=1", "--", program, NVIDIA_SMI="/nonexistent/nvidia-smi")
    assert done.status == 2
    assert done.err.endswith("error: nvidia-smi found no GPUs here; launch/cpu.sh runs without\n")


@pytest.mark.parametrize(
    ("setting", "environment"),
    [
        ("always [madvise] never", {"JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
        ("[always] madvise never", {"JAX_PLATFORMS": "cpu"}),
        ("always madvise [never]", {"JAX_PLATFORMS": "cpu"}),
    ],
)
def test_huge_pages(bench, program, awkward, setting, environment):
    path = bench.folder / "enabled"
    path.write_text(setting, encoding="utf-8")
    done = bench.run("cpu.sh", "--", program, *awkward, TRANSPARENT_HUGEPAGE=str(path))
    assert done.status == 75
    assert _seen(bench) == ([*awkward], environment)
    assert ("hint: huge pages are off here" in done.err) is ("[never]" in setting)


def test_threads(bench, program):
    bench.run("cpu.sh", "--threads=3", "--", program, TRANSPARENT_HUGEPAGE="/nonexistent")
    assert _seen(bench) == ([], {"JAX_PLATFORMS": "cpu", "NPROC": "3"})


def test_tunables_of_the_caller_stay(bench, program):
    path = bench.folder / "enabled"
    path.write_text("always [madvise] never", encoding="utf-8")
    bench.run("cpu.sh", "--", program, TRANSPARENT_HUGEPAGE=str(path), GLIBC_TUNABLES="glibc.malloc.hugetlb=0")
    assert _seen(bench)[1]["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"


@pytest.mark.parametrize("script", ["gpus.sh", "cpu.sh"])
def test_dry_run_prints_and_calls_nothing(bench, program, script):
    done = bench.run(script, "--dry-run", "--", program, "a b")
    assert done.status == 0
    assert r"program a\ b" in done.err
    assert bench.calls() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("cpu.sh", "--thread=2", "--", "p"), "unknown option '--thread=2'; did you mean '--threads'?"),
        (("cpu.sh", "--threads=0", "--", "p"), "--threads is 0, but XLA needs one at least"),
        (("cpu.sh", "--threads=two", "--", "p"), "--threads is 'two', which is no whole number"),
        (("gpus.sh", "--gpus=all", "--", "p"), "--gpus is 'all', which is no whole number"),
        (("gpus.sh",), "no program was given; write it after --: -- python -m xtreme_stilts.main --config=FILE"),
    ],
)
def test_bad_input_is_one_sentence(bench, words, sentence):
    assert bench.run(*words) == (2, "", f"error: {sentence}\n")
