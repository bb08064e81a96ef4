"""What the tests of the builders share: nothing is downloaded, and files are made up unless said otherwise."""

import pathlib

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every download fails at once, as without a network."""
    import tensorflow_datasets as tfds

    def fail(manager, url):
        raise ConnectionError(f"no network for {url}")

    monkeypatch.setattr(tfds.download.DownloadManager, "download", fail)
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)


@pytest.fixture
def write(tmp_path):
    """`write({path: text or bytes})` puts files in a manual folder; returns it."""

    def put(files: dict[str, str | bytes]) -> pathlib.Path:
        for name, content in files.items():
            path = tmp_path / "manual" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "manual"

    return put


class Prepared:
    """A prepared data set, read back from disk: `prepared["train"]` is the list of its rows."""

    def __init__(self, builder):
        self._builder = builder
        self.counts = {split: info.num_examples for split, info in builder.info.splits.items()}

    def __getitem__(self, split: str) -> list[dict]:
        import tensorflow_datasets as tfds

        return [plain(row) for row in tfds.as_numpy(self._builder.as_dataset(split=split))]


@pytest.fixture
def prepare(tmp_path):
    """`prepare("xcopa/et", manual_dir)` makes the data set and gives it as `Prepared`."""
    import tensorflow_datasets as tfds

    from xtreme_stilts import datasets

    tfds.disable_progress_bar()

    def run(name: str, manual_dir: pathlib.Path) -> Prepared:
        datasets.builder_class(name.partition("/")[0])
        config = tfds.download.DownloadConfig(manual_dir=str(manual_dir), try_download_gcs=False)
        builder = tfds.builder(name, data_dir=tmp_path / "data")
        builder.download_and_prepare(download_config=config)
        return Prepared(tfds.builder(f"{name}:{builder.version}", data_dir=tmp_path / "data"))

    return run


def plain(value):
    """Arrays as lists, bytes as strings, whole numbers as `int`."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value
