"""DeepSpeed, and nothing else of the product imports it: configuration, start, and what a step did.

The engine accumulates: the loop says before each micro-batch whether it is the step's last, then calls ``backward`` and
``step``. (Accumulating by hand under ZeRO-2 keeps only the last micro-batch's gradient.)
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dist_stilts.errors import UserError, nearest, refused
from dist_stilts.parallel.world import World
from dist_stilts.private_names import require_engine, require_modules
from dist_stilts.train.plan import BatchPlan, TrainConfig

CONFIGS = "dist_stilts.ds_configs"


FILLED_IN = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
)
"""Keys that follow from the recipe and the number of ranks."""
DECIDED = ("optimizer", "scheduler")
"""Keys that the recipe has in their place."""
STAGES = (1, 2, 3)


def deepspeed_config(name: str, config: TrainConfig, plan: BatchPlan) -> dict[str, Any]:
    """Read a file of ``ds_configs`` and fill in what follows from the recipe.

    Raises:
        UserError: no such file, not JSON, nothing that DeepSpeed takes, or a key that the recipe decides.
    """
    path = Path(name)
    if path.suffix != ".json":
        known = {
            file.name.removesuffix(".json"): file
            for file in resources.files(CONFIGS).iterdir()
            if file.name.endswith(".json")
        }
        if name not in known:
            raise UserError(
                f"unknown train.deepspeed '{name}'", fix=f"{nearest(name, known)} A file of your own ends in .json"
            )
        path = Path(str(known[name]))
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"train.deepspeed: cannot read this config: {error}", where=path) from None
    _check_keys(settings, path)
    # DeepSpeed wants a product here. How many micro-batches a step has is the loop's business: it follows from tokens.
    values = (plan.rows_per_rank * plan.ranks, plan.rows_per_rank, 1, config.max_grad_norm)
    ours = {**dict(zip(FILLED_IN, values, strict=True)), "steps_per_print": 10**9}
    for key, value in ours.items():
        if settings.get(key, "auto") not in ("auto", value):
            raise UserError(
                f"'{key}' is {settings[key]} here, but the recipe leads to {value}", where=path, fix="Leave it out"
            )
    if name == str(path):
        _check_by_deepspeed({**settings, **ours}, path)
    return {**settings, **ours}


def _check_keys(settings: Any, path: Path) -> None:
    """UserError for what is no config of the kind that is trained with here."""
    if not isinstance(settings, dict):
        raise UserError("a DeepSpeed config is an object of keys and values", where=path)
    if decided := [key for key in DECIDED if key in settings]:
        raise UserError(f"'{decided[0]}' is decided by the recipe's `train`", where=path, fix="Leave it out")
    sharding = settings.get("zero_optimization")
    if not isinstance(sharding, dict) or sharding.get("stage") not in STAGES or isinstance(sharding["stage"], bool):
        raise UserError("'zero_optimization' has no stage of 1, 2 or 3", where=path, fix='Write {"stage": 2} there')


def _check_by_deepspeed(settings: dict[str, Any], path: Path) -> None:
    """UserError if DeepSpeed does not take a config: it raises many types. Numbers of ranks are not its to check."""
    from deepspeed.runtime.config import DeepSpeedConfig
    from deepspeed.utils import logger

    logger.setLevel(logging.ERROR)
    alone = {key: value for key, value in settings.items() if key != "train_batch_size"}
    try:
        with redirect_stdout(None):
            DeepSpeedConfig(alone)
    except Exception as error:
        raise refused("DeepSpeed does not take this config", path, error) from None


def start_engine(model: nn.Module, settings: dict[str, Any], config: TrainConfig, world: World) -> Any:
    """Wrap the model in a DeepSpeed engine with AdamW; the learning rate is set by the loop.

    Raises:
        UserError: this DeepSpeed lacks a name that is read of it.
    """
    import deepspeed
    import deepspeed.ops
    from deepspeed.utils import groups, logger

    require_modules(deepspeed.ops, groups)
    logger.setLevel(logging.WARNING)
    warnings.filterwarnings(
        "ignore", message=r".*(all_gather_into_tensor|reduce_scatter_tensor).*", category=FutureWarning
    )  # DeepSpeed's to mend
    # On CPU DeepSpeed compiles a shared-memory collective and has no fallback without a compiler; gloo does the work.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    # ZeRO would make a process group of its own, without our time-out: a cut link would then hang for ever.
    groups._WORLD_GROUP = world.group
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    no_decay = {name for name, p in named if p.ndim < 2}  # biases and layer norms
    parameter_groups = [
        {"params": [p for name, p in named if name not in no_decay], "weight_decay": config.weight_decay},
        {"params": [p for name, p in named if name in no_decay], "weight_decay": 0.0},
    ]
    betas = (config.betas[0], config.betas[1])
    optimizer = torch.optim.AdamW(parameter_groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=True)
    with _compiling_nothing(), redirect_stdout(None):  # stage 1 prints memory figures that nobody asked for
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings, dist_init_required=False)
    require_engine(engine)
    return engine


@contextmanager
def _compiling_nothing() -> Iterator[None]:
    """Save a sixth of the time from start to first step: nothing here is compiled, but DeepSpeed (0.19.8) asks whether
    the optimiser is Muon, whose module passes functions to torch.compile, which would load all of the compiler.
    """
    name = "TORCHDYNAMO_DISABLE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def skipped(engine: Any) -> int:
    """Steps that were left out on all ranks, because a gradient was not finite on one."""
    return int(engine.skipped_steps)


def scales_losses(engine: Any) -> bool:
    """Whether losses are multiplied by a number that is made smaller whenever a gradient overflows, as fp16 does."""
    return bool(engine.fp16_enabled())


def forget_gradients(engine: Any) -> None:
    """Clear what DeepSpeed (0.19.8) keeps of a finished step's gradients and would take for the next one's.

    Stage 3 and offload keep the last gradient of a parameter that a step does not use, such as another task's head;
    offload also adds to that of a step that was left out, so that one NaN would never go away.
    """
    zero = engine.optimizer
    if engine.zero_optimization_stage() == 3:
        zero.grad_partitions_flat_buffer.zero_()
    elif engine.zero_cpu_offload():
        zero.averaged_gradients.update(dict.fromkeys(zero.averaged_gradients))
        for flat in zero.single_partition_of_fp32_groups:
            flat.grad.zero_()


def set_learning_rate(engine: Any, rate: float) -> None:
    """Set the rate of the coming optimiser step."""
    for group in engine.optimizer.param_groups:
        group["lr"] = rate


def gradient_norm(engine: Any) -> float:
    """Global norm of the last optimiser step's gradient, before clipping."""
    norm = engine.get_global_grad_norm()
    return float("nan") if norm is None else float(norm)


def whole_module(engine: Any, copy: nn.Module | None) -> nn.Module:
    """A module whose parameters are whole on every rank, so that ranks may run it unequally often.

    That is the engine's own but for stage 3, where parameters are gathered into ``copy``; every rank must call it.
    """
    if copy is None:
        module: nn.Module = engine.module
        return module
    import deepspeed

    for (_, parameter), (_, target) in zip(engine.module.named_parameters(), copy.named_parameters(), strict=True):
        with deepspeed.zero.GatheredParameters([parameter]):
            target.data = parameter.detach().clone()
    return copy.to(engine.device)
