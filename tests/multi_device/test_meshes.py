"""Eight virtual devices equal one: losses, gradients' norms, parameters, predictions, checkpoints."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = pathlib.Path(__file__).with_name("program.py")


def run(*arguments: str) -> str:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Involuntary full rematerialization" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def one_device(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("one")
    run("train", "1,1,1", str(folder))
    return folder


@pytest.mark.parametrize("mesh", ["8,1,1", "2,4,1", "2,2,2"])
def test_a_mesh_equals_one_device(mesh, one_device, tmp_path):
    run("train", mesh, str(tmp_path))
    expected, found = np.load(one_device / "arrays.npz"), np.load(tmp_path / "arrays.npz")
    assert set(expected) == set(found)
    for name in expected:
        if name.startswith("start/") or expected[name].dtype.kind == "i":
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        else:
            # Sums are taken in another order; dropout masks and initial parameters are the same bits.
            np.testing.assert_allclose(found[name], expected[name], atol=2e-5, rtol=1e-5, err_msg=name)


def test_a_checkpoint_of_one_mesh_is_read_on_others(tmp_path):
    run("train", "2,2,2", str(tmp_path))
    for mesh in ("1,1,1", "8,1,1", "1,4,2"):
        assert run("restore", mesh, str(tmp_path)).startswith("restored")
