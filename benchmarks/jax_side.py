"""Our side of train_step, inference, packing and scaling: the project's own jitted steps.

Needs jax, flax, optax and numpy, and what `xtreme_stilts.training` imports.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from benchmarks import rows as rows_lib
from benchmarks.models import batch_flops
from xtreme_stilts.models import Head, Model, preset
from xtreme_stilts.training import steps
from xtreme_stilts.training.optimizer import AdamW, Schedule
from xtreme_stilts.training.sharding import MESH_AXES, local_rows, put_batch
from xtreme_stilts.training.vocabulary import ActiveVocabulary

HEAD = "task"


class JaxSide:
    """A model with random weights, and batches for it.

    Args:
        encoder: preset's name, and fields of `EncoderConfig` to replace.
        training: whether a sample is an optimizer step (dropout, AdamW, clipping) or a prediction.
        embeddings: "active", a word table of `active` rows, or "dense".
        active: ids in use in a training set.
        rows: file of `rows.save`.
        plans: workload -> arguments of `rows.make`.
        join: arguments of `processes.join`, for a run of several processes.
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any],
        training: bool,
        embeddings: str,
        active: int,
        rows: str,
        plans: dict[str, dict[str, Any]],
        join: dict[str, Any] | None = None,
    ):
        if join:
            from xtreme_stilts import processes

            processes.join(**join)
        self.mesh = Mesh(np.asarray(jax.devices()).reshape(-1, 1, 1), MESH_AXES)  # all of them along `data`
        config = preset(**encoder)
        data = rows_lib.load(rows)
        if embeddings == "active":
            vocabulary = _active(data.tokens, active=active, vocab_rows=config.vocab_rows)
            config, data = vocabulary.config(config), data._replace(tokens=vocabulary.lookup[data.tokens])
        self.model = Model(config, {HEAD: Head("classification", num_labels=rows_lib.LABELS, pooling="cls")})
        self._pad_id, self._rows, self._plans, self._training = config.pad_id, data, plans, training
        if embeddings == "active":
            self._pad_id = int(vocabulary.lookup[config.pad_id])
        self._batches: dict[str, list[rows_lib.Batch]] = {}
        self._taken: dict[str, int] = {}
        self._run = self._train if training else self._predict
        self._begin(AdamW())

    def _begin(self, optimizer: AdamW) -> None:
        key = jax.random.key(0)
        params = {
            "encoder": steps.init_encoder(self.model, self.mesh)(key),
            "heads": steps.init_heads(self.model, self.mesh)(key),
        }
        self._schedule = Schedule(jnp.float32(1e-5), jnp.float32(0), jnp.float32(1e6))
        if self._training:
            self._state = steps.init_optimizer(self.model, optimizer, self.mesh)(params)
            self._step = steps.train_step(self.model, HEAD, optimizer, self.mesh)
        else:
            self._params = params
            self._step = steps.predict_step(self.model, HEAD, self.mesh)

    def describe(self) -> dict[str, Any]:
        """What the side runs on, and how large it is."""
        config = self.model.config
        return {
            "device": jax.devices()[0].device_kind,
            "devices": jax.device_count(),
            "word_table_rows": config.vocab_rows,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(self.model.abstract_params())),
            "dtype": config.dtype,
        }

    def step(self, workload: str) -> dict[str, Any]:
        """One sample on the workload's next batch; the first of a workload compiles."""
        batches, taken = self._of(workload), self._taken.get(workload, 0)
        self._taken[workload] = taken + 1
        batch = batches[taken % len(batches)]
        began = time.perf_counter()
        self._run(batch.arrays)
        config = self.model.config
        return {
            "seconds": time.perf_counter() - began,
            "tokens": batch.tokens,
            "computed": batch.computed,
            "examples": len(batch.sizes),
            **batch_flops(
                batch,
                layers=config.num_layers,
                hidden=config.hidden_size,
                mlp=config.intermediate_size,
                training=self._training,
            ),
            **_device_memory(),
        }

    def _of(self, workload: str) -> list[rows_lib.Batch]:
        if workload not in self._batches:
            self._batches[workload] = rows_lib.make(self._rows, pad_id=self._pad_id, **self._plans[workload])
        return self._batches[workload]

    def compiled(self, workload: str) -> jax.stages.Compiled:
        """The step that the workload's batches take."""
        arrays = self._of(workload)[0].arrays
        if self._training:
            return self._step.lower(self._state, self._put(arrays), self._schedule, np.uint32(0)).compile()
        micro = {name: array[0] for name, array in arrays.items()}
        return self._step.lower(self._params, put_batch(micro, mesh=self.mesh)).compile()

    def _put(self, arrays: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        here = local_rows(arrays["tokens"].shape[1], mesh=self.mesh)
        return put_batch({name: array[:, here] for name, array in arrays.items()}, mesh=self.mesh, leading=1)

    def _train(self, arrays: dict[str, np.ndarray]) -> None:
        self._state, metrics = self._step(self._state, self._put(arrays), self._schedule, np.uint32(0))
        jax.block_until_ready((self._state, metrics))

    def _predict(self, arrays: dict[str, np.ndarray]) -> None:
        for number in range(len(arrays["tokens"])):
            micro = {name: array[number] for name, array in arrays.items()}
            jax.device_get(self._step(self._params, put_batch(micro, mesh=self.mesh)))

    def matmul(self, size: int, dtype: str) -> dict[str, float]:
        """One square matrix product: seconds and flops."""
        one = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(jnp.matmul)
        product(one, one).block_until_ready()
        began = time.perf_counter()
        product(one, one).block_until_ready()
        return {"seconds": time.perf_counter() - began, "flops": 2.0 * size**3}


def _active(tokens: np.ndarray, *, active: int, vocab_rows: int) -> ActiveVocabulary:
    """The ids of these rows, filled up to as many as a whole training set has; the padding's among them."""
    used = np.union1d(np.unique(tokens), np.arange(4))
    spare = np.setdiff1d(np.arange(vocab_rows), used)[: max(0, active - len(used))]
    return ActiveVocabulary(np.union1d(used, spare).astype(np.int32), vocab_rows)


def _device_memory() -> dict[str, float]:
    """Peak memory of an accelerator, in place of the process's; nothing on CPU."""
    stats = jax.local_devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    return {"peak_mib": peak / 2**20} if peak and jax.default_backend() != "cpu" else {}
