import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xtreme_stilts.config import Recipe
from xtreme_stilts.models import EncoderConfig, Head, Model
from xtreme_stilts.training.optimizer import AdamW, Schedule, decay_mask


def test_schedule_by_hand():
    schedule = Schedule.of(Recipe(learning_rate=2.0, warmup=0.2), steps=10)
    rates = [float(schedule(jnp.int32(step))) for step in range(11)]
    assert rates == pytest.approx([0, 1, 2, 2 * 7 / 8, 2 * 6 / 8, 2 * 5 / 8, 1, 2 * 3 / 8, 0.5, 0.25, 0])


def test_schedule_without_warmup_starts_at_the_peak():
    schedule = Schedule.of(Recipe(learning_rate=1.0, warmup=0.0), steps=4)
    assert [float(schedule(jnp.int32(step))) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_what_decays():
    config = EncoderConfig(vocab_size=9, hidden_size=4, num_layers=1, num_heads=1, intermediate_size=4, max_positions=8)
    model = Model(config, {"mlm": Head("mlm"), "c": Head("classification", num_labels=2)})
    mask = decay_mask(model.abstract_params())
    spared = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, decays in jax.tree_util.tree_leaves_with_path(mask)
        if not decays
    }
    assert spared == {
        name for name in spared if name.endswith("bias") or (name.startswith("encoder") and name.endswith("scale"))
    }
    # HF's names: biases and `LayerNorm` are spared; the MLM head's `layer_norm` and all matrices are not.
    decayed = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, decays in jax.tree_util.tree_leaves_with_path(mask)
        if decays
    }
    assert "encoder/embeddings/word/table" in decayed
    assert any(name.startswith("heads/mlm") and name.endswith("scale") for name in decayed)
    assert any("bias" in name for name in spared)
    assert any(name.endswith("scale") for name in spared)


def test_steps_equal_torch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    start = {"kernel": random.normal(size=(5, 3)).astype(np.float32), "bias": random.normal(size=3).astype(np.float32)}
    gradients = [
        {name: 3 * random.normal(size=value.shape).astype(np.float32) for name, value in start.items()}
        for _ in range(5)
    ]
    recipe = Recipe(learning_rate=0.1, warmup=0.4, weight_decay=0.1, clip_norm=1.0)
    schedule = Schedule.of(recipe, steps=5)

    transformation = AdamW.of(recipe).transformation()
    params = {"heads": jax.tree.map(jnp.asarray, start)}
    state = transformation.init(params)
    for step, gradient in enumerate(gradients):
        updates, state = transformation.update({"heads": gradient}, state, params)
        params = jax.tree.map(lambda p, u, rate=schedule(jnp.int32(step)): p - rate * u, params, updates)

    weights = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    groups = [{"params": [weights["kernel"]], "weight_decay": 0.1}, {"params": [weights["bias"]], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)
    for step, gradient in enumerate(gradients):
        for name, weight in weights.items():
            weight.grad = torch.tensor(gradient[name])
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = float(schedule(jnp.int32(step)))
        optimizer.step()
    for name, weight in weights.items():
        np.testing.assert_allclose(
            params["heads"][name], weight.detach().numpy(), atol=5e-6
        )  # torch adds 1e-6 to the norm it clips by
