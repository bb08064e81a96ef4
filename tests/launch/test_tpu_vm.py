"""launch/tpu_vm.sh against a gcloud that writes its words down, and against one that plays a host of its own.

The expected words are those of gcloud's reference (`gcloud compute tpus queued-resources create`, `tpu-vm ssh`, ...).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

TPU = ("--name=t1", "--zone=us-east5-b")
ZONE = "--zone=us-east5-b"
STATE = ["compute", "tpus", "queued-resources", "describe", "t1", "--format=value(state.state)", ZONE]
WORKER = "xtreme_stilts/launch/worker.sh"
DESCRIBED = {"words": ["describe"], "stdout": "ACTIVE"}


def _ssh(worker, command):
    return ["compute", "tpus", "tpu-vm", "ssh", "t1", f"--worker={worker}", f"--command={command}", ZONE]


@pytest.fixture
def gcloud(bench):
    """Runs tpu_vm.sh with a gcloud that gives the answers, and returns what it did."""

    def call(*words, answers=(DESCRIBED,)):
        return bench.run("tpu_vm.sh", *words, GCLOUD=str(bench.stand_in("gcloud", list(answers))))

    return call


def test_create_asks_for_a_queued_resource_and_waits_for_it(gcloud, bench):
    waiting = [
        {"words": ["describe"], "stdout": state} for state in ("WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE")
    ]
    flags = ("--type=v6e-8", "--spot", "--project=p", "--network", "n w", "--service-account=a@b")
    assert gcloud("create", *TPU, *flags, answers=waiting).status == 0
    create, *looks = bench.calls()
    assert create == [
        *("compute", "tpus", "queued-resources", "create", "t1", "--node-id=t1", "--accelerator-type=v6e-8"),
        *("--runtime-version=v2-alpha-tpuv6e", "--network=n w", "--service-account=a@b", "--spot", ZONE, "--project=p"),
    ]
    assert looks == [[*STATE, "--project=p"]] * 3


def test_create_direct(gcloud, bench):
    assert gcloud("create", *TPU, "--type", "v4-32", "--direct", "--runtime-version=mine").status == 0
    assert bench.calls() == [
        ["compute", "tpus", "tpu-vm", "create", "t1", "--accelerator-type=v4-32", "--version=mine", ZONE]
    ]


@pytest.mark.parametrize(
    ("accelerator", "version"),
    [("v5litepod-16", "v2-alpha-tpuv5-lite"), ("v5p-8", "v2-alpha-tpuv5"), ("v3-8", "tpu-ubuntu2204-base")],
)
def test_each_type_has_its_image(gcloud, bench, accelerator, version):
    gcloud("create", *TPU, f"--type={accelerator}", "--direct")
    assert f"--version={version}" in bench.calls()[0]


def test_create_ends_where_the_request_fails(gcloud):
    done = gcloud("create", *TPU, "--type=v6e-8", answers=[{"words": ["describe"], "stdout": "SUSPENDED"}])
    assert done.status == 1
    assert "has ended as SUSPENDED" in done.err


def test_create_ends_where_gcloud_does(gcloud, bench):
    assert gcloud("create", *TPU, "--type=v6e-8", answers=[{"words": ["create"], "status": 3}]).status == 3
    assert len(bench.calls()) == 1


def test_copy_sends_one_archive_to_all_workers(gcloud, bench):
    assert gcloud("copy", *TPU).status == 0
    scp, unpack = bench.calls()
    assert scp[:4] == ["compute", "tpus", "tpu-vm", "scp"]
    assert scp[4].endswith("/xtreme_stilts.tar.gz")
    assert scp[5:] == ["t1:xtreme_stilts.tar.gz", "--worker=all", ZONE]
    assert unpack[5] == "--worker=all"
    assert not list(bench.folder.glob("tmp*"))  # the archive is gone


def test_install_run_logs_and_stop(gcloud, bench):
    gcloud("install", *TPU)
    gcloud("run", *TPU, "--", "python", "-m", "x", "--workdir=gs://b/s")
    gcloud("logs", *TPU, "--worker=3")
    gcloud("stop", *TPU)
    assert bench.calls() == [
        _ssh("all", f"{WORKER} install"),
        _ssh("all", f"{WORKER} start -- python -m x --workdir=gs://b/s"),
        _ssh("0", f"{WORKER} follow"),
        _ssh("3", f"{WORKER} follow"),
        _ssh("all", f"{WORKER} stop"),
    ]


def test_arguments_arrive_unharmed(gcloud, bench, awkward):
    """The string that gcloud hands to ssh is run by a shell; a recorder in the worker's place sees the words."""
    gcloud("run", *TPU, "--", *awkward)
    command = bench.calls()[0][6].removeprefix("--command=")
    worker = bench.folder / WORKER
    worker.parent.mkdir(parents=True)
    shutil.copy(bench.stand_in("remote"), worker)
    subprocess.run(["bash", "-c", command], cwd=bench.folder, check=True, timeout=30)
    assert bench.records()[-1]["words"] == ["start", "--", *awkward]
    assert not (bench.folder / "hit").exists()


def test_fetch_from_a_bucket(gcloud, bench):
    assert gcloud("fetch", *TPU, "--from=gs://b/my study/", "--to=here").status == 0
    log, study = bench.calls()
    scp = ["compute", "tpus", "tpu-vm", "scp"]
    assert log == [*scp, "t1:xtreme_stilts_logs/log", "here/worker-0.log", "--worker=0", ZONE]
    assert study == ["storage", "rsync", "--recursive", "gs://b/my study", "here/my study"]
    assert (bench.folder / "here" / "my study").is_dir()  # rsync wants it to be there


def test_a_study_in_a_bucket_is_fetched_from_a_lost_tpu(gcloud, bench):
    done = gcloud("fetch", *TPU, "--from=gs://b/s", answers=[{"words": ["scp"], "status": 1}])
    assert done.status == 0
    assert "warning: the log of worker 0 could not be fetched" in done.err
    assert bench.calls()[1] == ["storage", "rsync", "--recursive", "gs://b/s", "runs/t1/s"]


def test_fetch_from_the_host(gcloud, bench):
    assert gcloud("fetch", *TPU, "--", "python", "--workdir", "runs/a").status == 0
    scp = ["compute", "tpus", "tpu-vm", "scp"]
    assert bench.calls()[1] == [*scp, "t1:xtreme_stilts/runs/a", "runs/t1", "--recurse", "--worker=0", ZONE]


def test_delete_shows_what_is_left(gcloud, bench):
    assert gcloud("delete", *TPU).status == 0
    assert gcloud("delete", *TPU, "--direct").status == 0
    left = ["compute", "tpus", "tpu-vm", "list", ZONE]
    assert bench.calls() == [
        ["compute", "tpus", "queued-resources", "delete", "t1", "--force", "--quiet", ZONE],
        left,
        ["compute", "tpus", "tpu-vm", "delete", "t1", "--quiet", ZONE],
        left,
    ]


def _steps(calls):
    """What each call was about, in a word or two."""
    steps = []
    for words in calls:
        command = next((word for word in words if word.startswith("--command=")), "")
        steps.append(command.split()[1] if WORKER in command else "unpack" if command else words[3])
    return steps


def _follow(status):
    return {"words": [f"--command={WORKER} follow"], "status": status}


def test_run_returns_the_programs_status(gcloud, bench):
    assert gcloud("run", *TPU, "--", "p", answers=[_follow(75), DESCRIBED]).status == 75
    assert _steps(bench.calls()) == ["start", "follow", "describe"]


def test_bad_input_is_not_run_again(gcloud, bench):
    assert gcloud("run", *TPU, "--restart=3", "--", "p", answers=[_follow(2)]).status == 2
    assert _steps(bench.calls()) == ["start", "follow"]


def test_restart_on_75(gcloud, bench):
    answers = [_follow(75), DESCRIBED, _follow(75), DESCRIBED, _follow(0)]
    assert gcloud("run", *TPU, "--restart=2", "--", "p", answers=answers).status == 0
    assert _steps(bench.calls()) == ["start", "follow", "describe"] * 2 + ["start", "follow"]


def test_restarts_are_counted(gcloud, bench):
    answers = [_follow(75), DESCRIBED] * 3
    assert gcloud("run", *TPU, "--restart=1", "--", "p", answers=answers).status == 75
    assert _steps(bench.calls()) == ["start", "follow", "describe"] * 2


def test_a_preempted_tpu_is_asked_for_anew(gcloud, bench):
    """The connection breaks (gcloud exits with 1), the queued resource is suspended."""
    answers = [_follow(1), {"words": ["describe"], "stdout": "SUSPENDED"}, DESCRIBED, _follow(0)]
    assert gcloud("run", *TPU, "--type=v6e-8", "--restart=1", "--", "p", answers=answers).status == 0
    assert _steps(bench.calls()) == [
        *("start", "follow", "describe", "delete", "create", "describe"),
        *("scp", "unpack", "install", "start", "follow"),
    ]


def test_no_new_tpu_where_its_state_is_unknown(gcloud, bench):
    """No network here is no preemption there: nothing may be deleted."""
    answers = [_follow(1), {"words": ["describe"], "status": 1}]
    assert gcloud("run", *TPU, "--type=v6e-8", "--restart=1", "--", "p", answers=answers).status == 1
    assert _steps(bench.calls()) == ["start", "follow", "describe"]


def test_a_new_tpu_that_fails_is_not_gone_on_with(gcloud, bench):
    lost = {"words": ["describe"], "stdout": "SUSPENDED"}
    answers = [_follow(1), lost, {"words": ["create"], "status": 4}]
    assert gcloud("run", *TPU, "--type=v6e-8", "--restart=1", "--", "p", answers=answers).status == 4
    assert _steps(bench.calls()) == ["start", "follow", "describe", "delete", "create"]


def test_all_deletes_the_tpu_whatever_became_of_the_program(gcloud, bench):
    answers = [DESCRIBED, _follow(1), DESCRIBED]
    done = gcloud("all", *TPU, "--type=v6e-8", "--", "p", "--workdir=gs://b/s", answers=answers)
    assert done.status == 1
    whole = ["create", "describe", "scp", "unpack", "install", "start", "follow", "describe", "scp"]
    assert _steps(bench.calls()) == [*whole, "gs://b/s", "delete", "list"]


def test_all_keeps_the_tpu_where_the_results_could_not_be_fetched(gcloud, bench):
    answers = [DESCRIBED, {"words": ["rsync"], "status": 5}]
    done = gcloud("all", *TPU, "--type=v6e-8", "--", "p", "--workdir=gs://b/s", answers=answers)
    assert done.status == 5
    assert "delete" not in _steps(bench.calls())
    assert done.err.splitlines()[-1].endswith("launch/tpu_vm.sh delete --name=t1 --zone=us-east5-b")


@pytest.mark.parametrize("command", ["create", "copy", "install", "run", "logs", "stop", "fetch", "delete", "all"])
def test_dry_run_prints_and_calls_nothing(gcloud, bench, command):
    words = (*TPU, "--type=v6e-8", "--dry-run", "--", "p", "a b", "--workdir=gs://b/s")
    done = gcloud(command, *words)
    assert done.status == 0
    assert "+ " in done.err
    assert f"compute tpus {'tpu-vm' if command != 'create' else 'queued-resources'}" in done.err
    assert bench.calls() == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("creat", *TPU), "unknown command 'creat'; did you mean 'create'?"),
        (("zzz", *TPU), "unknown command 'zzz'; valid: create, copy, install, run, logs, stop, fetch, delete, all"),
        (("copy", *TPU, "--zon=x"), "unknown option '--zon=x'; did you mean '--zone'?"),
        (("copy", *TPU, "--spot=yes"), "--spot takes no value, found '--spot=yes'"),
        (("copy", ZONE), "--name is missing: the name of the TPU VM"),
        (("copy", "--name=t1"), "--zone is missing: the TPU VM's zone, as in us-central1-a"),
        (("copy", ZONE, "--name"), "--name needs a value"),
        (("copy", "--name", ZONE), "--name needs a value"),
        (("copy", ZONE, "--name=T_1"), "--name 'T_1' is no name of a TPU; use a-z, 0-9 and -, from a letter on"),
        (("copy", "--name=t1", "--zone=here"), "--zone 'here' is no zone; they are written as in us-central1-a"),
        (("create", *TPU), "--type is missing: the accelerator type, as in v6e-8"),
        (
            ("create", *TPU, "--type=v6e8"),
            "--type 'v6e8' is no accelerator type; they are written VERSION-SIZE, as in "
            "v2-8, v3-8, v4-8, v5litepod-8, v5p-8, v6e-8",
        ),
        (("run", *TPU), "no program was given; write it after --: -- python -m xtreme_stilts.main --config=FILE"),
        (("run", *TPU, "--restart=often", "--", "p"), "--restart is 'often', which is no whole number"),
        (("fetch", *TPU), "--from is missing: the study directory to fetch, gs://... or a folder on worker 0"),
    ],
)
def test_bad_input_is_one_sentence(gcloud, bench, words, sentence):
    assert gcloud(*words) == (2, "", f"error: {sentence}\n")
    assert bench.calls() == []


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("--type=v6e-16", "--", "p", "--workdir=runs/a"), True),
        (("--", "p"), True),  # the number of hosts is not known
        (("--type=v6e-8", "--spot", "--", "p"), True),
        (("--type=v6e-8", "--", "p", "--workdir=runs/a"), False),
        (("--type=v6e-16", "--", "p", "--workdir", "gs://b/a"), False),
    ],
)
def test_warning_of_a_study_directory_on_the_tpu(gcloud, words, warned):
    assert ("warning: the study directory is" in gcloud("run", *TPU, *words).err) is warned


# A gcloud that plays a TPU with one host: ssh is a shell in the host's home directory, scp copies.
_HOST = """#!{python} -S
import os, shutil, subprocess, sys
home = {home!r}
words = sys.argv[1:]
def path(name):
    return os.path.join(home, name.removeprefix("t1:")) if name.startswith("t1:") else name
if words[3] == "ssh":
    command = next(word for word in words if word.startswith("--command=")).removeprefix("--command=")
    sys.exit(subprocess.run(["bash", "-c", command], cwd=home, env={{**os.environ, "HOME": home}}).returncode)
if words[3] == "scp" and "--recurse" in words:
    source = path(words[4])
    shutil.copytree(source, os.path.join(words[5], os.path.basename(source)), dirs_exist_ok=True)
elif words[3] == "scp":
    shutil.copy(path(words[4]), path(words[5]))
elif words[3] == "describe":
    print("ACTIVE")
"""

# Saves and asks to be run again the first time, then ends well.
_PROGRAM = """
import json, os, pathlib, sys
study = pathlib.Path(sys.argv[1].removeprefix("--workdir="))
first = not study.exists()
study.mkdir(parents=True, exist_ok=True)
print("words", json.dumps(sys.argv[2:]), "from", os.getcwd(), flush=True)
print("first" if first else "second", flush=True)
(study / "results.csv").write_text("first" if first else "second")
sys.exit(75 if first else 0)
"""


def test_the_whole_way_on_a_host(bench, launch, awkward):
    """Copy, install, run, follow, restart and fetch with the real worker.sh; only pip and uv are stand-ins."""
    home, checkout = bench.folder / "home", bench.folder / "checkout"
    home.mkdir()
    shutil.copytree(launch, checkout / "launch", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("xtreme_stilts/new.py", ".git/secret", "runs/old/big", ".venv/bin/python", "a/__pycache__/x.pyc"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    (checkout / "program.py").write_text(_PROGRAM, encoding="utf-8")
    (home / "xtreme_stilts" / "xtreme_stilts").mkdir(parents=True)
    (home / "xtreme_stilts" / "xtreme_stilts" / "gone.py").touch()
    bench.stand_in("python3")
    gcloud = bench.executable("gcloud", _HOST.format(python=sys.executable, home=str(home)))

    program = (sys.executable, "program.py", "--workdir=runs/study", *awkward)
    words = ("all", *TPU, "--type=v6e-8", "--restart=1", "--to=here", "--", *program)
    done = bench.run(checkout / "launch" / "tpu_vm.sh", *words, GCLOUD=str(gcloud))

    assert done.status == 0, done.err
    copied = {str(path.relative_to(home / "xtreme_stilts")) for path in (home / "xtreme_stilts").rglob("*")}
    assert "xtreme_stilts/new.py" in copied
    assert copied.isdisjoint({"xtreme_stilts/gone.py", ".git", "runs/old", ".venv", "a/__pycache__"})
    assert [words[:2] for words in bench.calls()] == [["-m", "pip"], ["-m", "uv"], ["-m", "uv"]]
    assert (bench.folder / "here/study/results.csv").read_text(encoding="utf-8") == "second"
    log = (bench.folder / "here/worker-0.log").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if line in ("first", "second")] == ["first", "second"]
    assert f"words {json.dumps(awkward)} from {home / 'xtreme_stilts'}" in log
    assert done.out.count("first\n") == 1  # the log of the second start begins at the second start
    assert not (home / "xtreme_stilts" / "hit").exists()


def test_stop_lets_the_program_save(bench, launch):
    worker = launch / "worker.sh"
    program = bench.executable(
        "saves", "#!/bin/bash\ntrap 'echo saved; exit 75' TERM\necho up\nwhile :; do sleep 0.1; done\n"
    )
    assert bench.run(worker, "start", "--", str(program)).status == 0
    again = bench.run(worker, "start", "--", str(program))
    assert again.status == 2
    assert "already running" in again.err
    log = bench.folder / "xtreme_stilts_logs" / "log"
    subprocess.run(["bash", "-c", 'until grep -q ^up "$0"; do sleep 0.05; done', str(log)], check=True, timeout=30)
    assert bench.run(worker, "stop").status == 0
    followed = bench.run(worker, "follow")
    assert followed.status == 75
    assert followed.out.splitlines()[-1] == "saved"
    assert bench.run(worker, "stop").status == 2  # nothing runs any more
