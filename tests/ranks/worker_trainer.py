"""The same training by the product and by Hugging Face's `Trainer`: argument 1 is the folder for the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from trainings import Training
from transformers import Trainer, TrainingArguments

from dist_stilts.data.batches import collate
from dist_stilts.data.order import global_batch
from dist_stilts.families.family import Batch
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import World, started
from dist_stilts.train.plan import BatchPlan, TrainConfig, derive, learning_rate

TASK = "xnli"


def main() -> None:
    out = Path(sys.argv[1])
    results: dict[str, Any] = {}
    with started(timeout_seconds=180) as world:
        for accumulation in (1, 2):
            results["ours", accumulation] = ours(accumulation, world, out)
    for accumulation in (1, 2):
        results["theirs", accumulation] = theirs(accumulation, out)
    tiny.save_for(0, results)


def ours(accumulation: int, world: World, out: Path) -> dict[str, Any]:
    """Losses, gradient norms, learning rates and weights under DeepSpeed."""
    config = tiny.train_config("zero2_fp32", 1, accumulation)
    training = Training(tiny.model([TASK]), [TASK], config, world, out / f"ours-{accumulation}")
    training.finish()
    weights = training.weights()
    training.engine.destroy()
    return {**curves(training.logged), "weights": weights}


def theirs(accumulation: int, out: Path) -> dict[str, Any]:
    """The same under `Trainer`: its own batching, accumulation, clipping, optimiser and choice of what decays."""
    config = tiny.train_config("none", 1, accumulation)
    model = tiny.model([TASK])
    model.encoder.set_attn_implementation("eager")  # type: ignore[operator]  # padded
    before = tiny.weights_of(model)
    trainer = InOurOrder(model, config, accumulation, out / f"theirs-{accumulation}")
    trainer.train()
    logged = [values for values in trainer.state.log_history if "grad_norm" in values]
    return {**curves(logged), "before": before, "weights": tiny.weights_of(model)}


def curves(logged: list[dict[str, float]]) -> dict[str, list[float]]:
    """What was logged, by name."""
    return {name: [values[name] for values in logged] for name in ("loss", "grad_norm", "learning_rate")}


class InOurOrder(Trainer):
    """A `Trainer` that takes the rows in our order and the learning rate from our plan."""

    def __init__(self, model: MultiTaskModel, config: TrainConfig, accumulation: int, out: Path) -> None:
        self.config = config
        self.plan: BatchPlan = derive(config, [tiny.ROWS[TASK]], 1)
        self.stream = tiny.stream(TASK)
        arguments = TrainingArguments(
            output_dir=str(out),
            max_steps=self.plan.steps,
            per_device_train_batch_size=config.batch_size // accumulation,
            gradient_accumulation_steps=accumulation,
            optim="adamw_torch",
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            adam_beta1=config.betas[0],
            adam_beta2=config.betas[1],
            adam_epsilon=config.eps,
            max_grad_norm=config.max_grad_norm,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        super().__init__(
            MeanLoss(model), arguments, train_dataset=range(len(self.stream.rows)), data_collator=self.batch
        )

    def batch(self, rows: list[int]) -> Batch:
        """Rows in the order they come; ours are shared out by length."""
        return collate(self.stream.features, rows, self.stream.kind)

    def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
        stream = self.stream
        batches = [
            global_batch(stream.seed, len(stream.rows), stream.batch_size, step)[0] for step in range(self.plan.steps)
        ]
        return stream.rows[np.concatenate(batches)].tolist()

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Ours rises from one step's share and not from zero, so `Trainer`'s own linear schedule is one step behind."""

        def share(step: int) -> float:
            return learning_rate(self.config, self.plan, step) / self.config.learning_rate

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, share)
        return self.lr_scheduler


class MeanLoss(nn.Module):
    """A classifier as `Trainer` wants it: the mean loss of a batch."""

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, lengths: torch.Tensor, bounds: torch.Tensor, labels: torch.Tensor
    ) -> Batch:
        batch = {"input_ids": input_ids, "lengths": lengths, "bounds": bounds, "labels": labels}
        (head,) = self.model.heads
        return {"loss": self.model(head, batch) / len(labels)}


if __name__ == "__main__":
    main()
