"""Names of other libraries that these do not promise to keep, and the check at start that they are there.

Whoever reads another such name adds it here: a release that lacks it is then refused with one line that says which one
is wanted, rather than met by a traceback in the middle of a run. (``torch.ops.mkldnn._linear_pointwise``, which the
search uses where it is there, may be absent; nothing else of torch's is private.)
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from dist_stilts.errors import UserError

WANTED = {"deepspeed": "deepspeed>=0.19.3,<0.20", "transformers": "transformers>=5,<6"}
"""As in setup.cfg."""

OPS = ("__compatible_ops__",)
"""Of the module ``deepspeed.ops``: which of its ops can be compiled."""
GROUPS = ("_WORLD_GROUP",)
"""Of the module ``deepspeed.utils.groups``: the process group of all ranks, once there is one."""
ENGINE = (
    "fp16_enabled",
    "get_global_grad_norm",
    "global_rank",
    "optimizer",
    "set_gradient_accumulation_boundary",
    "skipped_steps",
    "zero_cpu_offload",
    "zero_optimization_stage",
)
ZERO = ("optimizer", "param_groups")
"""Of the optimiser that ZeRO puts around ours, at any stage."""
WEIGHTS = ("single_partition_of_fp32_groups", "fp32_groups_flat_partition", "fp32_partitioned_groups_flat")
"""A rank's fp32 weights in ZeRO's optimiser: one of these, by stage and data type."""
STAGES_1_2 = ("update_lp_params",)
OFFLOAD = ("averaged_gradients", "single_partition_of_fp32_groups")
STAGE_3 = (
    "_reassign_or_swap_out_partitioned_parameters",
    "fp32_partitioned_groups_flat",
    "get_param_id",
    "grad_partitions_flat_buffer",
    "grad_position",
    "persistent_parameters",
)
PARAMETER = ("_hp_mapping",)
"""Of a trained parameter at stages 1 and 2: None where the rank owns nothing of it, or a mapping."""
MAPPING = ("hp_fragment_address", "lp_fragment_address", "param_group_index")
PARAMETER_3 = ("all_gather", "ds_id", "ds_numel", "ds_shape", "partition")
ENCODER_CONFIG = ("_attn_implementation",)
"""Of the configuration of a transformers model: the attention that it uses."""


def require_names(library: str, thing: Any, names: Sequence[str], what: str) -> None:
    """See that a library's object has the names that are read of it.

    Raises:
        UserError: it lacks one.
    """
    missing = [name for name in names if not hasattr(thing, name)]
    if missing:
        raise UserError(
            f"{library} {version(library)} lacks {', '.join(missing)} of {what}",
            fix=f"Install one that has it: pip install '{WANTED[library]}'",
        )


def require_modules(ops: Any, groups: Any) -> None:
    """See that DeepSpeed's modules have the names that are set there; a name that nobody reads would do nothing."""
    require_names("deepspeed", ops, OPS, "deepspeed.ops")
    require_names("deepspeed", groups, GROUPS, "deepspeed.utils.groups")


def require_engine(engine: Any) -> None:
    """See that a started engine, its optimiser and its trained parameters have what training and checkpoints read."""
    require_names("deepspeed", engine, ENGINE, "its engine")
    zero, stage = engine.optimizer, engine.zero_optimization_stage()
    weights = [name for name in WEIGHTS if hasattr(zero, name)]
    offload = OFFLOAD if stage < 3 and engine.zero_cpu_offload() else ()
    by_stage = STAGE_3 if stage == 3 else STAGES_1_2
    require_names("deepspeed", zero, (*ZERO, *(weights or WEIGHTS), *by_stage, *offload), f"its ZeRO-{stage} optimiser")
    for parameter in engine.module.parameters():
        if parameter.requires_grad:
            require_names("deepspeed", parameter, PARAMETER_3 if stage == 3 else PARAMETER, "a parameter")
            if stage < 3 and parameter._hp_mapping is not None:
                require_names("deepspeed", parameter._hp_mapping, MAPPING, "a parameter's mapping")
