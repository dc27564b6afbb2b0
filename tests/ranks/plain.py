"""One process, plain PyTorch, padded batches, no engine: the reference that ZeRO-2 training is held against (law 1).

The textbook loop: one global batch in one pass, mean loss over its targets, one clip, one AdamW step, no weight decay
on biases and layer norms. A head that a step does not use has a gradient of zero, so its moments go on decaying.
"""

from __future__ import annotations

from typing import Any

import tiny
import torch

from dist_stilts.data.mixture import plan as plan_mixture
from dist_stilts.data.mixture import probabilities
from dist_stilts.model.heads import head_name
from dist_stilts.tasks.registry import get_task
from dist_stilts.train.plan import TrainConfig, derive, learning_rate


def train(tasks: list[str]) -> dict[str, Any]:
    """Losses and gradient norms of every step, and the weights before and after."""
    config = tiny.train_config("none", ranks=1, accumulation=1)
    sizes = [tiny.ROWS[task] for task in tasks]
    plan, mixture = derive(config, sizes, ranks=1), plan_mixture(probabilities(sizes), tiny.STEPS, 0)
    streams, heads = [tiny.stream(task, packs=False) for task in tasks], [head_name(get_task(task)) for task in tasks]
    model = tiny.model(tasks).train()
    model.encoder.set_attn_implementation("eager")  # type: ignore[operator]
    before = tiny.weights_of(model)
    optimizer = adamw(model, config)
    losses, norms = [], []
    for step in range(plan.steps):
        task = int(mixture.task[step])
        batch = streams[task].step(int(mixture.turn[step]), 0, 1)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, plan, step)
        loss = model(heads[task], batch.micro_batches[0]) / batch.targets
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)))
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        losses.append(float(loss.detach()))
    return {"loss": losses, "grad_norm": norms, "before": before, "weights": tiny.weights_of(model)}


def adamw(model: torch.nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """The optimiser, with every gradient there from the start."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(config.betas[0], config.betas[1]), eps=config.eps)
