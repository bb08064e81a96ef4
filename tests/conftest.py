"""Shared fixtures. Real data, where present beside the checkout, is found at ../shared/data or $XTREME_STILTS_DATA."""

from __future__ import annotations

import os
import pathlib

import pytest

# Tests must never touch the network, nor an accelerator that happens to be there.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="module", autouse=True)
def _registry():
    """What a module of tests registers is forgotten after it."""
    from xtreme_stilts.tasks import registry

    names = ("_families", "_mixtures", "_suites")
    before = {name: dict(getattr(registry, name)) for name in names}
    yield
    for name in names:
        found = getattr(registry, name)
        found.clear()
        found.update(before[name])


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Folder with `tfds/`, `raw/` and `tokenizer/` (real rows); the test is skipped where there is none."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("XTREME_STILTS_DATA", default))
    if not (folder / "tfds").is_dir():
        pytest.skip("no real data: set XTREME_STILTS_DATA to a folder with tfds/ and tokenizer/")
    return folder
