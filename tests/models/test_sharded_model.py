"""Sharded over 8 virtual devices, the model gives the loss and gradient of one device."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys


def test_mesh_equals_one_device():
    program = pathlib.Path(__file__).with_name("sharded_program.py")
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "1"}
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "rematerialization" not in run.stderr  # XLA's word for gathering a whole array to reshard it
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["loss"] > 3
    assert report["greatest_gradient"] > 0.05
    assert report["loss_difference"] < 1e-5
    assert report["gradient_difference"] < 1e-5
