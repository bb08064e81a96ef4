"""Shared fixtures. Real data, where present beside the checkout, is found at ../shared/data or $XTREME_STILTS_DATA."""

from __future__ import annotations

import atexit
import os
import pathlib
import shutil
import tempfile

import pytest

# Tests must never touch the network, nor an accelerator that happens to be there.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Compiling is most of what tests do: workers, and the programs that tests start, share what one of them has compiled.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="xtreme_stilts-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")


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


SLOW_FIRST = (
    "test_two_processes",
    "test_study",
    "test_every_task",
    "test_workers",
    "test_study_learning",
    "test_meshes",
    "test_faults",
    "test_stopping",
    "test_own_task_guide",
    "test_memory",
)


def pytest_collection_modifyitems(items):
    """Files that take minutes begin first, so that no worker is left alone with one at the end."""
    order = {name: number for number, name in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session", autouse=True)
def _no_page():
    """Studies that tests run in their own process end without a page, which takes seconds; `page` brings it back."""
    from xtreme_stilts.report import html

    before = html.try_report
    html.try_report = lambda *args, **fields: None
    yield before
    html.try_report = before


@pytest.fixture
def page(_no_page, monkeypatch):
    """Studies write their page."""
    from xtreme_stilts.report import html

    monkeypatch.setattr(html, "try_report", _no_page)


@pytest.fixture(scope="module")
def quick_compile():
    """XLA's optimisations off: for programs that run once, of which compiling is all the time they take."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory) -> str:
    """A folder for tokenised data that the studies of a file of tests share."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Folder with `tfds/`, `raw/` and `tokenizer/` (real rows); the test is skipped where there is none."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("XTREME_STILTS_DATA", default))
    if not (folder / "tfds").is_dir():
        pytest.skip("no real data: set XTREME_STILTS_DATA to a folder with tfds/ and tokenizer/")
    return folder
