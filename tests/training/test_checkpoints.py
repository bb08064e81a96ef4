"""Checkpoints are whole, or noticed: every file of one, damaged in every way."""

from __future__ import annotations

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from xtreme_stilts import files
from xtreme_stilts.errors import StorageError
from xtreme_stilts.training.checkpoints import Checkpoints

TREES = {"encoder": {"w": jnp.arange(600.0).reshape(20, 30), "b": jnp.ones(3)}, "heads": {"out": jnp.zeros((2, 3))}}


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


DAMAGES = {
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "one bit": lambda path: path.write_bytes(flipped(path.read_bytes())),
}


def save(checkpoints, *steps):
    for step in steps:
        checkpoints.save(step, trees=jax.tree.map(lambda leaf, step=step: leaf + step, TREES), record={"step": step})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "latest"
    with Checkpoints(folder, keep=2) as checkpoints:
        save(checkpoints, 10, 20, 30)
    return folder


def test_the_newest_are_kept_and_each_has_its_seal(saved):
    with Checkpoints(saved, keep=2) as checkpoints:
        assert checkpoints.steps() == [30, 20]
        assert [checkpoints.damage(step) for step in (30, 20)] == ["", ""]
        assert checkpoints.damage(10) == "is not there"
        assert checkpoints.record(20) == {"step": 20}
    assert sorted(path.name for path in saved.iterdir()) == ["20", "20.seal.json", "30", "30.seal.json"]


def test_a_save_that_takes_too_long_is_the_disks_fault(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "latest") as checkpoints:
        save(checkpoints, 10)
        wait = checkpoints._manager.wait_until_finished
        with monkeypatch.context() as patched:

            def late():
                raise TimeoutError("timed out after 600 seconds")

            patched.setattr(checkpoints._manager, "wait_until_finished", late)
            with pytest.raises(
                StorageError, match=r"latest: checkpoint 10 did not finish in time \(timed out after 600"
            ):
                save(checkpoints, 20)
        wait()
    with Checkpoints(tmp_path / "latest") as checkpoints:
        assert checkpoints.steps() == [10]


def test_every_file_damaged_in_every_way_is_noticed(saved, tmp_path):
    paths = [path.relative_to(saved) for path in sorted((saved / "30").rglob("*")) if path.is_file()]
    assert len(paths) > 15
    noticed = 0
    for path in paths:
        for name, damage in DAMAGES.items():
            folder = tmp_path / "latest"
            shutil.copytree(saved, folder)
            damage(folder / path)
            with Checkpoints(folder, keep=2) as checkpoints:
                said = checkpoints.damage(30)
                assert said == "is not there" or str(path.relative_to("30")) in said, (path, name, said)
                assert not checkpoints.damage(20)
            shutil.rmtree(folder)
            noticed += 1
    assert noticed == len(paths) * len(DAMAGES)


def test_a_damaged_one_is_set_aside_and_its_number_is_free_again(saved, tmp_path):
    folder = tmp_path / "phase" / "latest"
    shutil.copytree(saved, folder)
    file = next((folder / "30" / "encoder" / "d").iterdir())
    DAMAGES["halved"](file)
    with Checkpoints(folder, keep=2) as checkpoints:
        assert f"bytes of its file encoder/d/{file.name}" in checkpoints.damage(30)
        assert str(tmp_path / "phase" / "damaged" / "latest-30") in checkpoints.set_aside(30)
        assert checkpoints.steps() == [20]
        save(checkpoints, 30)
        checkpoints.wait()
        assert checkpoints.steps() == [30, 20] and not checkpoints.damage(30)
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), TREES)
        jax.tree.map(
            np.testing.assert_array_equal,
            checkpoints.restore(30, abstract=like),
            jax.tree.map(lambda leaf: leaf + 30, TREES),
        )
    assert (tmp_path / "phase" / "damaged" / "latest-30" / "encoder").is_dir()


def test_one_without_a_seal_is_taken_as_it_is(saved, tmp_path):
    folder = tmp_path / "latest"
    shutil.copytree(saved, folder)
    (folder / "30.seal.json").unlink()
    with Checkpoints(folder, keep=2) as checkpoints:
        assert checkpoints.damage(30) == ""
    # A seal that is damaged itself says nothing of the checkpoint.
    (folder / "20.seal.json").write_text('{"record/meta')
    with Checkpoints(folder, keep=2) as checkpoints:
        assert checkpoints.damage(20) == ""


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with Checkpoints(tmp_path / "latest") as checkpoints:
        save(checkpoints, 10)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2000))
        with pytest.raises(
            StorageError, match=r"latest: checkpoint 20 needs 2.44 KB, and 2 KB are free on its disk"
        ):  # 609 float32 are 2,436 bytes
            save(checkpoints, 20)
        assert checkpoints.steps() == [10] and not checkpoints.damage(10)


@dataclasses.dataclass
class Case:
    error: Exception
    said: str


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "case",
    [
        Case(OSError(28, "No space left on device", "/runs/x"), "/runs/x: No space left on device"),
        Case(OSError(30, "Read-only file system"), "Read-only file system"),
        Case(ValueError("RESOURCE_EXHAUSTED: write failed [OS error 28: No space left on device]"), "No space left"),
        Case(caused(RuntimeError("save failed"), OSError(5, "Input/output error", "f")), "f: Input/output error"),
        Case(StorageError("latest: checkpoint 20 needs more"), "latest: checkpoint 20 needs more"),
        Case(FileNotFoundError(2, "No such file or directory", "f"), ""),
        Case(ValueError("Permission denied for this account"), ""),
    ],
    ids=lambda case: type(case.error).__name__,
)
def test_what_is_a_disks_fault(case):
    said = files.storage_fault(case.error)
    assert said == case.said or (case.said and said.startswith(case.said))


def test_free_space_of_a_folder_that_is_not_there_yet(tmp_path):
    assert files.free_bytes(tmp_path / "a" / "b") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert files.free_bytes(epath.Path("gs://bucket/run")) is None
