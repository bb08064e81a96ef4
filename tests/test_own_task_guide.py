"""The guide to own tasks, followed to the letter in an empty folder; only the encoder is smaller and trains less."""

import os
import pathlib
import re
import subprocess
import sys

import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "own_task.md").read_text("utf-8")
QUICK = {
    "model.width": 16,
    "model.layers": 1,
    "model.heads": 2,
    "model.mlp": 32,
    "recipes.target.steps": 2,
    "recipes.target.rows": 4,
    "evaluation.rows": 4,
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def python_files() -> dict[str, str]:
    """The files of the guide, by the name in their first line."""
    return {re.match(r"# (\S+\.py)\n", block)[1]: block for block in blocks("python")}


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> pathlib.Path:
    """A folder in which everything the guide says was done; `printed.txt` is what was printed."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in python_files().items():
        (folder / name).write_text(text, "utf-8")
    flags = " ".join(f"--config.{field}={value}" for field, value in QUICK.items())
    script = "".join(blocks("bash")).replace("--config=my_config.py", f"--config=my_config.py {flags}")
    script = script.replace("python ", f"{sys.executable} ")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "printed.txt").write_text(done.stdout + done.stderr, "utf-8")
    return folder


def test_the_config_is_short():
    assert len(python_files()["my_config.py"].splitlines()) < 15


def test_files_are_trained_on_and_scored_in_both_languages(followed):
    frame = pd.read_csv(followed / "runs" / "mine" / "results.csv")
    assert set(zip(frame.target, frame.language, frame.split, strict=True)) == {
        ("my_nli", "en", "test"),
        ("my_nli", "de", "test"),
        ("my_guess", "en", "test"),
    }
    assert set(frame[frame.metric == "accuracy"].examples) == {10}


def test_what_it_says_is_printed(followed):
    printed = (followed / "printed.txt").read_text("utf-8")
    assert "task 'my_nli': labels are those of the training files: maybe, no, yes" in printed
    assert "evaluated my_nli in 2 languages" in printed
    assert re.search(r"^target my_nli\.en +0 +1 of 1 .* my_nli", printed, re.MULTILINE)  # the module's run finds it
    assert re.search(r"^target german_nli\.de +0 +0 of 1 .* german_nli", printed, re.MULTILINE)


def test_the_tables_of_fields_and_kinds_are_complete():
    from xtreme_stilts.tasks.file_rows import KINDS
    from xtreme_stilts.tasks.files import SUFFIXES, FileTask

    named = re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert named == list(FileTask.__dataclass_fields__)
    for name, kind in KINDS.items():
        (row,) = re.findall(rf"^\| {name} \| (.*?) \| .*? \| `(.*?)` \|", GUIDE, re.MULTILINE)
        assert (tuple(row[0].split()), tuple(row[1].split())) == (kind.formats, kind.metrics)
    assert all(suffix in GUIDE for suffix in SUFFIXES)


def test_the_refusal_it_quotes_is_the_one_there_is(tmp_path, monkeypatch):
    from xtreme_stilts.errors import UserError
    from xtreme_stilts.tasks.files import FileTask, register_file_tasks

    monkeypatch.chdir(tmp_path)
    pathlib.Path("data").mkdir()
    row = '{"text": "a", "label": "%s"}\n'
    pathlib.Path("data/train.en.jsonl").write_text(row % "yes" + row % "no" + row % "mayb")
    pathlib.Path("data/test.en.jsonl").write_text(row % "yes")
    files = {"train": "data/train.{language}.jsonl", "test": "data/test.{language}.jsonl"}
    task = FileTask.of({"kind": "classification", "files": files, "labels": ("no", "maybe", "yes")})
    with pytest.raises(UserError) as caught:
        register_file_tasks({"my_nli": task}, where="config.tasks")
    assert f"error: {caught.value}\n" in GUIDE
