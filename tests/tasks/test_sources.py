"""Plain files as sources: packing, line ends, wrong lines."""

import gzip
import lzma

import pytest

from xtreme_stilts import tasks
from xtreme_stilts.errors import UserError
from xtreme_stilts.tasks import sources, text


@pytest.fixture
def configured():
    """Whatever a test configures is forgotten afterwards."""
    yield tasks.configure
    tasks.configure()


def test_lines_of_plain_and_packed_files(tmp_path):
    content = "erste Zeile\r\nzweite\u2028noch\n\nletzte".encode()
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(content))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    for name in ("a.txt", "a.txt.xz", "a.txt.gz"):
        assert list(sources.lines(tmp_path / name)) == ["erste Zeile", "zweite\u2028noch", "", "letzte"]


@pytest.mark.parametrize(("name", "content"), [("a.txt", b"\xff\xfe"), ("a.txt.xz", b"no"), ("a.txt.gz", b"no")])
def test_a_file_that_is_no_text_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        list(sources.lines(tmp_path / name))


def test_a_line_with_missing_fields_is_named(tmp_path):
    (tmp_path / "fi.tsv").write_text("one\tyksi\ntwo kaksi\n")
    with pytest.raises(UserError, match=r"fi.tsv line 2 has 1 tab-separated fields; it must have 2"):
        list(sources.columns(tmp_path / "fi.tsv", count=2))


def test_text_files_are_split_into_train_and_validation(tmp_path, configured):
    (tmp_path / "fi.txt").write_text("".join(f"rivi {i}\n" if i != 7 else "  \n" for i in range(1, 251)))
    configured(text_dir=str(tmp_path))
    train = [row["text"] for row in text.text_rows("fi", "train")]
    validation = [row["text"] for row in text.text_rows("fi", "validation")]
    assert validation == ["rivi 100", "rivi 200"]
    assert train == [f"rivi {i}" for i in range(1, 251) if i not in (7, 100, 200)]


def test_languages_are_those_found_in_the_folder(tmp_path, configured):
    (tmp_path / "parallel").mkdir()
    (tmp_path / "fi.txt.xz").write_bytes(lzma.compress(b"rivi\n"))
    (tmp_path / "parallel" / "sr.tsv").write_text("one\tjedan\n")
    configured(text_dir=str(tmp_path))
    assert tasks.family("text_file").languages == ("fi",)
    assert tasks.family("parallel_file").languages == ("sr",)
    assert tasks.mixture("text_files").tasks == ("text_file.fi",)
    with pytest.raises(UserError, match="has no language 'sv'"):
        tasks.task("text_file.sv")
    version = tasks.source_version("text_file.fi")
    (tmp_path / "fi.txt.xz").write_bytes(lzma.compress(b"rivi\ntoinen\n"))
    assert tasks.source_version("text_file.fi") != version


def test_folders_that_are_not_there(tmp_path, configured):
    with pytest.raises(UserError, match="set text_dir to the folder"):
        list(text.text_rows("fi", "train"))
    with pytest.raises(UserError, match="holds no <language>"):
        configured(text_dir=str(tmp_path))
    (tmp_path / "corpora").mkdir()
    with pytest.raises(UserError, match="no folder; did you mean 'corpora'"):
        configured(text_dir=str(tmp_path / "corpra"))
