"""What comes from others stays data: archives stay in their folder, names in a report stay text."""

from __future__ import annotations

import io
import pathlib
import tarfile
import zipfile

import pytest

EVIL = "<script>alert(1)</script>"
ROWS = '{"context": "a", "question": "b", "answerA": "c", "answerB": "d", "answerC": "e"}\n'


def _names(folder: pathlib.Path) -> tuple[str, ...]:
    """Places outside of the folder an archive is unpacked to."""
    return ("../evil", "../../evil", "socialiqa-train-dev/../../evil", str(folder / "evil"))


def _zip(folder: pathlib.Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("train", "dev"):
            archive.writestr(f"socialiqa-train-dev/{part}.jsonl", ROWS)
            archive.writestr(f"socialiqa-train-dev/{part}-labels.lst", "1\n")
        for name in _names(folder):
            archive.writestr(name, "evil")
    return packed.getvalue()


def _tar(folder: pathlib.Path) -> bytes:
    """Also with a link out of the folder, and a file written through it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("other.iob2", *_names(folder), "link/evil"):
            if name == "link/evil":
                link = tarfile.TarInfo("link")
                link.type, link.linkname = tarfile.SYMTYPE, str(folder)
                archive.addfile(link)
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
    return packed.getvalue()


def _prepare(name: str, *, folder: pathlib.Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    from xtreme_stilts import datasets

    tfds.disable_progress_bar()
    datasets.builder_class(name)
    config = tfds.download.DownloadConfig(manual_dir=str(folder / "manual"), try_download_gcs=False)
    tfds.builder(name, data_dir=folder / "data").download_and_prepare(download_config=config)


def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path):
    from xtreme_stilts.errors import UserError

    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "socialiqa-train-dev.zip").write_bytes(_zip(tmp_path))
    _prepare("siqa", folder=tmp_path)  # its own files are there
    (tmp_path / "manual" / "Genia4ERtraining.tar.gz").write_bytes(_tar(tmp_path))
    with pytest.raises(UserError, match="which is not in"):
        _prepare("jnlpba", folder=tmp_path)
    evil = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil"]
    assert all(tmp_path / "data" / "downloads" / "extracted" in path.parents for path in evil)
    assert not (tmp_path.parent / "evil").exists()


def test_names_from_results_are_text_in_the_report(tmp_path):
    from xtreme_stilts.report import html, results

    names = {"model": EVIL, "target": EVIL + "t", "language": EVIL, "split": EVIL + "s", "metric": EVIL + "m"}
    rows = [
        results.Result(intermediate=row, value=value, examples=9, seed=0, **names)
        for row, value in (("none", 50.0), (EVIL, 60.0))
    ]
    results.write(tmp_path / "results.csv", rows)
    page = html.write_report(tmp_path).read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page
