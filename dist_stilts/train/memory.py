"""How much memory DeepSpeed's engine will take on a rank, by a formula, and how much there is."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from dist_stilts.parallel import allocator
from dist_stilts.parallel.collectives import sum_by_index
from dist_stilts.parallel.world import World

FP32 = 4
BUCKET = 500_000_000
"""DeepSpeed's ``reduce_bucket_size``, in elements, where the config does not say."""


def training_dtype(settings: Mapping[str, Any]) -> torch.dtype:
    """The type of the parameters under a DeepSpeed config."""
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if settings.get(name, {}).get("enabled"):
            return dtype
    return torch.float32


def engine_bytes(sizes: Sequence[int], ranks: int, settings: Mapping[str, Any], device: torch.device) -> int:
    """Bytes per rank that training takes on its device beside whole parameters and what a micro-batch needs."""
    return int(sum(engine_parts(sizes, ranks, settings, device).values()))


def engine_parts(
    sizes: Sequence[int], ranks: int, settings: Mapping[str, Any], device: torch.device
) -> dict[str, float]:
    """The same by what it is for, with how it is shared in its name.

    With P parameters of b bytes (bf16: 2) on N ranks (Rajbhandari et al. 2020, sections 3.1 and 5; Adam; fp32 sums of
    gradients; here an element of "P/N" is P where a stage does not shard it):

        master weights and two moments   12 P/N  from stage 1 on; none on a GPU whose optimiser is offloaded
        sums of gradients                 4 P/N  from stage 2 on (whole in stage 1); none where offloaded
        gradients waiting to be summed    b P    up to stage 1, unless b is 4 and they are the sums; later stages take
                                          each from its parameter at once
        reduction buckets                 c * largest * (2, with ``overlap_comm`` 3): one or two that are filled, one
                                          under way; the largest is ``reduce_bucket_size`` or a larger parameter
        shard of the parameters           b P/N  in stage 3, beside the gathered ones; none where offloaded

    Stage 3 is counted as if it gathered all parameters at once, which it does up to ``stage3_max_live_parameters``
    (DeepSpeed's default: a thousand million). What the optimiser's step takes for a moment (12 P/N at most, less where
    it is fused) is not counted: by then the micro-batch is gone.

    Args:
        sizes: elements of each trained parameter.
        device: on a CPU offloading moves nothing.
    """
    zero = settings.get("zero_optimization", {})
    stage, parameters = int(zero.get("stage", 0)), sum(sizes)
    width = training_dtype(settings).itemsize

    def part(what: str, size: int, from_stage: int, offload: str) -> dict[str, float]:
        away = zero.get(offload, {}).get("device", "none")
        if device.type != "cpu" and away != "none":
            return {f"{what}, offloaded ({away})": 0.0}
        shards = ranks if stage >= from_stage else 1
        return {what + (f", 1/{shards} of them" if shards > 1 else ""): size * parameters / shards}

    name = str(training_dtype(settings)).removeprefix("torch.")
    parts = part("fp32 master weights and two moments", 3 * FP32, 1, "offload_optimizer")
    parts |= part("fp32 sums of gradients", FP32, 2, "offload_optimizer")
    if stage < 2 and width < FP32:
        parts[f"{name} gradients of a micro-batch"] = width * parameters
    if stage == 3:
        parts |= part(f"{name} shards of the parameters", width, 3, "offload_param")
    largest = max([int(zero.get("reduce_bucket_size", BUCKET)), *sizes])
    sent = FP32 if settings.get("communication_data_type") == "fp32" else width
    return {**parts, "buckets for gradients": sent * largest * (3 if zero.get("overlap_comm", stage == 3) else 2)}


def free_bytes(world: World) -> int:
    """Bytes that this rank may still take: of its GPU, or its share of the host's memory."""
    if world.device.type == "cuda":
        return torch.cuda.mem_get_info(world.device)[0]
    allocator.return_freed()
    return min([psutil.virtual_memory().available, *left_in_control_groups()]) // _ranks_on_this_host(world)


def left_in_control_groups(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What containers and batch systems let this process still take: the bytes left in each control group above it.

    The host's free memory says nothing of these limits. Read is version 2 of Linux's control groups; a file's pages in
    memory do not count as taken where the kernel would give them back.
    """
    lines = membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else []
    own = [root / line.removeprefix("0::").lstrip("/") for line in lines if line.startswith("0::")]
    for group in {folder for path in own for folder in (path, *path.parents)}:
        limit = group / "memory.max"
        if limit.is_file() and (most := limit.read_text(encoding="utf-8").strip()) != "max":
            taken = int((group / "memory.current").read_text(encoding="utf-8"))
            statistics = (group / "memory.stat").read_text(encoding="utf-8").split()
            given_back = int(statistics[statistics.index("inactive_file") + 1])
            yield max(0, int(most) - taken + given_back)


def _ranks_on_this_host(world: World) -> int:
    """Launchers tell the number in different words or not at all; the ranks' host names do."""
    name = np.array([zlib.crc32(socket.gethostname().encode())], np.int64)
    hosts = sum_by_index(name, np.array([world.rank]), world.size)
    return int((hosts == name).sum())
