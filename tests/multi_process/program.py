"""One process of a small study: `python program.py CONFIG DEVICES [flags of xtreme_stilts.main]`.

CONFIG is a Python config file; the process has DEVICES virtual CPU devices.
"""

from __future__ import annotations

import os
import sys

config, devices, *flags = sys.argv[1:]
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
os.environ["JAX_PLATFORMS"] = "cpu"

from xtreme_stilts import main  # noqa: E402

sys.exit(main.run(["main", f"--config={config}", *flags]))
