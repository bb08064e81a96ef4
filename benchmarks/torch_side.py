"""The other side of train_step and inference: Hugging Face's PyTorch XLM-R, as its own examples train it.

`XLMRobertaForSequenceClassification` with SDPA attention, fused AdamW without decay on biases and norms, gradients
clipped to norm 1, one sequence to a row. Weights are random (same scale as ours); nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import torch
import transformers

from benchmarks import rows as rows_lib
from benchmarks.models import batch_flops


class TorchSide:
    """A model with random weights, and batches for it.

    Args:
        encoder: fields of `transformers.XLMRobertaConfig`.
        training: whether a sample is an optimizer step or a prediction.
        device: "cpu" or "cuda".
        compiled: whether to use `torch.compile`.
        rows: file of `rows.save`.
        plans: workload -> arguments of `rows.make`, and `autocast`: whether it computes in bfloat16.
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any],
        training: bool,
        device: str,
        compiled: bool,
        rows: str,
        plans: dict[str, dict[str, Any]],
    ):
        torch.manual_seed(0)
        self._config = transformers.XLMRobertaConfig(**encoder, num_labels=rows_lib.LABELS, attn_implementation="sdpa")
        self._model = transformers.XLMRobertaForSequenceClassification(self._config).to(device).train(training)
        self._forward = torch.compile(self._model) if compiled else self._model
        self._training, self._device = training, device
        self._rows = rows_lib.load(rows)
        self._plans = {name: dict(plan) for name, plan in plans.items()}
        self._autocast = {name: plan.pop("autocast") for name, plan in self._plans.items()}
        self._batches: dict[str, list[rows_lib.Batch]] = {}
        self._taken: dict[str, int] = {}
        self._optimizer = _adamw(self._model) if training else None

    def describe(self) -> dict[str, Any]:
        """What the side runs on, and how large it is."""
        return {
            "device": torch.cuda.get_device_name() if self._device == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "word_table_rows": self._config.vocab_size,
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
        }

    def step(self, workload: str) -> dict[str, Any]:
        """One sample on the workload's next batch."""
        if workload not in self._batches:
            self._batches[workload] = rows_lib.make(
                self._rows, pad_id=self._config.pad_token_id, **self._plans[workload]
            )
        batches, taken = self._batches[workload], self._taken.get(workload, 0)
        self._taken[workload] = taken + 1
        batch = batches[taken % len(batches)]
        inputs = {
            "input_ids": batch.arrays["tokens"][0],
            "attention_mask": batch.arrays["segment_ids"][0],  # 1 for tokens of the row's only segment
        }
        if self._training:
            inputs["labels"] = batch.arrays["label"][0, :, 0]
        began = time.perf_counter()
        with torch.autocast(self._device, torch.bfloat16) if self._autocast[workload] else contextlib.nullcontext():
            self._run({name: torch.from_numpy(array).long().to(self._device) for name, array in inputs.items()})
        if self._device == "cuda":
            torch.cuda.synchronize()
        return {
            "seconds": time.perf_counter() - began,
            "tokens": batch.tokens,
            "computed": batch.computed,
            "examples": len(batch.sizes),
            **batch_flops(
                batch,
                layers=self._config.num_hidden_layers,
                hidden=self._config.hidden_size,
                mlp=self._config.intermediate_size,
                training=self._training,
            ),
            **self._device_memory(),
        }

    def _run(self, inputs: dict[str, torch.Tensor]) -> None:
        if not self._training:
            with torch.inference_mode():
                self._forward(**inputs).logits.float().cpu()
            return
        self._forward(**inputs).loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def matmul(self, size: int, dtype: str) -> dict[str, float]:
        """One square matrix product: seconds and flops."""
        one = torch.randn(size, size, device=self._device).to(getattr(torch, dtype))
        for _ in range(2):
            began = time.perf_counter()
            one @ one
            if self._device == "cuda":
                torch.cuda.synchronize()
        return {"seconds": time.perf_counter() - began, "flops": 2.0 * size**3}

    def _device_memory(self) -> dict[str, float]:
        """Peak memory of an accelerator since the last sample, in place of the process's; nothing on CPU."""
        if self._device != "cuda":
            return {}
        peak = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return {"peak_mib": peak}


def _adamw(model: torch.nn.Module) -> torch.optim.AdamW:
    """Decay on matrices and tables, none on biases and norms; fused."""
    decayed = [p for name, p in model.named_parameters() if not name.endswith("bias") and "LayerNorm" not in name]
    others = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-5, fused=True)
