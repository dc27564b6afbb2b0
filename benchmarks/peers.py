"""Hugging Face's Trainer and a plain PyTorch loop on the same rows, as contenders.py starts them."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from importlib import resources
from inspect import signature
from typing import Any

import numpy as np
import torch
from bench_clock import Clock, watch_engine
from bench_common import Job, Race, device, new_config, rows_of, summary
from torch import nn
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

from dist_stilts.data.order import global_batch

Batch = dict[str, torch.Tensor]
BY_LENGTH = "group_by_length"
WARMUP, DECAY, MAX_GRAD_NORM = 0.1, 0.01, 1.0  # the product's defaults


def by_peer(job: Job) -> dict[str, Any]:
    """Train a peer."""
    logging.set_verbosity_error()
    features, vocabulary = rows_of(job, job.split)
    if len(features) < job.batch_size:
        sys.exit(f"{job.task} {job.split} has {len(features)} rows, fewer than a batch")
    padded = Padded(vocabulary.pad)
    torch.manual_seed(job.seed)
    model = peer_model(job)
    clock = Clock(device())
    if job.reach:
        dev, _ = rows_of(job, job.dev)
        race = Race(job, np.array([labels[0] for labels in dev.labels]))
        with_trainer(job, model, rows(features), padded, clock, Score(race, rows(dev), vocabulary.pad))
        return race.result()
    if job.contender == "plain":
        plain(job, model, rows(features), padded, clock)
    else:
        with_trainer(job, model, rows(features), padded, clock, Watch(job, clock))
    tokens, slots = np.sum(padded.seen[job.warmup_steps : job.warmup_steps + job.steps], axis=0).tolist()
    return summary(job, model, features, clock, tokens, slots)


def peer_model(job: Job) -> nn.Module:
    """The same encoder with the library's own head and, if nothing else is asked for, its own choice of attention."""
    kind: Any = AutoModelForQuestionAnswering if job.task == "squad_v1" else AutoModelForSequenceClassification
    labels = {} if job.task == "squad_v1" else {"num_labels": 3}
    chosen = {"attn_implementation": job.variant} if job.variant else {}
    if job.model:
        return kind.from_pretrained(job.model, dtype=torch.float32, **labels, **chosen)
    config = new_config(job)
    for name, value in labels.items():
        setattr(config, name, value)
    return kind.from_config(config, **chosen)


def rows(features: Any) -> list[dict[str, Any]]:
    """Rows as the library's examples have them."""

    def targets(labels: np.ndarray) -> dict[str, int]:
        if len(labels) == 1:
            return {"labels": int(labels[0])}
        return {"start_positions": int(labels[0]), "end_positions": int(labels[1])}

    return [
        {"input_ids": ids.tolist(), **targets(labels)}
        for ids, labels in zip(features.input_ids, features.labels, strict=True)
    ]


class Padded:
    """Pads a batch to its longest row, and keeps count of real tokens and places."""

    def __init__(self, pad: int) -> None:
        self.pad = pad
        self.seen: list[tuple[int, int]] = []

    def __call__(self, batch: Sequence[dict[str, Any]]) -> Batch:
        """One batch."""
        lengths = [len(row["input_ids"]) for row in batch]
        ids = torch.full((len(batch), max(lengths)), self.pad)
        for place, row in enumerate(batch):
            ids[place, : lengths[place]] = torch.tensor(row["input_ids"])
        real = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        self.seen.append((sum(lengths), ids.numel()))
        targets = {name: torch.tensor([row[name] for row in batch]) for name in batch[0] if name != "input_ids"}
        return {"input_ids": ids, "attention_mask": real, **targets}


# --- Trainer ------------------------------------------------------------------------------------------------------


class Watch(TrainerCallback):
    """The clock runs over the timed steps."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self.job, self.clock = job, clock

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an optimiser step."""
        if state.global_step == self.job.warmup_steps:
            self.clock.begin()
        elif state.global_step == self.job.warmup_steps + self.job.steps:
            self.clock.end()


class Score(TrainerCallback):
    """Scores English dev every so often, and stops when that is good enough."""

    def __init__(self, race: Race, dev: list[dict[str, Any]], pad: int) -> None:
        self.race, self.dev, self.pad = race, dev, Padded(pad)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an optimiser step."""
        if state.global_step % self.race.job.reach_every == 0:
            control.should_training_stop |= self.race.over(state.global_step, self.predict(kwargs["model"]))

    @torch.no_grad()
    def predict(self, model: nn.Module) -> np.ndarray:
        """Classes of all rows."""
        model.eval()
        found = []
        for start in range(0, len(self.dev), 64):
            batch = self.pad(self.dev[start : start + 64])
            batch.pop("labels")
            found.append(model(**{name: each.to(device()) for name, each in batch.items()}).logits.argmax(-1).cpu())
        model.train()
        return torch.cat(found).numpy()


class ThinnedTrainer(Trainer):
    """In random order the rows of a step are ours; grouped by length, a few batches of its own stand for an epoch.

    Its sampler sorts up to fifty batches at a time, so that some steps in a row would be all long or all short ones.
    """

    def __init__(self, job: Job, *args: Any, **kwargs: Any) -> None:
        self.job = job
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        job, data = self.job, self.train_dataset
        if job.contender != "grouped":
            return in_our_order(job, len(data), self.args.max_steps)
        order = list(super()._get_train_sampler(train_dataset))
        whole = range(0, len(order) - job.batch_size + 1, job.batch_size)
        batches = [order[start : start + job.batch_size] for start in whole]
        batches.sort(key=lambda batch: sum(len(data[row]["input_ids"]) for row in batch))
        chosen = [evenly(len(batches), steps, job.seed) for steps in (job.warmup_steps, job.steps)]
        return [row for number in np.concatenate(chosen) for row in batches[number]]


def evenly(size: int, steps: int, seed: int) -> np.ndarray:
    """So many of the numbers below ``size``, each the middle of an equal share of them, shuffled."""
    return np.random.default_rng(seed).permutation(((np.arange(steps) + 0.5) * size / steps).astype(int))


def in_our_order(job: Job, size: int, steps: int) -> list[int]:
    """The rows of the product's steps."""
    return np.concatenate([global_batch(job.seed, size, job.batch_size, step)[0] for step in range(steps)]).tolist()


def with_trainer(
    job: Job, model: nn.Module, data: list[dict[str, Any]], padded: Padded, clock: Clock, callback: TrainerCallback
) -> None:
    """Trainer under DeepSpeed."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled, for one rank
    steps = job.reach_steps if job.reach else job.warmup_steps + job.steps
    newer = "train_sampling_strategy" in signature(TrainingArguments).parameters  # transformers 5
    grouping = {"train_sampling_strategy": BY_LENGTH} if newer else {BY_LENGTH: True}
    arguments = TrainingArguments(
        output_dir=f"{job.folder}/trainer",
        max_steps=steps,
        per_device_train_batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=math.ceil(WARMUP * steps),
        weight_decay=DECAY,
        max_grad_norm=MAX_GRAD_NORM,
        bf16=job.dtype == torch.bfloat16,
        deepspeed=str(resources.files("dist_stilts.ds_configs") / f"{job.deepspeed}.json"),
        use_cpu=device().type == "cpu",
        seed=job.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        **(grouping if job.contender == "grouped" else {}),
    )
    watch_engine(clock)
    if hasattr(Trainer, "get_batch_samples"):
        clock.watch(Trainer, "get_batch_samples", "data")
    trainer = ThinnedTrainer(job, model, arguments, data_collator=padded, train_dataset=data, callbacks=[callback])
    trainer.train()


# --- plain --------------------------------------------------------------------------------------------------------


def plain(job: Job, model: nn.Module, data: list[dict[str, Any]], padded: Padded, clock: Clock) -> None:
    """What anyone would write: fp32 weights, autocast, clipping, AdamW."""
    here = device()
    model.to(here).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=job.learning_rate, weight_decay=DECAY, fused=here.type == "cuda"
    )
    order = in_our_order(job, len(data), job.warmup_steps + job.steps)
    for step in range(job.warmup_steps + job.steps):
        if step == job.warmup_steps:
            clock.begin()
        with clock.part("data"):
            batch = padded([data[row] for row in order[step * job.batch_size : (step + 1) * job.batch_size]])
            batch = {name: tensor.to(here, non_blocking=True) for name, tensor in batch.items()}
        with clock.part("forward"), torch.autocast(here.type, job.dtype, enabled=job.dtype != torch.float32):
            loss = model(**batch).loss
        with clock.part("backward"):
            loss.backward()
        with clock.part("optimiser"):
            nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            optimizer.zero_grad()
    clock.end()
