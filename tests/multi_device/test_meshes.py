"""Eight virtual devices equal one: losses, gradients' norms, parameters, predictions, checkpoints."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = pathlib.Path(__file__).with_name("program.py")

# A number added to all start logits changes no softmax: the gradient of the span head's bias is rounding alone, which
# Adam makes a step of full size.
UNDETERMINED = "end/heads/span/out/bias"


def run(*arguments: str) -> str:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Involuntary full rematerialization" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """mesh -> the folder of a training run on it, each run once."""
    folders: dict[str, pathlib.Path] = {}

    def folder(mesh: str) -> pathlib.Path:
        if mesh not in folders:
            folders[mesh] = tmp_path_factory.mktemp(mesh.replace(",", "_"))
            run("train", mesh, str(folders[mesh]))
        return folders[mesh]

    return folder


# The program's own run on a 2 x 2 x 2 mesh is compared with two processes in multi_process/.
@pytest.mark.slow
@pytest.mark.parametrize("mesh", ["2,2,2", "8,1,1", "2,4,1"])
def test_a_mesh_equals_one_device(mesh, trained):
    expected, found = np.load(trained("1,1,1") / "arrays.npz"), np.load(trained(mesh) / "arrays.npz")
    assert set(expected) == set(found)
    for name in expected:
        if name.startswith("start/") or expected[name].dtype.kind == "i":
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        elif name != UNDETERMINED:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, rtol=1e-5, err_msg=name)


def test_a_checkpoint_of_one_mesh_is_read_on_others(trained):
    assert run("restore", "1,1,1:8,1,1:1,4,2", str(trained("2,2,2"))).count("restored") == 3
