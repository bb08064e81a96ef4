import jax
import pytest
from jax.sharding import PartitionSpec

from xtreme_stilts.config import MeshConfig
from xtreme_stilts.errors import UserError
from xtreme_stilts.models import Head, Model, preset
from xtreme_stilts.training import sharding


class FakeMesh:
    shape = {"data": 1, "fsdp": 2, "tensor": 4}  # noqa: RUF012


def test_spec_follows_the_rules():
    spec = sharding.spec(("layers", "embed", "mlp"), shape=(3, 8, 16), mesh=FakeMesh())
    assert spec == PartitionSpec(None, "fsdp", "tensor")


def test_a_mesh_axis_is_used_once_and_only_where_it_divides():
    assert sharding.spec(("embed", "embed"), shape=(8, 8), mesh=FakeMesh()) == PartitionSpec("fsdp", None)
    assert sharding.spec(("embed", "heads"), shape=(7, 6), mesh=FakeMesh()) == PartitionSpec(None, None)


def test_unknown_axis_is_refused():
    with pytest.raises(UserError, match=r"'embd' has no rule.*'embed'"):
        sharding.spec(("embd",), shape=(8,), mesh=FakeMesh())


@pytest.mark.parametrize("name", ["mini", "base", "large", "xl", "xxl", "mbert"])
def test_every_parameter_of_every_preset_has_a_rule(name):
    heads = {
        kind: Head(kind, num_labels=3, num_choices=4 if kind == "choice" else 1)
        for kind in ("classification", "regression", "choice", "tagging", "span", "mlm", "embedding")
    }
    mesh = sharding.make_mesh(MeshConfig(), devices=jax.devices()[:1])
    model = Model(preset(name), heads)
    found = sharding.param_shardings(model, mesh)
    assert jax.tree.structure(found) == jax.tree.structure(model.abstract_params())


def test_mesh_must_fit_the_devices():
    with pytest.raises(UserError, match=r"data=3, fsdp=1, tensor=1; the product must be the number of devices, 1"):
        sharding.make_mesh(MeshConfig(data=3), devices=jax.devices()[:1])


def test_rows_must_divide():
    class Mesh:
        shape = {"data": 4, "fsdp": 2, "tensor": 1}  # noqa: RUF012

    assert sharding.check_rows(16, mesh=Mesh(), field="x") == 16
    with pytest.raises(UserError, match=r"config.evaluation.rows is 12; .* data x fsdp = 8"):
        sharding.check_rows(12, mesh=Mesh(), field="config.evaluation.rows")


def test_rows_of_a_batch_are_split_by_both_axes_and_whole_where_they_do_not_divide():
    axes = ("batch", "length", None)
    mesh = FakeMesh()
    assert sharding.spec(axes, shape=(4, 9, 8), mesh=mesh) == PartitionSpec(("data", "fsdp"), None, None)
    assert sharding.spec(axes, shape=(3, 9, 8), mesh=mesh) == PartitionSpec(None, None, None)
    assert sharding.spec(("rows", "embed"), shape=(4, 8), mesh=mesh) == PartitionSpec("data", "fsdp")
    assert sharding.spec(("batch", "embed"), shape=(4, 8), mesh=mesh) == PartitionSpec(("data", "fsdp"), None)
