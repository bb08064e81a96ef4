"""launch/slurm.sh and slurm.sbatch with stand-ins for sbatch, srun, scancel and scontrol."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

JOB = {"SLURM_JOB_ID": "41", "SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "16"}
STEP = ["--ntasks-per-node=1", "--kill-on-bad-exit=0", "--label", "--cpus-per-task=16"]


def test_submits_with_the_options_of_sbatch(bench, launch, awkward):
    sbatch = bench.stand_in("sbatch")
    done = bench.run("slurm.sh", "--nodes=2", "--time", "1:00:00", "--", *awkward, SBATCH=str(sbatch))
    assert done.status == 0
    assert bench.calls() == [["--nodes=2", "--time", "1:00:00", str(launch / "slurm.sbatch"), "--", *awkward]]


def test_dry_runs_call_nothing(bench):
    sbatch = bench.stand_in("sbatch")
    bench.stand_in("srun")
    done = bench.run("slurm.sh", "--dry-run", "--nodes=2", "--", "p", "a b", SBATCH=str(sbatch))
    assert done.status == 0
    assert r"slurm.sbatch -- p a\ b" in done.err
    done = bench.run("slurm.sbatch", "--dry-run", "--", "p", "a b", **JOB)
    assert done.status == 0
    assert rf"+ srun {' '.join(STEP)} p a\ b" in done.err
    assert bench.calls() == []


@pytest.mark.parametrize("script", ["slurm.sh", "slurm.sbatch"])
def test_a_program_is_needed(bench, script):
    done = bench.run(script)
    assert done.status == 2
    assert done.err.startswith("error: no program was given; write it after --")


def test_one_process_per_node_sees_all_gpus(bench, awkward):
    bench.stand_in("srun", watched=("JAX_LOCAL_DEVICE_IDS",))
    assert bench.run("slurm.sbatch", "--", *awkward, **JOB).status == 0
    (record,) = bench.records()
    assert record["words"] == [*STEP, *awkward]
    assert record["environment"] == {"JAX_LOCAL_DEVICE_IDS": "0,1,2,3"}


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (1, False), (2, False), (75, True)])
def test_requeued_on_75_only(bench, status, requeued):
    bench.stand_in("srun", [{"words": [], "status": status}])
    bench.stand_in("scontrol")
    assert bench.run("slurm.sbatch", "--", "p", **JOB).status == status
    assert [record["words"] for record in bench.records() if record["name"] == "scontrol"] == (
        [["requeue", "41"]] if requeued else []
    )


def test_notice_before_the_end_reaches_the_step(bench, launch):
    """SIGTERM to the batch shell: scancel tells the step, the shell waits for it to save, and the job is requeued."""
    told = bench.folder / "told"
    bench.executable(
        "srun", f'#!/bin/bash\ntouch up\nuntil [[ -e "{told}" ]]; do sleep 0.05; done\nsleep 0.3\nexit 75\n'
    )
    bench.executable("scancel", f'#!/bin/bash\necho "$@" >"{told}"\n')
    bench.stand_in("scontrol")
    environment = {**bench.environment, **JOB}
    shell = subprocess.Popen(["bash", str(launch / "slurm.sbatch"), "--", "p"], env=environment, cwd=bench.folder)
    deadline = time.monotonic() + 30
    while not (bench.folder / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(shell.pid, signal.SIGTERM)
    assert shell.wait(timeout=30) == 75
    assert told.read_text(encoding="utf-8").split() == ["--signal=TERM", "41"]
    assert bench.calls() == [["requeue", "41"]]


def test_directives_come_first(launch):
    """sbatch reads #SBATCH lines up to the first command only."""
    lines = (launch / "slurm.sbatch").read_text(encoding="utf-8").splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert max(directives) < first_command
    assert {"#SBATCH --requeue", "#SBATCH --signal=B:TERM@120", "#SBATCH --ntasks-per-node=1"} <= set(lines)
