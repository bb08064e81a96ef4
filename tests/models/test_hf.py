"""Hugging Face files in and out: byte-equal round trips, and an error for everything that does not fit."""

from __future__ import annotations

import dataclasses
import json
import shutil

import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xtreme_stilts.errors import UserError
from xtreme_stilts.models import Head, Model, hf

MLM = Head("mlm")


@pytest.fixture(scope="module", params=["xlm-roberta", "xlm-roberta-xl", "bert"])
def checkpoint(request, kit, tmp_path_factory):
    """A checkpoint folder with an MLM head, written by us from random parameters."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = Model(kit.config(request.param), {"mlm": MLM})
    params = kit.params(model)
    heads = {"head": MLM, "head_params": params["heads"]["mlm"]}
    hf.save_encoder(folder, config=model.config, encoder=params["encoder"], **heads)
    return folder


@pytest.fixture
def editable(kit, tmp_path):
    """A small checkpoint folder, and a function that writes it with other tensors."""
    model = Model(kit.config(), {})
    hf.save_encoder(tmp_path, config=model.config, encoder=kit.params(model)["encoder"])
    tensors = load_file(tmp_path / hf.SINGLE)

    def rewrite(**changes):
        changed = tensors | {name.replace("__", "."): tensor for name, tensor in changes.items()}
        save_file({k: v for k, v in changed.items() if v is not None}, tmp_path / hf.SINGLE)

    return tmp_path, tensors, rewrite


def same_tensors(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].shape == other[name].shape
        assert one[name].tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("shard_bytes", [10**9, 9000])
def test_round_trip_is_byte_equal(checkpoint, tmp_path, shard_bytes):
    loaded = hf.load_encoder(checkpoint, head=MLM)
    heads = {"head": MLM, "head_params": loaded.head}
    hf.save_encoder(tmp_path, config=loaded.config, encoder=loaded.encoder, max_shard_bytes=shard_bytes, **heads)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert (len(files) > 3) == (tmp_path / hf.INDEX).exists() == (shard_bytes == 9000)
    written = {name: tensor for file in files for name, tensor in load_file(file).items()}
    same_tensors(written, load_file(checkpoint / hf.SINGLE))
    assert json.loads((tmp_path / hf.CONFIG).read_text()) == json.loads((checkpoint / hf.CONFIG).read_text())
    again = hf.load_encoder(tmp_path, head=MLM)
    jax.tree.map(np.testing.assert_array_equal, again.encoder, loaded.encoder)
    jax.tree.map(np.testing.assert_array_equal, again.head, loaded.head)


def test_round_trip_of_torch_weights_is_byte_equal(kit, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    for model_type, name in (
        ("xlm-roberta", "XLMRoberta"),
        ("xlm-roberta-xl", "XLMRobertaXL"),
        ("bert", "Bert"),
    ):
        config = kit.config(model_type)
        theirs = getattr(transformers, f"{name}ForMaskedLM")(getattr(transformers, f"{name}Config")(**config.to_hf()))
        theirs.save_pretrained(tmp_path / name, max_shard_size="9KB")
        original = {k: v for f in (tmp_path / name).glob("*.safetensors") for k, v in load_file(f).items()}
        loaded = hf.load_encoder(tmp_path / name, head=MLM, pooler="fresh", key=jax.random.key(0))
        assert loaded.config == config
        heads = {"head": MLM, "head_params": loaded.head}
        hf.save_encoder(tmp_path / "ours", config=config, encoder=loaded.encoder, **heads)
        written = load_file(tmp_path / "ours" / hf.SINGLE)
        same_tensors({k: v for k, v in written.items() if ".pooler." not in k}, original)


@pytest.mark.parametrize("shard_bytes", [10**9, 9000])
def test_transformers_loads_what_we_write(kit, tmp_path, shard_bytes):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = Model(kit.config(vocab_multiple=16), {"pos": Head("tagging", num_labels=3)})
    params = kit.params(model)
    heads = {"head": model.heads["pos"], "head_params": params["heads"]["pos"], "labels": ("A", "B", "C")}
    sizes = {"max_shard_bytes": shard_bytes}
    hf.save_encoder(tmp_path, config=model.config, encoder=params["encoder"], **heads, **sizes)
    auto = transformers.AutoModelForTokenClassification
    theirs, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert theirs.config.id2label == {0: "A", 1: "B", 2: "C"}
    assert theirs.config.num_labels == 3
    encoder, report = transformers.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]  # the pooler is there
    tokens = np.arange(2, 12, dtype=np.int32)[None]
    batch = {"tokens": tokens, "segment_ids": tokens * 0 + 1, "positions": tokens - 2}
    with torch.no_grad():
        logits = theirs(torch.tensor(tokens).long()).logits.numpy()
        hidden = encoder(torch.tensor(tokens).long()).last_hidden_state.numpy()
    np.testing.assert_allclose(model.encode(params, batch).hidden, hidden, atol=1e-5)
    kernel = params["heads"]["pos"]["out"]
    np.testing.assert_allclose(hidden @ kernel["kernel"] + kernel["bias"], logits, atol=1e-5)


def test_head_is_left_behind_unless_asked_for(checkpoint):
    loaded = hf.load_encoder(checkpoint)
    assert loaded.head is None
    assert len(loaded.dropped) == 5
    assert all(name.startswith(("lm_head.", "cls.")) for name in loaded.dropped)


def test_prefix_and_old_norm_names_are_understood(kit, tmp_path):
    model = Model(kit.config("bert"), {})
    params = kit.params(model)
    hf.save_encoder(tmp_path, config=model.config, encoder=params["encoder"])
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in load_file(tmp_path / hf.SINGLE).items()
    }
    old["bert.embeddings.position_ids"] = np.arange(40)[None]
    old["cls.seq_relationship.bias"] = np.zeros(2, np.float32)
    save_file(old, tmp_path / hf.SINGLE)
    loaded = hf.load_encoder(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, loaded.encoder, params["encoder"])
    assert loaded.dropped == ("bert.embeddings.position_ids", "cls.seq_relationship.bias")


def test_half_precision_files_become_float32(editable):
    folder, tensors, rewrite = editable
    name = "pooler.dense.bias"
    for dtype in (np.float16, ml_dtypes.bfloat16):
        rewrite(**{name: tensors[name].astype(dtype)})
        bias = hf.load_encoder(folder).encoder["pooler"]["bias"]
        assert bias.dtype == np.float32
        np.testing.assert_array_equal(bias, tensors[name].astype(dtype).astype(np.float32))


def test_added_vocabulary_rows_stay_at_home(kit, tmp_path):
    model = Model(kit.config(), {"mlm": MLM})
    params = kit.params(model)
    heads = {"head": MLM, "head_params": params["heads"]["mlm"]}
    hf.save_encoder(tmp_path, config=model.config, encoder=params["encoder"], **heads)
    wide = dataclasses.replace(model.config, vocab_multiple=16)
    loaded = hf.load_encoder(tmp_path, config=wide, head=MLM)
    table = loaded.encoder["embeddings"]["word"]["table"]
    assert table.shape == (112, 32)
    np.testing.assert_array_equal(table[:99], params["encoder"]["embeddings"]["word"]["table"])
    assert (table[99:] == 0).all()
    heads = {"head": MLM, "head_params": loaded.head}
    hf.save_encoder(tmp_path / "again", config=wide, encoder=loaded.encoder, **heads)
    same_tensors(load_file(tmp_path / "again" / hf.SINGLE), load_file(tmp_path / hf.SINGLE))


def test_a_missing_pooler_is_made_only_when_asked_for(editable):
    folder, _, rewrite = editable
    rewrite(pooler__dense__weight=None, pooler__dense__bias=None)
    with pytest.raises(UserError, match=r"lacks pooler.dense.bias, pooler.dense.weight; a fresh pooler is made only"):
        hf.load_encoder(folder)
    with pytest.raises(UserError, match="needs a random key"):
        hf.load_encoder(folder, pooler="fresh")
    one, other = (hf.load_encoder(folder, pooler="fresh", key=jax.random.key(n)) for n in (0, 1))
    assert abs(one.encoder["pooler"]["kernel"].std() / one.config.initializer_range - 1) < 0.1
    assert (one.encoder["pooler"]["bias"] == 0).all()
    assert not np.allclose(one.encoder["pooler"]["kernel"], other.encoder["pooler"]["kernel"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder.layer.1.output.dense.bias": None}, "it lacks encoder.layer.1.output.dense.bias"),
        (
            {"encoder.layer.2.output.dense.bias": (32,)},
            "it has the unknown encoder.layer.2.output.dense.bias",
        ),
        ({"pooler.dense.bias": (31,)}, r"pooler.dense.bias is \[31\] instead of \[32\]"),
        ({"pooler.dense.bias": None}, r"\(39 tensors expected, 38 found\): it lacks pooler.dense.bias"),
        (
            {"encoder.layer.0.attention.self.key.bias": None, "encoder.layer.0.attention.self.k.bias": (32,)},
            r"lacks encoder.layer.0.attention.self.key.bias; it has the unknown encoder.layer.0.*self.k.bias",
        ),
        ({"roberta.pooler.dense.bias": (32,)}, "are both called pooler.dense.bias"),
        ({"embeddings.position_ids": (40,)}, None),  # tolerated
        ({"lm_head.bias": (99,)}, None),
        ({"classifier.weight": (3, 32)}, None),
    ],
)
def test_tensors_must_be_exactly_those_expected(editable, changes, message):
    folder, _, rewrite = editable
    rewrite(**{name: None if shape is None else np.zeros(shape, np.float32) for name, shape in changes.items()})
    if message is None:
        assert hf.load_encoder(folder).dropped == tuple(changes)
    else:
        with pytest.raises(UserError, match=message):
            hf.load_encoder(folder)


def test_a_head_must_fit_exactly(editable):
    folder, _, rewrite = editable
    rewrite(classifier__weight=np.zeros((3, 32), np.float32), classifier__bias=np.zeros(3, np.float32))
    assert hf.load_encoder(folder, head=Head("tagging", num_labels=3)).head["out"]["kernel"].shape == (32, 3)
    with pytest.raises(UserError, match=r"classifier.weight is \[3, 32\] instead of \[5, 32\]"):
        hf.load_encoder(folder, head=Head("tagging", num_labels=5))
    with pytest.raises(UserError, match=r"lacks classifier.dense.bias.* has the unknown classifier.bias"):
        hf.load_encoder(folder, head=Head("classification", num_labels=3, pooling="cls"))
    with pytest.raises(UserError, match="pooling 'jiant' has no counterpart"):
        hf.load_encoder(folder, head=Head("classification", num_labels=3))


def test_an_untied_decoder_is_refused(checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / hf.SINGLE)
    bert = "cls.predictions.bias" in tensors
    table = tensors[("bert." if bert else "roberta.") + "embeddings.word_embeddings.weight"]
    name = "cls.predictions.decoder.weight" if bert else "lm_head.decoder.weight"
    save_file(tensors | {name: table.copy()}, tmp_path / hf.SINGLE)
    assert hf.load_encoder(tmp_path, head=MLM).dropped == (name,)
    save_file(tensors | {name: table + 1}, tmp_path / hf.SINGLE)
    with pytest.raises(UserError, match="differs from the word embeddings"):
        hf.load_encoder(tmp_path, head=MLM)


def test_pickles_are_never_opened(editable):
    folder, _, _ = editable
    (folder / hf.SINGLE).unlink()
    with pytest.raises(UserError, match=r"neither model.safetensors nor model.safetensors.index.json"):
        hf.load_encoder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(UserError, match=r"pytorch_model.bin is a pickle.*save_pretrained"):
        hf.load_encoder(folder)


def test_damaged_folders_are_answered(editable):
    folder, tensors, _ = editable
    whole = (folder / hf.SINGLE).read_bytes()
    (folder / hf.SINGLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model.safetensors: not a readable safetensors file"):
        hf.load_encoder(folder)
    (folder / hf.SINGLE).rename(folder / "part.safetensors")
    index = {"weight_map": dict.fromkeys(tensors, "part.safetensors")}
    (folder / "part.safetensors").write_bytes(whole)
    (folder / hf.INDEX).write_text(json.dumps(index))
    hf.load_encoder(folder)
    (folder / hf.INDEX).write_text(json.dumps({"weight_map": index["weight_map"] | {"more": "part.safetensors"}}))
    with pytest.raises(UserError, match="do not hold what it says: more"):
        hf.load_encoder(folder)
    (folder / "part.safetensors").unlink()
    with pytest.raises(UserError, match=r"names 'part.safetensors', which is not in the folder"):
        hf.load_encoder(folder)
    (folder / hf.INDEX).write_text("[]")
    with pytest.raises(UserError, match="no JSON object with a 'weight_map'"):
        hf.load_encoder(folder)
    (folder / hf.CONFIG).write_text("{\n,}")
    with pytest.raises(UserError, match=r"config.json, line 2: not JSON"):
        hf.load_encoder(folder)
    (folder / hf.CONFIG).unlink()
    with pytest.raises(UserError, match=r"config.json: cannot be read"):
        hf.load_encoder(folder)


def test_a_configuration_must_agree_with_the_file(editable, kit):
    folder, _, _ = editable
    assert hf.load_encoder(folder, config=kit.config(dtype="bfloat16", remat="full")).config.dtype == "bfloat16"
    with pytest.raises(UserError, match=r"num_heads is 4, the configuration says 8"):
        hf.load_encoder(folder, config=kit.config(num_heads=8))


def test_parameters_to_write_must_be_exactly_those_expected(kit, tmp_path):
    model = Model(kit.config(), {})
    encoder = kit.params(model)["encoder"]
    with pytest.raises(UserError, match=r"encoder parameters: .* it lacks pooler/bias, pooler/kernel"):
        hf.save_encoder(tmp_path, config=model.config, encoder={k: v for k, v in encoder.items() if k != "pooler"})
    bad = encoder | {"pooler": {"kernel": encoder["pooler"]["kernel"], "bias": np.zeros(3, np.float32)}}
    with pytest.raises(UserError, match=r"pooler/bias is \[3\] instead of \[32\]"):
        hf.save_encoder(tmp_path, config=model.config, encoder=bad)
    with pytest.raises(UserError, match="has no counterpart"):
        hf.save_encoder(tmp_path, config=model.config, encoder=encoder, head=Head("embedding"), head_params={})
    assert not list(tmp_path.iterdir())  # nothing was begun
