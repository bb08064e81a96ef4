"""Writes docs/errors.md anew: python -m tests.errors"""

import os

os.environ |= {"JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

from tests.errors import table

table.FILE.write_text(table.table(), encoding="utf-8")
